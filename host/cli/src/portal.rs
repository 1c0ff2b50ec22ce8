//! Loads the components of portals.

use super::error::Error;
use crate::adapters::Adapter;
use crate::config::{Config, PortalConfig};
use portico_server::runtime::{
    Abort, AdapterComponent, CompileCache, Compiler, ComposeError, PortalFile, PortalLabel, Runtime, SetupError,
    Uploads,
};
use portico_server::server::{Portal, Portals};
use portico_store::Backend;
use std::path::Path;
use std::sync::Arc;

/// The built-in portal, as compiled by the build script.
pub static BUILT_IN_PORTAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portal.wasm"));

/// Makes portals of their configurations, over one store.
#[derive(Clone)]
pub(super) struct PortalBuilder {
    compiler: Compiler,
    backend: Arc<dyn Backend>,
    uploads: Uploads,
    /// The server has several portals, which labels tell apart.
    are_several: bool,
}

/// Ends a compilation that runs in a blocking task, when dropped.
struct AbortOnDrop(Abort);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

impl PortalBuilder {
    /// Creates a builder for the portals of a configuration.
    pub(super) fn new(config: &Config, backend: Arc<dyn Backend>) -> PortalBuilder {
        let are_several = config.portals.len() > 1;
        PortalBuilder { compiler: compiler(config), backend, uploads: Uploads::default(), are_several }
    }

    /// Makes all portals of a configuration.
    pub(super) async fn all(&self, config: &Config) -> Result<Portals, Error> {
        let mut portals = Vec::new();
        for portal in &config.portals {
            let made = Portal::new(self.runtime(portal).await?).with_public_page(portal.file.is_none());
            portals.push(made.at(self.label(portal), portal.host.clone(), portal.prefix.clone()));
        }
        Ok(Portals::new(portals))
    }

    /// Returns the label of a portal in metrics.
    pub(super) fn label(&self, portal: &PortalConfig) -> PortalLabel {
        if self.are_several { PortalLabel::new(&portal.name()) } else { PortalLabel::default() }
    }

    /// Prepares the component of a portal, with its settings. Compiles where the cache has no compiled one; a caller that
    /// drops the future ends the compilation.
    pub(super) async fn runtime(&self, portal: &PortalConfig) -> Result<Runtime, Error> {
        let guard = AbortOnDrop(Abort::default());
        let (builder, config, abort) = (self.clone(), portal.clone(), guard.0.clone());
        let task = tokio::task::spawn_blocking(move || {
            let named = |cause| Error::Portal { path: config.file.clone(), cause };
            let file = open(config.file.as_deref(), &config.adapters)?;
            let compiled = builder.compiler.prepare(&file, &config.limits, &abort).map_err(named)?;
            Runtime::link(compiled, builder.backend, config.scope.clone()).map_err(named)
        });
        let runtime = task.await.map_err(|error| Error::Start(std::io::Error::other(error)))??;
        drop(guard);
        Ok(runtime.with_config(portal.entries()).with_uploads(self.uploads.of(self.label(portal))))
    }
}

/// Returns the portal that the client commands use: the only one, or the first that is built in.
///
/// # Errors
/// [`Error::NoBuiltIn`] if none of several is built in.
pub(super) fn for_client(config: &Config) -> Result<&PortalConfig, Error> {
    match &*config.portals {
        [only] => Ok(only),
        several => several.iter().find(|portal| portal.file.is_none()).ok_or(Error::NoBuiltIn),
    }
}

/// Returns the compiler of the configured portals.
pub(super) fn compiler(config: &Config) -> Compiler {
    Compiler::for_program().with_cache(config.compile_cache.as_deref().and_then(CompileCache::open_or_warn))
}

/// Opens the file of a portal, composed with its adapters; without a path the built-in portal.
pub(super) fn open(path: Option<&Path>, adapters: &[Adapter]) -> Result<PortalFile, Error> {
    let Some(path) = path else { return Ok(PortalFile::Component(BUILT_IN_PORTAL.into())) };
    let file = PortalFile::open(path).and_then(|file| file.adapt(&components(adapters)?));
    file.map_err(|cause| Error::Portal { path: Some(path.to_owned()), cause })
}

/// Returns the components of adapters.
fn components(adapters: &[Adapter]) -> Result<Vec<AdapterComponent>, SetupError> {
    let component = |adapter: &Adapter| {
        let name = adapter.name();
        let component = match adapter {
            Adapter::BuiltIn(built_in) => built_in.component().into(),
            Adapter::File(path) => match PortalFile::open(path) {
                Ok(PortalFile::Component(component)) => component,
                Ok(PortalFile::Compiled(_)) => return Err(ComposeError::CompiledAdapter(name).into()),
                Err(SetupError::Component(cause)) => return Err(ComposeError::Adapter { adapter: name, cause }.into()),
                Err(SetupError::Read(cause)) => return Err(ComposeError::Read { adapter: name, cause }.into()),
                Err(error) => return Err(error),
            },
        };
        Ok(AdapterComponent { name, component })
    };
    adapters.iter().map(component).collect()
}

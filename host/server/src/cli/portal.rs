//! Loads the portal's component.

use super::error::Error;
use crate::config::Config;
use crate::runtime::{Abort, CompileCache, Compiler, PortalFile, Runtime};
use portico_store::{Backend, Scope};
use std::path::Path;
use std::sync::Arc;

/// The built-in portal, as compiled by the build script.
pub static BUILT_IN_PORTAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portal.wasm"));

/// Ends a compilation that runs in a blocking task, when dropped.
struct AbortOnDrop(Abort);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.set();
    }
}

/// Prepares the configured portal to run over a store, with its settings. Compiles where the cache has no compiled portal; a
/// caller that drops the future ends the compilation.
pub(super) async fn runtime(config: &Config, backend: Arc<dyn Backend>) -> Result<Runtime, Error> {
    let compiler = compiler(config);
    let (path, limits) = (config.portal.clone(), config.limits);
    let guard = AbortOnDrop(Abort::default());
    let abort = guard.0.clone();
    let task = tokio::task::spawn_blocking(move || {
        let named = |cause| Error::Portal { path: path.clone(), cause };
        let file = open(path.as_deref())?;
        let compiled = compiler.prepare(&file, &limits, &abort).map_err(named)?;
        Runtime::link(compiled, backend, Scope::root()).map_err(named)
    });
    let runtime = task.await.map_err(|error| Error::Start(std::io::Error::other(error)))??;
    drop(guard);
    Ok(runtime.with_config(config.portal_settings.entries()))
}

/// Returns the compiler of the configured portals.
pub(super) fn compiler(config: &Config) -> Compiler {
    Compiler::new(config.compile_cache.as_deref().and_then(CompileCache::open_or_warn))
}

/// Opens the file of a portal; without a path the built-in one.
pub(super) fn open(path: Option<&Path>) -> Result<PortalFile, Error> {
    match path {
        None => Ok(PortalFile::Component(BUILT_IN_PORTAL.into())),
        Some(path) => PortalFile::open(path).map_err(|cause| Error::Portal { path: Some(path.to_owned()), cause }),
    }
}

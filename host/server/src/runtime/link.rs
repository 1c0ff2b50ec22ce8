//! Links a compiled component with the interfaces of this host, and finds out what is missing.

use super::compiler::Compiled;
use super::error::SetupError;
use super::exchange;
use super::guest::Guest;
#[cfg(feature = "p3")]
use super::shape::Generation;
use super::shape::MAINTENANCE;
use crate::bindings::MaintainedPre;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Linker, LinkerInstance, ResourceType};
use wasmtime::{Engine, Store};
use wasmtime_wasi_http::p2::bindings::{Proxy, ProxyPre};
#[cfg(feature = "p3")]
use wasmtime_wasi_http::p3::bindings::{Service, ServicePre};

/// The HTTP face of a component.
#[derive(Clone)]
pub(super) enum HandlerPre {
    Wasi02(ProxyPre<Guest>),
    #[cfg(feature = "p3")]
    Wasi03(ServicePre<Guest>),
}

/// The HTTP face of an instance.
pub(super) enum Handler {
    Wasi02(Proxy),
    #[cfg(feature = "p3")]
    Wasi03(Service),
}

#[cfg_attr(not(feature = "p3"), allow(clippy::match_single_binding, reason = "one of two versions of WASI"))]
impl HandlerPre {
    pub(super) fn engine(&self) -> &Engine {
        match self {
            HandlerPre::Wasi02(pre) => pre.engine(),
            #[cfg(feature = "p3")]
            HandlerPre::Wasi03(pre) => pre.engine(),
        }
    }

    pub(super) async fn instantiate(&self, store: &mut Store<Guest>) -> wasmtime::Result<Handler> {
        Ok(match self {
            HandlerPre::Wasi02(pre) => Handler::Wasi02(pre.instantiate_async(store).await?),
            #[cfg(feature = "p3")]
            HandlerPre::Wasi03(pre) => Handler::Wasi03(pre.instantiate_async(store).await?),
        })
    }
}

/// A component that is linked.
pub(super) struct Linked {
    /// Its HTTP face.
    pub(super) handler: HandlerPre,
    /// Its maintenance, which is optional.
    pub(super) maintained: Option<MaintainedPre<Guest>>,
}

/// What linking a component has found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Imports that this host does not provide, or not with these types, each with the reason.
    pub missing: Vec<(String, String)>,
    /// The component does maintenance.
    pub is_maintained: bool,
}

/// Links a component.
///
/// # Errors
/// [`SetupError::Missing`], [`SetupError::Link`] and [`SetupError::NotAPortal`].
pub(super) fn link(compiled: &Compiled) -> Result<Linked, SetupError> {
    let mut linker = linker(compiled).map_err(SetupError::Link)?;
    let pre = linker.instantiate_pre(&compiled.component).map_err(|cause| match missing(&mut linker, compiled) {
        Ok(missing) if !missing.is_empty() => SetupError::missing(&missing),
        _ => SetupError::Link(cause),
    })?;
    let maintained = MaintainedPre::new(pre.clone()).ok();
    #[cfg(feature = "p3")]
    if compiled.generation == Generation::Wasi03 {
        let handler = HandlerPre::Wasi03(ServicePre::new(pre).map_err(SetupError::NotAPortal)?);
        return Ok(Linked { handler, maintained });
    }
    let handler = HandlerPre::Wasi02(ProxyPre::new(pre).map_err(SetupError::NotAPortal)?);
    Ok(Linked { handler, maintained })
}

/// Tries to link a component, and reports all that is missing.
///
/// # Errors
/// [`SetupError::Link`] for a failure that no import explains.
pub fn try_link(compiled: &Compiled) -> Result<Links, SetupError> {
    let mut linker = linker(compiled).map_err(SetupError::Link)?;
    let missing = missing(&mut linker, compiled).map_err(SetupError::Link)?;
    let ty = compiled.component.component_type();
    let is_maintained = ty.exports(&compiled.engine).any(|(name, _)| name.starts_with(MAINTENANCE));
    Ok(Links { missing, is_maintained })
}

fn linker(compiled: &Compiled) -> wasmtime::Result<Linker<Guest>> {
    let mut linker = Linker::<Guest>::new(&compiled.engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
    wasmtime_wasi_config::add_to_linker(&mut linker, Guest::config)?;
    portico_host::add_to_linker(&mut linker)?;
    exchange::add_to_linker(&mut linker, Guest::exchange)?;
    #[cfg(feature = "p3")]
    if compiled.generation == Generation::Wasi03 {
        wasmtime_wasi::p3::add_to_linker(&mut linker)?;
        wasmtime_wasi_http::p3::add_to_linker(&mut linker)?;
        portico_host::p3::add_to_linker(&mut linker)?;
    }
    Ok(linker)
}

/// Replaces missing imports by functions that trap until the component links. Returns their names, and why each is missing.
///
/// wasmtime reports one missing import at a time, and only as text that has the name in backticks. An error without such a name
/// ends the search, as one does that a replaced import causes: the types of its resources fit no other import.
fn missing(linker: &mut Linker<Guest>, compiled: &Compiled) -> wasmtime::Result<Vec<(String, String)>> {
    let Compiled { engine, component, .. } = compiled;
    linker.allow_shadowing(true);
    let mut missing: Vec<(String, String)> = Vec::new();
    loop {
        let Err(error) = linker.instantiate_pre(component) else { return Ok(missing) };
        let text = format!("{error:#}");
        let ty = component.component_type();
        let named = ty
            .imports(engine)
            .find(|(name, _)| text.contains(&format!("`{name}`")) && !missing.iter().any(|(known, _)| known == name));
        let Some((name, import)) = named else {
            return if missing.is_empty() { Err(error) } else { Ok(missing) };
        };
        stub(&mut linker.root(), engine, name, &import.ty)?;
        // The first part of the error has the name of the import alone.
        let why: Vec<String> = error.chain().skip(1).map(ToString::to_string).collect();
        missing.push((name.to_owned(), why.join(": ")));
    }
}

fn stub(
    linker: &mut LinkerInstance<'_, Guest>,
    engine: &Engine,
    name: &str,
    item: &ComponentItem,
) -> wasmtime::Result<()> {
    match item {
        ComponentItem::ComponentInstance(instance) => {
            let mut inner = linker.instance(name)?;
            for (name, export) in instance.exports(engine) {
                stub(&mut inner, engine, name, &export.ty)?;
            }
            Ok(())
        }
        ComponentItem::ComponentFunc(_) => linker.func_new(name, |_, _, _, _| wasmtime::bail!("a missing import")),
        ComponentItem::Resource(_) => linker.resource(name, ResourceType::host::<()>(), |_, _| Ok(())),
        _ => Ok(()),
    }
}

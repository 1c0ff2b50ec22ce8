//! Which component is run, and what it is told.

use super::error::Error;
use crate::bounded;
use crate::config::Config;
use crate::runtime::Runtime;
use crate::runtime::limits::COMPONENT_MAX;
use portico_store::{Backend, Scope};
use std::borrow::Cow;
use std::sync::Arc;

/// The portal that the build script has built.
pub static BUILT_IN_PORTAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portal.wasm"));

/// The configured portal over a store, with its settings.
pub(super) fn runtime(config: &Config, backend: Arc<dyn Backend>) -> Result<Runtime, Error> {
    let runtime = Runtime::new(&component(config)?, backend, Scope::root(), config.limits)?;
    Ok(runtime.with_config(config.portal_settings.entries()))
}

fn component(config: &Config) -> Result<Cow<'static, [u8]>, Error> {
    match &config.portal {
        None => Ok(Cow::Borrowed(BUILT_IN_PORTAL)),
        Some(path) => match std::fs::File::open(path).and_then(|file| bounded::read(file, COMPONENT_MAX)) {
            Ok(component) => Ok(Cow::Owned(component)),
            Err(cause) => Err(Error::ReadPortal { path: path.clone(), cause }),
        },
    }
}

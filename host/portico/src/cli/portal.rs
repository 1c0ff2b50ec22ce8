//! Which component is run, and what it is told.

use super::Error;
use crate::config::Config;
use crate::runtime::Runtime;
use crate::runtime::limits::COMPONENT_MAX;
use portico_store::{Backend, Scope};
use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;
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
        Some(path) => match read(path) {
            Ok(component) => Ok(Cow::Owned(component)),
            Err(cause) => Err(Error::ReadPortal { path: path.clone(), cause }),
        },
    }
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut component = Vec::new();
    std::fs::File::open(path)?.take(COMPONENT_MAX + 1).read_to_end(&mut component)?;
    if component.len() as u64 > COMPONENT_MAX {
        return Err(io::Error::other(format!("it is larger than {COMPONENT_MAX} bytes")));
    }
    Ok(component)
}

//! Which component is served.

use super::Error;
use crate::config::Config;
use crate::runtime::limits::COMPONENT_MAX;
use std::borrow::Cow;
use std::io::{self, Read};
use std::path::Path;

/// The portal that the build script has built.
pub static BUILT_IN_PORTAL: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/portal.wasm"));

/// The component to serve.
pub(super) fn component(config: &Config) -> Result<Cow<'static, [u8]>, Error> {
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

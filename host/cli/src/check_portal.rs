//! The part of `portico check` about portals: what a component needs and offers, without running it.

use super::error::Error;
use super::portal::{compiler, open};
use crate::config::{Config, PortalConfig};
use portico_server::runtime::{Abort, Limits, Links, Needs, SetupError, Shape, try_link};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// Checks, compiles and links the component of a portal, and prints what was found.
///
/// # Errors
/// [`Error::Portal`] if the component cannot be run, after what is known about it has been printed.
pub(super) fn check(out: &mut impl Write, config: &Config, portal: &PortalConfig) -> Result<(), Error> {
    let (path, limits) = (portal.file.as_deref(), &portal.limits);
    let named = |cause| Error::Portal { path: path.map(Path::to_owned), cause };
    let file = open(path, &portal.adapters)?;
    let shape = file.shape().map_err(|cause| named(cause.into()))?;
    let start = Instant::now();
    let prepared = compiler(config).prepare(&file, limits, &Abort::default());
    let linked = prepared.and_then(|compiled| try_link(&compiled));
    let took = start.elapsed();
    let links = linked.as_ref().ok();
    if config.portals.len() > 1 {
        writeln!(out, "at {}, scope {}", portal.name(), portal.scope).map_err(Error::Output)?;
    }
    for adapter in &portal.adapters {
        writeln!(out, "adapter: {}", adapter.name()).map_err(Error::Output)?;
    }
    report(out, path, &shape, limits, links).map_err(Error::Output)?;
    let links = linked.map_err(named)?;
    writeln!(out, "ready after {} ms\n", took.as_millis()).map_err(Error::Output)?;
    if links.missing.is_empty() {
        return Ok(());
    }
    Err(named(SetupError::missing(&links.missing)))
}

fn report(
    out: &mut impl Write,
    path: Option<&Path>,
    shape: &Shape,
    limits: &Limits,
    links: Option<&Links>,
) -> io::Result<()> {
    match path {
        Some(path) => writeln!(out, "portal: {}", path.display())?,
        None => writeln!(out, "portal: built in")?,
    }
    for name in &shape.imports {
        let missing = links.and_then(|links| links.missing.iter().find(|(missing, _)| missing == name));
        match missing {
            Some((_, why)) => writeln!(out, "import  {name}  MISSING ({why})")?,
            None => writeln!(out, "import  {name}")?,
        }
    }
    for name in &shape.exports {
        writeln!(out, "export  {name}")?;
    }
    let Needs { core_instances, memories, tables } = shape.needs;
    for (what, number, limit, setting) in [
        ("core instances", core_instances, limits.core_instances, "guest_instances"),
        ("linear memories", memories, limits.memories, "guest_memories"),
        ("tables", tables, limits.tables, "guest_tables"),
    ] {
        writeln!(out, "{what}: {number}, at most {limit} ({setting})")?;
    }
    let word = |is: bool| if is { "yes" } else { "no" };
    writeln!(out, "answers HTTP: {}", word(shape.answers_http()))?;
    match links {
        Some(links) => writeln!(out, "does maintenance: {}", word(links.is_maintained)),
        None => Ok(()),
    }
}

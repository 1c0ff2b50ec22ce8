//! `portico serve --watch`: replaces the component of a portal when its file changes.
//!
//! Invariants: a file is read when it has stopped changing; requests that run keep the component that they began with; a file
//! that cannot be run is reported, and the portal continues with the component that it has.

use super::portal::PortalBuilder;
use crate::config::{Config, PortalConfig};
use portico_server::server::Portals;
use portico_store::chain;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Interval between two looks at the files. Polling needs no limits of the system, and works on any filesystem.
const LOOK: Duration = Duration::from_millis(250);

/// What a file looks like from outside. A program that builds components changes one of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Facts {
    modified: SystemTime,
    size: u64,
    inode: u64,
}

impl Facts {
    fn of(path: &Path) -> Option<Facts> {
        let facts = std::fs::metadata(path).ok()?;
        Some(Facts { modified: facts.modified().ok()?, size: facts.len(), inode: facts.ino() })
    }
}

/// A file of a portal.
struct Watched {
    portal: PortalConfig,
    /// The file that was read last.
    read: Option<Facts>,
    /// The file at the last look.
    last: Option<Facts>,
}

impl Watched {
    /// Looks at the file. Returns true if it has changed and is complete, as far as that shows.
    fn look(&mut self) -> bool {
        let Some(path) = &self.portal.file else { return false };
        let now = Facts::of(path);
        let is_steady = now == self.last;
        self.last = now;
        // A file that is missing is about to be replaced.
        let changed = is_steady && now.is_some() && now != self.read;
        if changed {
            self.read = now;
        }
        changed
    }
}

/// The files of portals.
pub(super) struct Watch(Vec<Watched>);

impl Watch {
    /// Notes what the files of a configuration look like. Call before the files are read.
    pub(super) fn new(config: &Config) -> Watch {
        let watched = |portal: &PortalConfig| {
            let read = portal.file.as_deref().and_then(Facts::of);
            Watched { portal: portal.clone(), read, last: read }
        };
        Watch(config.portals.iter().filter(|portal| portal.file.is_some()).map(watched).collect())
    }

    /// Replaces components as their files change. Never returns.
    pub(super) async fn run(mut self, portals: Portals, builder: PortalBuilder) {
        loop {
            tokio::time::sleep(LOOK).await;
            for watched in self.0.iter_mut() {
                if watched.look() {
                    replace(&portals, &builder, &watched.portal).await;
                }
            }
        }
    }
}

async fn replace(portals: &Portals, builder: &PortalBuilder, portal: &PortalConfig) {
    let file = portal.file.as_deref().map(Path::display).map(tracing::field::display);
    match builder.runtime(portal).await {
        Ok(runtime) => {
            let label = builder.label(portal);
            portals.iter().filter(|portal| *portal.label() == label).for_each(|portal| portal.replace(runtime.clone()));
            tracing::info!(file, "the portal was replaced; new requests go to the new one");
        }
        Err(error) => {
            tracing::error!(file, error = chain(&error), "the new portal cannot be run; the old one continues");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_counts_when_it_has_stopped_changing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("portal.wasm");
        let write = |content: &str| std::fs::write(&path, content).unwrap();
        write("1");
        let file = format!("store = 'file:/tmp/x'\nportal = '{}'", path.display());
        let toml = folder.path().join("portico.toml");
        std::fs::write(&toml, file).unwrap();
        let sources = crate::config::ConfigSources { file: Some(toml), ..Default::default() };
        let Watch(mut watched) = Watch::new(&Config::load(&sources).unwrap());
        let watched = &mut watched[0];
        assert!(!watched.look() && !watched.look(), "it did not change");
        write("22");
        assert!(!watched.look(), "it may still change");
        write("333");
        assert!(!watched.look(), "it changed again");
        assert!(watched.look());
        assert!(!watched.look(), "it was read");
        std::fs::remove_file(&path).unwrap();
        assert!(!watched.look() && !watched.look(), "it is missing");
        write("4444");
        assert!(!watched.look());
        assert!(watched.look());
    }
}

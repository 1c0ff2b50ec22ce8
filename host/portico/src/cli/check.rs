//! `portico check`.

use super::{Error, log, store};
use crate::config::{Config, StoreUrl};
use portico_store::{Backend, ByteRange, PartOptions, Scope, SessionId, put_part, stream};
use rustix::fs::{statfs, statvfs};
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

/// What is written, read back and deleted to see whether the store works.
const PROBE: &[u8] = b"portico check";

/// Kinds of filesystems by the number that the system gives them (statfs(2)), and whether a store can be on one. It
/// cannot over a network: neither locks nor syncs hold there what a store builds on.
const FILESYSTEMS: &[(u64, &str, bool)] = &[
    (0xef53, "ext4", true),
    (0x5846_5342, "xfs", true),
    (0x9123_683e, "btrfs", true),
    (0x2fc1_2fc1, "zfs", true),
    (0xf2f5_2010, "f2fs", true),
    (0xca45_1a4e, "bcachefs", true),
    (0x794c_7630, "overlayfs", true),
    (0x0102_1994, "tmpfs", true),
    (0x6573_5546, "fuse; what is beneath it is not known here", true),
    (0x6969, "nfs", false),
    (0xff53_4d42, "cifs", false),
    (0xfe53_4d42, "smb2", false),
    (0x517b, "smb", false),
    (0x00c3_6400, "ceph", false),
    (0x0102_1997, "9p", false),
    (0x5346_414f, "afs", false),
    (0x0bd0_0bd0, "lustre", false),
];

/// Shows the configuration and tries the store.
pub(super) fn check(config: &Config) -> Result<ExitCode, Error> {
    log::start(config);
    let mut report = Report { out: std::io::stdout().lock(), failed: false };
    report.configuration(config).map_err(Error::Output)?;
    let tried = super::tokio()?.block_on(async {
        let store = store::open_now(config).await?;
        Ok::<_, Error>((store.info().summary, store.ready().await, probe(&store).await))
    });
    let (summary, ready, probed) = tried?;
    let StoreUrl::Local(path) = &config.store;
    let say = || {
        writeln!(report.out, "store: {summary}")?;
        report.line("ready", ready.map(|()| "yes".to_owned()))?;
        report.line("write, read and delete", probed.map(|()| "yes".to_owned()))?;
        report.line("filesystem", filesystem(path))?;
        report.line("free space", free(path))?;
        report.out.flush()
    };
    say().map_err(Error::Output)?;
    Ok(if report.failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

struct Report<'a> {
    out: std::io::StdoutLock<'a>,
    failed: bool,
}

impl Report<'_> {
    fn configuration(&mut self, config: &Config) -> std::io::Result<()> {
        for (key, given) in &config.given {
            writeln!(self.out, "{:<18} {:<24} {}", key.name, given.text, given.source)?;
        }
        writeln!(self.out)
    }

    fn line(&mut self, what: &str, result: Result<String, impl std::error::Error + 'static>) -> std::io::Result<()> {
        match result {
            Ok(text) => writeln!(self.out, "{what}: {text}"),
            Err(error) => {
                self.failed = true;
                writeln!(self.out, "{what}: FAILED: {}", crate::fault::chain(&error))
            }
        }
    }
}

/// Writes a part in a scope of its own, reads it back, and deletes it. A part leaves no trace of its deletion.
async fn probe(store: &dyn Backend) -> portico_store::Result<()> {
    let scope = Scope::root().narrow("portico-check")?;
    let session = SessionId::parse("probe")?;
    store.delete_session(&scope, &session).await?;
    let part = put_part(store, &scope, &session, 0, &mut stream::from_bytes(PROBE), PartOptions::default()).await?;
    let mut read = store.read_part(&scope, &part.key, ByteRange::default()).await?;
    let content = stream::collect(&mut *read, PROBE.len()).await?;
    store.delete_part(&scope, &part.key).await?;
    if content == PROBE { Ok(()) } else { Err(portico_store::Error::internal("what was read is not what was written")) }
}

#[derive(Debug, thiserror::Error)]
enum FilesystemError {
    #[error("the system does not say")]
    Ask(#[from] rustix::io::Errno),
    #[error("{0} is a network filesystem; its locks and syncs do not hold what a store builds on")]
    Network(&'static str),
}

fn filesystem(path: &Path) -> Result<String, FilesystemError> {
    let number = statfs(path)?.f_type as u64;
    match FILESYSTEMS.iter().find(|(known, _, _)| *known == number) {
        Some((_, name, true)) => Ok((*name).to_owned()),
        Some((_, name, false)) => Err(FilesystemError::Network(name)),
        None => Ok(format!("of a kind that is not known here ({number:#x})")),
    }
}

fn free(path: &Path) -> Result<String, FilesystemError> {
    let stat = statvfs(path)?;
    Ok(format!("{} MiB, {} files", stat.f_bavail.saturating_mul(stat.f_frsize) >> 20, stat.f_favail))
}

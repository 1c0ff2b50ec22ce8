//! Rebuilds the index from the final objects.
//!
//! Invariants: the old index is moved aside and never removed; it is moved when the new one is whole, so a failed
//! rebuild has changed nothing; no other file is touched.

use crate::local::files::disk::Disk;
use crate::local::files::layout::{self, INDEX, INDEX_FILES};
use crate::local::index::{self, IndexFault, finals};
use crate::local::open::error::OpenError;
use crate::local::open::root::Root;
use crate::local::shared::Durability;
use crate::local::shared::LocalOptions;
use crate::local::shared::LocalStore;
use crate::{Error, FileId, FinalReceipt, Result, Scope, SessionId, Sha256, Token, limits};
use rusqlite::Connection;
use std::collections::HashSet;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::UNIX_EPOCH;

/// Objects between two progress lines.
const PROGRESS: u64 = 1_000;

/// The result of a rebuild.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RebuildReport {
    /// Final objects that have a row again.
    pub objects: u64,
    /// Their bytes, all of which were read.
    pub bytes: u64,
    /// Files of publications that were never finished. The next opening removes them.
    pub unfinished: u64,
    /// Sessions whose parts are lost. The next opening removes their files.
    pub sessions: u64,
    /// Paths below the root of files among the final objects that are none. They stay.
    pub foreign: Vec<String>,
    /// The path of the old index, if there was one.
    pub old_index: Option<PathBuf>,
    /// Whether `format` was missing, and how it was recreated.
    pub format: FormatMade,
}

/// What a rebuild did about `format`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FormatMade {
    /// It existed.
    #[default]
    No,
    /// It was missing, and was recreated for the index, which is whole and was kept.
    ForTheIndex,
    /// It was missing, and was recreated with a new id.
    WithNewId,
}

impl fmt::Display for RebuildReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.format {
            FormatMade::No => {}
            FormatMade::ForTheIndex => {
                return write!(f, "`format` was missing and was made again; the index is whole and was kept");
            }
            FormatMade::WithNewId => writeln!(f, "`format` was missing; the store has a new id")?,
        }
        writeln!(f, "{} final objects with {} bytes are in the new index", self.objects, self.bytes)?;
        match &self.old_index {
            Some(path) => writeln!(f, "the old index is kept as {}", path.display())?,
            None => writeln!(f, "there was no old index")?,
        }
        if self.unfinished > 0 {
            writeln!(
                f,
                "{} files of unfinished publications were left out; the next opening removes them",
                self.unfinished
            )?;
        }
        if self.sessions > 0 {
            writeln!(
                f,
                "the parts of {} upload sessions are lost; the next opening removes their files",
                self.sessions
            )?;
        }
        for path in &self.foreign {
            writeln!(f, "not an object, left alone: {path}")?;
        }
        write!(f, "lost: content types and metadata of the objects, records, ids that were deleted or voided")
    }
}

impl LocalStore {
    /// Rebuilds the index of a store from its final objects: their digests by reading all of them, their times from the
    /// files. Everything else that the index contained is lost, and [`RebuildReport`] says so. The old index is kept
    /// beside the new one. A missing `format` is recreated: for the index if that is whole, otherwise with a new id.
    ///
    /// # Errors
    /// [`OpenError::NothingToRebuild`] if the index is whole, unless `force` is given; and those of
    /// [`LocalStore::open`] that do not concern the index. The store is unchanged then.
    pub async fn rebuild(path: &Path, options: LocalOptions, force: bool) -> Result<RebuildReport, OpenError> {
        let path = path.to_owned();
        let rebuilt = tokio::task::spawn_blocking(move || rebuild(&path, &options, force));
        rebuilt.await.map_err(|error| OpenError::io(PathBuf::new(), std::io::Error::other(error)))?
    }
}

fn rebuild(path: &Path, options: &LocalOptions, force: bool) -> Result<RebuildReport, OpenError> {
    let root = Root::lock(path, options.lock_wait)?;
    let found = root.look()?;
    root.check_writable()?;
    if !found.format && !found.finals {
        return Err(OpenError::NotAStore(root.path().to_owned()));
    }
    let mut report = RebuildReport::default();
    let id = if found.format {
        let id = root.store_id()?;
        if !force {
            check_faulty(&root, &id)?;
        }
        id
    } else {
        if !force
            && root.check_index().is_ok()
            && let Ok(id) = index::inspect(&root.at(INDEX))
        {
            root.make_format(&id)?;
            report.format = FormatMade::ForTheIndex;
            return Ok(report);
        }
        report.format = FormatMade::WithNewId;
        Token::random().map_err(|error| OpenError::fault(root.path(), error))?.as_str().to_owned()
    };
    let durable = options.durability == Durability::Full;
    let disk = Disk::new(root.dir(), durable, None, Arc::default(), Arc::default());
    root.make_index(&id, |conn| {
        conn.execute_batch("BEGIN")?;
        fill(&disk, conn, &mut report).map_err(IndexFault::Fault)?;
        Ok(conn.execute_batch("COMMIT")?)
    })?;
    report.old_index = move_aside(&root)?;
    root.name_index()?;
    if !found.format {
        root.make_format(&id)?;
    }
    Ok(report)
}

/// Checks that the index has a fault of its own, which a new index cures.
fn check_faulty(root: &Root, id: &str) -> Result<(), OpenError> {
    match root.check_index() {
        // It is moved in any case.
        Err(OpenError::WrongKind { .. }) => return Ok(()),
        checked => checked?,
    }
    match root.inspect(id) {
        Ok(()) => Err(OpenError::NothingToRebuild(root.path().to_owned())),
        Err(fault @ (IndexFault::Newer(_) | IndexFault::Fault(_) | IndexFault::Io(_))) => Err(root.index_error(fault)),
        Err(_) => Ok(()),
    }
}

/// Renames the old index and its companions, so that SQLite still finds them together.
fn move_aside(root: &Root) -> Result<Option<PathBuf>, OpenError> {
    let there = |name: &str| root.at(name).symlink_metadata().is_ok();
    let old: Vec<&str> = INDEX_FILES.into_iter().filter(|suffix| there(&format!("{INDEX}{suffix}"))).collect();
    if old.is_empty() {
        return Ok(None);
    }
    let aside = (1..u32::MAX)
        .map(|number| format!("{INDEX}.broken-{number}"))
        .find(|name| !INDEX_FILES.iter().any(|suffix| there(&format!("{name}{suffix}"))));
    let aside = aside.ok_or_else(|| OpenError::io(root.at(INDEX), std::io::ErrorKind::AlreadyExists))?;
    for suffix in old {
        root.rename(&format!("{INDEX}{suffix}"), &format!("{aside}{suffix}"))?;
    }
    root.sync()?;
    Ok(Some(root.at(&aside)))
}

/// Creates a row for each finished final object.
fn fill(disk: &Disk, conn: &Connection, report: &mut RebuildReport) -> Result<()> {
    let unfinished = unfinished(disk, report)?;
    let mut buffer = vec![0; limits::READ_CHUNK];
    for scope in names(disk, Path::new(layout::FINAL), report)? {
        let dir = Path::new(layout::FINAL).join(&scope);
        let Some(scope) = Scope::from_written(&scope) else {
            report.foreign.push(dir.display().to_string());
            continue;
        };
        for name in names(disk, &dir, report)? {
            let path = dir.join(&name);
            let stat = disk.stat(&path)?;
            let (Ok(id), Some(stat)) = (FileId::parse(&name), stat.filter(|stat| stat.is_file)) else {
                report.foreign.push(path.display().to_string());
                continue;
            };
            if unfinished.contains(&stat.inode) {
                report.unfinished += 1;
                continue;
            }
            let file = disk.open_read(&path)?.ok_or_else(|| Error::internal("an object vanished"))?;
            let receipt = read(&file, &scope, id, &mut buffer)?;
            report.objects += 1;
            report.bytes += receipt.size;
            finals::insert(conn, &scope, &receipt)?;
            if report.objects.is_multiple_of(PROGRESS) {
                tracing::info!(objects = report.objects, bytes = report.bytes, "rebuilding the index");
            }
        }
    }
    report.foreign.sort();
    Ok(())
}

/// The inodes of files that still have their staged name. Counts the sessions too.
fn unfinished(disk: &Disk, report: &mut RebuildReport) -> Result<HashSet<u64>> {
    let mut found = HashSet::new();
    let mut note = |path: &Path| -> Result<()> {
        found.extend(disk.stat(path)?.filter(|stat| stat.links > 1).map(|stat| stat.inode));
        Ok(())
    };
    // The sweep of the next opening reports foreign names.
    for name in disk.list(Path::new(layout::STAGING), |_| true)?.unwrap_or_default() {
        note(&Path::new(layout::STAGING).join(name))?;
    }
    for scope in disk.list(Path::new(layout::TEMP), |_| true)?.unwrap_or_default() {
        let Some(scope) = Scope::from_written(&scope) else { continue };
        let dir = Path::new(layout::TEMP).join(scope.as_str());
        for session in disk.list(&dir, |_| true)?.unwrap_or_default() {
            if let Ok(session) = SessionId::parse(&session) {
                report.sessions += 1;
                note(&layout::placed(&scope, &session))?;
            }
        }
    }
    Ok(found)
}

fn names(disk: &Disk, dir: &Path, report: &mut RebuildReport) -> Result<Vec<String>> {
    let mut names = disk.list(dir, |_| true)?.unwrap_or_else(|| {
        report.foreign.push(dir.display().to_string());
        Vec::new()
    });
    names.sort();
    Ok(names)
}

/// The receipt of a file, with what the file itself tells.
fn read(mut file: &File, scope: &Scope, id: FileId, buffer: &mut [u8]) -> Result<FinalReceipt> {
    let (mut sha256, mut size) = (Sha256::new(), 0);
    loop {
        let read = match file.read(buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error.into()),
        };
        sha256.update(&buffer[..read]);
        size += read as u64;
    }
    let since_epoch = file.metadata()?.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(FinalReceipt {
        key: layout::final_key(scope, &id),
        file: id,
        size,
        sha256: sha256.finish(),
        content_type: None,
        metadata: Vec::new(),
        created_at: u64::try_from(since_epoch.as_millis()).unwrap_or(0),
        replayed: false,
    })
}

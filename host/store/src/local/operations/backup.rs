//! Copies a store into another folder, while another process may use the store.
//!
//! The index is copied first, as of one moment, and then the files that it names. A file never changes once it has its
//! name, and is removed only after its row. So a file that is missing then was deleted meanwhile, and its row is
//! removed from the copy too. Invariants: once the copy has an index, it always has one, and a file for each of its
//! rows: files come before the index that names them, and go after it; the next backup removes what a killed one has
//! left.

use crate::local::files::disk::Disk;
use crate::local::files::layout::{self, FINAL, FOLDERS, INDEX, INDEX_FILES, NEW_INDEX, STAGING};
use crate::local::index::finals::FinalRow;
use crate::local::index::{self, IndexFault, finals};
use crate::local::open::create;
use crate::local::open::error::OpenError;
use crate::local::open::root::Root;
use crate::local::operations::reader::Reader;
use crate::local::shared::LocalStore;
use crate::verify::PAGE;
use crate::{Error, FileId, FinalReceipt, Result, Scope, Token};
use rusqlite::Connection;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The result of a backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BackupReport {
    /// Files in the backup.
    pub objects: u64,
    /// The files that this backup copied.
    pub copied: u64,
    /// Bytes that this backup copied.
    pub bytes: u64,
    /// Files that were removed from the backup, because the store has deleted them since an earlier backup.
    pub removed: u64,
    /// Files that the store has lost: their rows exist, and no whole file does. The backup has neither.
    pub lost: Vec<String>,
}

impl fmt::Display for BackupReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let BackupReport { objects, copied, bytes, removed, lost } = self;
        for path in lost {
            writeln!(f, "lost by the store, and not in the backup: {path}")?;
        }
        write!(
            f,
            "{objects} files are in the backup, {copied} of them new with {bytes} bytes; {removed} are gone from it"
        )
    }
}

impl LocalStore {
    /// Copies the store in a folder into another one, which then is a store of its own: all that was acknowledged
    /// before the copy began and has not been deleted since. Parts of unfinished uploads are left out. Another process
    /// may use the store, but not the copy. A folder with an earlier copy of the store is brought up to date. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] of either folder. An earlier copy is unchanged then, or up to date.
    pub fn backup(from: &Path, to: &Path) -> Result<BackupReport, OpenError> {
        let source = Reader::open(from)?;
        create::folders(to)?;
        if root_of(to)? == root_of(from)? {
            return Err(unfit(to, "the copy would be the store itself"));
        }
        let root = Root::lock(to, Duration::ZERO)?;
        let found = root.look()?;
        if found.format {
            if root.store_id()? != source.id {
                return Err(unfit(to, "it holds another store, or a copy of another one"));
            }
            if !found.backup {
                return Err(unfit(
                    to,
                    "it is a store, or a backup that was opened as one, and may have files of its own",
                ));
            }
        } else if !found.beginning {
            return Err(OpenError::NotAStore(root.path().to_owned()));
        }
        for name in FOLDERS {
            root.make_folder(name)?;
        }
        if !found.format {
            root.mark_backup()?;
            // First, so that the next run continues if this one is killed. Without an index the folder can't be opened
            // as a store.
            root.make_format(&source.id)?;
        }
        let disk = Disk::new(root.dir(), false, None, Arc::default(), Arc::default());
        let copy = Copy { source, root, disk };
        let mut report = BackupReport::default();
        copy.index()?;
        copy.files(&mut report)?;
        copy.name_index()?;
        copy.at(FINAL, copy.remove_others(&mut report))?;
        Ok(report)
    }
}

fn unfit(to: &Path, reason: &'static str) -> OpenError {
    OpenError::io(to, io::Error::new(io::ErrorKind::InvalidInput, reason))
}

/// The identity of the folder at a path.
fn root_of(path: &Path) -> Result<(u64, u64), OpenError> {
    use std::os::unix::fs::MetadataExt;
    let metadata = path.metadata().map_err(|error| OpenError::io(path, error))?;
    Ok((metadata.dev(), metadata.ino()))
}

/// A copy in the making.
struct Copy {
    source: Reader,
    root: Root,
    disk: Disk,
}

impl Copy {
    /// Translates a failure at a path in the copy.
    fn at<T>(&self, name: &str, result: Result<T>) -> Result<T, OpenError> {
        result.map_err(|error| OpenError::fault(&self.root.at(name), error))
    }

    /// Copies the index under a temporary name.
    fn index(&self) -> Result<(), OpenError> {
        self.at(STAGING, self.clear_staging())?;
        for suffix in INDEX_FILES {
            self.at(NEW_INDEX, self.disk.unlink(Path::new(&format!("{NEW_INDEX}{suffix}"))))?;
        }
        let path = self.root.at(NEW_INDEX);
        let copied = self.source.rows(|conn| {
            conn.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
            Ok(())
        });
        self.at(NEW_INDEX, copied)?;
        let forgotten = self.change(|conn| {
            index::use_log(conn)?;
            Ok(conn.execute_batch("BEGIN; DELETE FROM parts; DELETE FROM withdrawn; COMMIT")?)
        });
        self.at(NEW_INDEX, forgotten)
    }

    /// Changes the index of the copy.
    fn change<T>(&self, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
        let conn = index::open_new(&self.root.at(NEW_INDEX)).map_err(|fault| match fault {
            IndexFault::Fault(error) => error,
            fault => Error::internal(fault),
        })?;
        work(&conn)
    }

    /// Copies the files of the index of the copy.
    fn files(&self, report: &mut BackupReport) -> Result<(), OpenError> {
        let mut after = (String::new(), String::new());
        loop {
            let page = self.at(NEW_INDEX, self.change(|conn| finals::next_of_all(conn, &after, PAGE)))?;
            let Some((scope, last)) = page.last() else { return Ok(()) };
            after = (scope.as_str().to_owned(), last.file.as_str().to_owned());
            let mut gone = Vec::new();
            let mut staged = Vec::new();
            for (scope, row) in page {
                match self.at(STAGING, self.file(&scope, &row))? {
                    Copied::Was => report.objects += 1,
                    Copied::New(token) => {
                        report.objects += 1;
                        report.copied += 1;
                        report.bytes += row.size;
                        staged.push((token, layout::final_path(&scope, &row.file)));
                    }
                    Copied::Lost => {
                        if self.at(INDEX, self.source.is_live(&scope, &row.file))? {
                            report.lost.push(layout::final_path(&scope, &row.file).display().to_string());
                        }
                        gone.push((scope, row.file));
                    }
                }
            }
            self.at(FINAL, self.publish(&staged))?;
            let forget = |conn: &Connection| {
                conn.execute_batch("BEGIN")?;
                gone.iter().try_for_each(|(scope, file)| finals::remove(conn, scope, file))?;
                Ok(conn.execute_batch("COMMIT")?)
            };
            self.at(NEW_INDEX, self.change(forget))?;
        }
    }

    /// Copies a file, unless an earlier copy has it.
    fn file(&self, scope: &Scope, row: &FinalReceipt) -> Result<Copied> {
        let path = layout::final_path(scope, &row.file);
        match self.disk.stat(&path)? {
            Some(there) if there.is_file && there.size == row.size => return Ok(Copied::Was),
            Some(_) => _ = self.disk.unlink(&path)?,
            None => {}
        }
        let Some(from) = self.source.disk.open_read(&path)? else { return Ok(Copied::Lost) };
        let token = Token::random()?;
        let to = self.disk.create(&layout::staged(&token))?;
        if io::copy(&mut &*from, &mut &*to)? != row.size {
            self.disk.unlink(&layout::staged(&token))?;
            return Ok(Copied::Lost);
        }
        to.set_modified(from.metadata()?.modified()?)?;
        Ok(Copied::New(token))
    }

    /// Gives the copied files their names, when all of them are durable.
    fn publish(&self, staged: &[(Token, PathBuf)]) -> Result<()> {
        if staged.is_empty() {
            return Ok(());
        }
        rustix::fs::syncfs(self.root.dir())?;
        for (token, path) in staged {
            let from = layout::staged(token);
            self.disk.link(&from, path)?;
            self.disk.unlink(&from)?;
        }
        Ok(())
    }

    /// Replaces the earlier index by the new one.
    fn name_index(&self) -> Result<(), OpenError> {
        self.at(NEW_INDEX, self.change(index::write_back))?;
        self.at(NEW_INDEX, rustix::fs::syncfs(self.root.dir()).map_err(Error::from))?;
        for suffix in &INDEX_FILES[1..] {
            self.at(INDEX, self.disk.unlink(Path::new(&format!("{INDEX}{suffix}"))))?;
        }
        let dir = self.root.dir();
        let renamed = rustix::fs::renameat(&dir, NEW_INDEX, &dir, INDEX);
        self.at(INDEX, renamed.map_err(Error::from))?;
        self.root.sync()?;
        self.root.inspect(&self.source.id).map_err(|fault| self.root.index_error(fault))
    }

    /// Removes files of an earlier copy that no row names any more.
    fn remove_others(&self, report: &mut BackupReport) -> Result<()> {
        let conn = index::open_new(&self.root.at(INDEX)).map_err(Error::internal)?;
        let mut scopes = Vec::new();
        self.disk.each_name(Path::new(FINAL), |name| {
            scopes.extend(Scope::from_written(name));
            Ok(true)
        })?;
        for scope in scopes {
            let mut others = Vec::new();
            self.disk.each_name(&layout::final_dir(&scope), |name| {
                if let Ok(file) = FileId::parse(name)
                    && !matches!(finals::get(&conn, &scope, &file)?, Some(FinalRow::Live(_)))
                {
                    others.push(layout::final_path(&scope, &file));
                }
                Ok(true)
            })?;
            for path in others {
                report.removed += u64::from(self.disk.unlink(&path)?);
            }
        }
        Ok(())
    }

    /// Removes the staged files of a killed backup.
    fn clear_staging(&self) -> Result<()> {
        let mut left = Vec::new();
        self.disk.each_name(Path::new(STAGING), |name| {
            left.extend(Token::parse(name));
            Ok(true)
        })?;
        left.iter().try_for_each(|token| self.disk.unlink(&layout::staged(token)).map(drop))
    }
}

/// The result of copying a file.
enum Copied {
    /// An earlier copy has the file.
    Was,
    /// The file is staged under this token.
    New(Token),
    /// The store has no such file, or one of another size.
    Lost,
}

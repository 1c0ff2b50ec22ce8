//! The local backend, and a direct look at its folder.
//!
//! The look uses none of the backend's code: it reads the files as any program, and the index with SQLite.

use super::max_object_size;
use crate::stores::{BoxError, Found, FoundObject, FoundPart, TestBackend, TestStore};
use async_trait::async_trait;
use portico_store::local::{Durability, LocalOptions, LocalStore};
use portico_store::{Backend, Digest, Scope, Sha256};
use rusqlite::{Connection, OpenFlags};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;

/// Longest wait for the background tasks of a store after its last host is dropped.
const SETTLE: Duration = Duration::from_secs(5);

/// Creates stores in new folders in the system's temporary folder.
pub struct Local;

#[async_trait]
impl TestBackend for Local {
    fn name(&self) -> &str {
        "local"
    }

    fn capabilities(&self) -> &[&'static str] {
        &["small-limit", "large"]
    }

    async fn fresh(&self, needs: &[String]) -> Result<Box<dyn TestStore>, BoxError> {
        Ok(Box::new(LocalTestStore::new(tempfile::tempdir()?, needs, Durability::Full)))
    }
}

/// Creates stores in a temporary folder below a given one. Dropping the value removes the stores.
pub struct LocalBelow {
    folder: TempDir,
    durability: Durability,
}

impl LocalBelow {
    /// Creates the temporary folder, and the given folder if it does not exist.
    ///
    /// # Errors
    /// If a folder cannot be created, or the given folder is itself a store.
    pub fn new(below: &Path, durability: Durability) -> Result<Self, BoxError> {
        if ["format", "index.sqlite"].iter().any(|name| below.join(name).exists()) {
            return Err(format!("{} is a store; give another folder", below.display()).into());
        }
        let make = || {
            fs::create_dir_all(below)?;
            tempfile::Builder::new().prefix("conformance-").tempdir_in(below)
        };
        let folder = make().map_err(|error| format!("{}: {error}", below.display()))?;
        Ok(LocalBelow { folder, durability })
    }
}

#[async_trait]
impl TestBackend for LocalBelow {
    fn name(&self) -> &str {
        Local.name()
    }

    fn capabilities(&self) -> &[&'static str] {
        Local.capabilities()
    }

    async fn fresh(&self, needs: &[String]) -> Result<Box<dyn TestStore>, BoxError> {
        Ok(Box::new(LocalTestStore::new(tempfile::tempdir_in(&self.folder)?, needs, self.durability)))
    }
}

struct LocalTestStore {
    /// Removed when this value is dropped.
    folder: TempDir,
    options: LocalOptions,
}

impl LocalTestStore {
    fn new(folder: TempDir, needs: &[String], durability: Durability) -> Self {
        let max_object_size = max_object_size(needs);
        LocalTestStore { folder, options: LocalOptions { durability, max_object_size, lock_wait: SETTLE } }
    }
}

#[async_trait]
impl TestStore for LocalTestStore {
    async fn open(&self) -> Result<Arc<dyn Backend>, BoxError> {
        Ok(Arc::new(LocalStore::open(&self.folder.path().join("store"), self.options.clone()).await?))
    }

    async fn inspect(&self) -> Result<Found, BoxError> {
        let root = self.folder.path().join("store");
        tokio::task::spawn_blocking(move || {
            let _lock = lock(&root)?;
            inspect(&root)
        })
        .await?
    }

    async fn remove(&self) -> Result<(), BoxError> {
        Ok(())
    }
}

/// Waits until no process and no background job holds the store's lock.
fn lock(root: &Path) -> Result<File, BoxError> {
    let lock = File::open(root)?;
    let since = std::time::Instant::now();
    while let Err(error) = lock.try_lock() {
        if since.elapsed() > SETTLE {
            return Err(format!("the store is still in use {SETTLE:?} after its last host was dropped: {error}").into());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Ok(lock)
}

fn inspect(root: &Path) -> Result<Found, BoxError> {
    let mut files = Files::new(root)?;
    let index = Connection::open_with_flags(root.join("index.sqlite"), OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    let mut found = Found::default();
    objects(&index, &mut files, &mut found)?;
    parts(&index, &mut files, &mut found)?;
    for table in ["finals", "parts", "records"] {
        let mut rows = index.prepare(&format!("SELECT DISTINCT scope FROM {table}"))?;
        for scope in rows.query_map([], |row| row.get::<_, String>(0))? {
            found.scopes.insert(parse_scope(&scope?)?);
        }
    }
    for own in ["format", "lock", "reserve", "index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
        files.names.remove(Path::new(own));
    }
    found.faults.extend(files.names.iter().map(|name| format!("{} has no row", name.display())));
    found.faults.extend(files.faults);
    Ok(found)
}

fn objects(index: &Connection, files: &mut Files, found: &mut Found) -> Result<(), BoxError> {
    let mut rows = index.prepare("SELECT scope, file, size, sha256 FROM finals WHERE gone IS NULL")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (scope, file): (String, String) = (row.get(0)?, row.get(1)?);
        let receipt = (row.get::<_, u64>(2)?, Digest::try_from(row.get::<_, Vec<u8>>(3)?.as_slice())?.to_hex());
        let key = format!("final/{scope}/{file}");
        if let Some((size, sha256)) = files.whole(Path::new(&key))? {
            if (size, sha256.to_hex()) != receipt {
                found.faults.push(format!("{key} differs from its row"));
            }
            found.objects.push(FoundObject::new(parse_scope(&scope)?, "local", key, size, sha256));
        }
    }
    Ok(())
}

fn parts(index: &Connection, files: &mut Files, found: &mut Found) -> Result<(), BoxError> {
    let mut rows = index.prepare("SELECT scope, session, number, token, size, starts, placed, sha256 FROM parts")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (scope, session): (String, String) = (row.get(0)?, row.get(1)?);
        let (number, token): (u32, String) = (row.get(2)?, row.get(3)?);
        let (size, starts): (u64, Option<u64>) = (row.get(4)?, row.get(5)?);
        let (placed, sha256): (bool, Option<Vec<u8>>) = (row.get(6)?, row.get(7)?);
        let folder = PathBuf::from(format!("temp/{scope}/{session}"));
        let key = format!("{session}/{number}/{token}");
        let there = match starts {
            Some(starts) if placed => files.range(&folder.join("placed"), starts, size)?,
            None if placed => return Err(format!("{key} is placed, but has no offset").into()),
            _ => files.whole(&folder.join(&token))?,
        };
        if let Some((found_size, digest)) = there {
            if found_size != size || sha256.is_some_and(|sha256| sha256 != digest.0) {
                found.faults.push(format!("part {key} differs from its row"));
            }
            found.parts.push(FoundPart::new(parse_scope(&scope)?, key, found_size, digest));
        }
    }
    // A session's own file stays while it has ranges, even if their parts have been deleted.
    let mut rows = index.prepare("SELECT DISTINCT scope, session FROM withdrawn")?;
    let mut rows = rows.query([])?;
    while let Some(row) = rows.next()? {
        let (scope, session): (String, String) = (row.get(0)?, row.get(1)?);
        files.names.remove(&PathBuf::from(format!("temp/{scope}/{session}/placed")));
    }
    Ok(())
}

fn parse_scope(text: &str) -> Result<Scope, BoxError> {
    Scope::from_written(text).ok_or_else(|| format!("a row has the scope {text:?}").into())
}

/// The files below a root.
struct Files {
    root: PathBuf,
    /// Files that no row has named yet.
    names: BTreeSet<PathBuf>,
    faults: Vec<String>,
}

impl Files {
    fn new(root: &Path) -> Result<Self, BoxError> {
        let mut files = Files { root: root.to_owned(), names: BTreeSet::new(), faults: Vec::new() };
        files.walk(Path::new(""))?;
        Ok(files)
    }

    fn walk(&mut self, folder: &Path) -> Result<(), BoxError> {
        for entry in fs::read_dir(self.root.join(folder))? {
            let entry = entry?;
            let path = folder.join(entry.file_name());
            if entry.file_type()?.is_dir() {
                self.walk(&path)?;
            } else {
                self.names.insert(path);
            }
        }
        Ok(())
    }

    /// Returns size and digest of a file; `None`, with a fault, if the file does not exist.
    fn whole(&mut self, name: &Path) -> Result<Option<(u64, Digest)>, BoxError> {
        self.range(name, 0, u64::MAX)
    }

    /// Returns size and digest of the part of a range that the file has.
    fn range(&mut self, name: &Path, start: u64, size: u64) -> Result<Option<(u64, Digest)>, BoxError> {
        let path = self.root.join(name);
        self.names.remove(name);
        match fs::symlink_metadata(&path) {
            Ok(there) if !there.is_file() || there.nlink() != 1 => {
                self.faults.push(format!("{} is not a file with a single name", name.display()));
                return Ok(None);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                self.faults.push(format!("{} has a row but does not exist", name.display()));
                return Ok(None);
            }
            there => there?,
        };
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(start))?;
        let mut content = file.take(size);
        let (mut count, mut sha256) = (0, Sha256::new());
        let mut buffer = vec![0; 64 << 10];
        loop {
            match content.read(&mut buffer)? {
                0 => return Ok(Some((count, sha256.finish()))),
                read => {
                    sha256.update(&buffer[..read]);
                    count += read as u64;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portico_store::{FileId, FinalOptions, PartOptions, SessionId, put_final, put_part, stream};

    /// Returns a closed store with an object, an unplaced part and a placed part.
    async fn store() -> (LocalTestStore, PathBuf) {
        let folder = LocalTestStore::new(tempfile::tempdir().unwrap(), &[], Durability::Full);
        let root = folder.folder.path().join("store");
        let store = folder.open().await.unwrap();
        let (scope, session) = (Scope::root(), SessionId::parse("session").unwrap());
        let mut content = stream::from_bytes("content");
        put_final(&*store, &scope, &FileId::parse("file").unwrap(), &mut content, FinalOptions::default())
            .await
            .unwrap();
        let mut content = stream::from_bytes("own");
        put_part(&*store, &scope, &session, 1, &mut content, PartOptions::default()).await.unwrap();
        let mut options = PartOptions { offset: Some(100), ..PartOptions::default() };
        options.expected.size = Some(6);
        let mut content = stream::from_bytes("placed");
        put_part(&*store, &scope, &session, 2, &mut content, options).await.unwrap();
        (folder, root)
    }

    async fn faults(folder: &LocalTestStore) -> Vec<String> {
        folder.inspect().await.unwrap().faults
    }

    #[tokio::test]
    async fn sees_what_is_there() {
        let (folder, _) = store().await;
        let found = folder.inspect().await.unwrap();
        assert_eq!(found.faults, Vec::<String>::new());
        assert_eq!(found.scopes, BTreeSet::from([Scope::root()]));
        let sha256 = |text: &str| {
            let mut sha256 = Sha256::new();
            sha256.update(text.as_bytes());
            sha256.finish()
        };
        assert_eq!(found.objects, [FoundObject::new(Scope::root(), "local", "final/main/file", 7, sha256("content"))]);
        let parts: Vec<_> = found.parts.into_iter().map(|part| (part.size, part.sha256)).collect();
        assert_eq!(parts, [(3, sha256("own").to_hex()), (6, sha256("placed").to_hex())]);
    }

    #[tokio::test]
    async fn sees_files_that_belong_to_nothing() {
        for stray in ["staging/0", "temp/main/session/0", "temp/main/other/placed", "final/main/0", "final/0", "0"] {
            let (folder, root) = store().await;
            fs::create_dir_all(root.join(stray).parent().unwrap()).unwrap();
            fs::write(root.join(stray), "stray").unwrap();
            assert_eq!(faults(&folder).await, [format!("{stray} has no row")]);
        }
    }

    #[tokio::test]
    async fn sees_rows_without_data_and_data_that_is_not_what_its_row_says() {
        let (folder, root) = store().await;
        let file = root.join("final/main/file");
        fs::write(&file, "c0ntent").unwrap();
        assert_eq!(faults(&folder).await, ["final/main/file differs from its row"]);
        fs::write(&file, "content!").unwrap();
        assert_eq!(faults(&folder).await, ["final/main/file differs from its row"]);
        fs::remove_file(&file).unwrap();
        assert_eq!(faults(&folder).await, ["final/main/file has a row but does not exist"]);

        let placed = File::options().write(true).open(root.join("temp/main/session/placed")).unwrap();
        placed.set_len(103).unwrap();
        let faults = faults(&folder).await;
        assert_eq!(faults.len(), 2, "{faults:?}");
        assert!(faults[0].starts_with("part session/2/"), "{faults:?}");
    }

    #[tokio::test]
    async fn sees_a_second_name_of_a_file() {
        let (folder, root) = store().await;
        fs::hard_link(root.join("final/main/file"), root.join("staging/file")).unwrap();
        assert_eq!(
            faults(&folder).await,
            ["staging/file has no row", "final/main/file is not a file with a single name"]
        );
    }

    #[tokio::test]
    async fn does_not_look_at_a_store_in_use() {
        let (folder, root) = store().await;
        let _store = folder.open().await.unwrap();
        assert!(File::open(root).unwrap().try_lock().is_err());
    }
}

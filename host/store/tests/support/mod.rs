//! Helpers of the local store's tests.

#![allow(dead_code, reason = "each test uses some of it")]

pub(crate) mod hold;
pub(crate) mod parts;

use portico_store::local::{LocalOptions, LocalStore, OpenError};
use portico_store::{
    Backend, ByteRange, Error, Expected, FileId, FinalKey, FinalOptions, FinalReceipt, PartOptions, PartReceipt,
    Result, Scope, SessionId, put_final, put_part, stream,
};
use rustix::mount::{MountFlags, UnmountFlags, mount, mount_remount, unmount};
use std::collections::BTreeMap;
use std::ffi::CString;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Opens the store in a folder.
pub(crate) async fn open(path: &Path) -> Result<LocalStore, OpenError> {
    LocalStore::open(path, LocalOptions::default()).await
}

pub(crate) fn scope() -> Scope {
    Scope::root()
}

pub(crate) fn session(name: &str) -> SessionId {
    SessionId::parse(name).expect("a session id")
}

pub(crate) fn file(name: &str) -> FileId {
    FileId::parse(name).expect("a file id")
}

/// Distinctive bytes.
pub(crate) fn content(seed: u8, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at % 251) as u8 ^ seed ^ (at >> 8) as u8).collect()
}

/// Puts a final object.
pub(crate) async fn put(store: &LocalStore, id: &str, content: Vec<u8>) -> Result<FinalReceipt> {
    put_final(store, &scope(), &file(id), &mut stream::from_bytes(content), FinalOptions::default()).await
}

/// Puts a part, at its offset if one is given.
pub(crate) async fn part(
    store: &LocalStore,
    of: &str,
    number: u32,
    offset: Option<u64>,
    content: Vec<u8>,
) -> Result<PartReceipt> {
    let options = options(offset, content.len());
    put_part(store, &scope(), &session(of), number, &mut stream::from_bytes(content), options).await
}

/// Options of a part of a known size, at its offset if one is given.
pub(crate) fn options(offset: Option<u64>, size: usize) -> PartOptions {
    let expected = Expected { size: Some(size as u64), ..Expected::default() };
    PartOptions { offset, expected, ..PartOptions::default() }
}

/// The content of a final object.
pub(crate) async fn get(store: &LocalStore, id: &str) -> Result<Vec<u8>> {
    let key = FinalKey { bucket: "local".to_owned(), key: format!("final/main/{id}") };
    stream::collect(&mut *store.read_final(&scope(), &key, ByteRange::default()).await?, 64 << 20).await
}

/// Deletes a final object.
pub(crate) async fn delete(store: &LocalStore, id: &str) -> Result<bool> {
    let key = FinalKey { bucket: "local".to_owned(), key: format!("final/main/{id}") };
    store.delete_final(&scope(), &key).await
}

/// Everything in a folder: for each path its kind, mode, and content or target.
pub(crate) fn snapshot(root: &Path) -> BTreeMap<PathBuf, (String, u32, Vec<u8>)> {
    fn walk(dir: &Path, found: &mut BTreeMap<PathBuf, (String, u32, Vec<u8>)>) {
        for entry in std::fs::read_dir(dir).expect("a folder") {
            let path = entry.expect("an entry").path();
            let metadata = path.symlink_metadata().expect("metadata");
            let kind = metadata.file_type();
            let (name, content) = if kind.is_symlink() {
                ("symlink", path.read_link().expect("a target").into_os_string().into_encoded_bytes())
            } else if kind.is_dir() {
                walk(&path, found);
                ("folder", Vec::new())
            } else if kind.is_file() {
                ("file", std::fs::read(&path).expect("a file"))
            } else {
                (if kind.is_fifo() { "pipe" } else { "other" }, Vec::new())
            };
            found.insert(path, (name.to_owned(), metadata.mode(), content));
        }
    }
    let mut found = BTreeMap::new();
    walk(root, &mut found);
    found
}

/// The paths of a snapshot.
pub(crate) fn paths(root: &Path) -> Vec<String> {
    let relative = |path: &PathBuf| path.strip_prefix(root).expect("below the root").display().to_string();
    snapshot(root).keys().map(relative).collect()
}

/// Checks that a folder is refused for the expected reason, and is unchanged.
pub(crate) async fn refused(root: &Path, what: &str, expected: impl Fn(&OpenError) -> bool) -> OpenError {
    let before = snapshot(root);
    let Err(error) = open(root).await else { panic!("{what}: opened") };
    assert!(expected(&error), "{what}: {error:?}");
    let after = snapshot(root);
    let names = |of: &BTreeMap<PathBuf, _>| of.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&after), names(&before), "{what}");
    assert!(after == before, "{what}: a file was changed");
    error
}

/// Set in a test that runs in a namespace of its own.
const IN_NAMESPACE: &str = "PORTICO_TEST_IN_NAMESPACE";

/// A filesystem in memory with a limited size.
pub(crate) struct Tmpfs(tempfile::TempDir);

impl Tmpfs {
    /// Mounts one of that many KiB, for the test of that name. Without the right to mount, the test is repeated in a
    /// namespace that has it, and `None` says that it has passed there.
    pub(crate) fn mount(kib: u64, test: &str) -> Option<Self> {
        let dir = tempfile::tempdir().expect("a folder");
        let options = CString::new(format!("size={kib}k,mode=0755")).expect("options");
        match mount("tmpfs", dir.path(), "tmpfs", MountFlags::empty(), Some(options.as_c_str())) {
            Ok(()) => return Some(Tmpfs(dir)),
            Err(rustix::io::Errno::PERM | rustix::io::Errno::ACCESS) => {}
            Err(error) => panic!("a tmpfs can't be mounted: {error}"),
        }
        assert!(std::env::var_os(IN_NAMESPACE).is_none(), "not even in a namespace of its own may this test mount");
        let status = Command::new("unshare")
            .args(["--map-root-user", "--mount"])
            .arg(std::env::current_exe().expect("this test"))
            .args(["--exact", test, "--nocapture"])
            .env(IN_NAMESPACE, "1")
            .status()
            .expect("unshare(1)");
        assert!(
            status.success(),
            "this test needs to mount a tmpfs: run it as root, or where user namespaces are allowed"
        );
        None
    }

    /// Changes its size to that many KiB.
    pub(crate) fn resize(&self, kib: u64) {
        self.remount(MountFlags::empty(), &format!("size={kib}k"));
    }

    /// Limits the number of its files.
    pub(crate) fn limit_files(&self, files: u64) {
        self.remount(MountFlags::empty(), &format!("nr_inodes={files}"));
    }

    /// Makes it read-only, or not.
    pub(crate) fn set_read_only(&self, read_only: bool) {
        self.remount(if read_only { MountFlags::RDONLY } else { MountFlags::empty() }, "");
    }

    fn remount(&self, flags: MountFlags, options: &str) {
        let options = CString::new(options).expect("options");
        mount_remount(self.0.path(), flags, options.as_c_str()).expect("a tmpfs that can be changed");
    }

    pub(crate) fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Tmpfs {
    fn drop(&mut self) {
        if let Err(error) = unmount(self.0.path(), UnmountFlags::DETACH) {
            tracing::error!(%error, path = %self.0.path().display(), "a tmpfs stays mounted");
        }
    }
}

/// Whether a result is a lack of room.
pub(crate) fn is_full<T>(result: &Result<T>) -> bool {
    matches!(result, Err(Error::NoSpace))
}

//! The cache of compiled components.
//!
//! A folder with one file for each component, host version and engine configuration, named by the digest of the three.
//! Invariants: nothing in the folder is trusted unless the folder belongs to the user of this process and is closed to all
//! others (mode 0700), and the file passed the checks of `artifact.rs`; a file gets its name when it is whole and synced; any
//! failure means a compilation and a line in the log, never a failed start. Any number of processes may share a folder.

use super::artifact::{About, Artifact, ArtifactError, VERSION};
use super::limits::{CACHE_BYTES, CACHE_FILES, CACHE_TEMPORARY_AGE};
use portico_store::chain;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wasmtime::Engine;

/// Extension of the files.
const EXTENSION: &str = "cwasm";

/// Extension of files that are being written.
const TEMPORARY: &str = "tmp";

/// Why a folder is not used as a cache.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The folder cannot be created or read.
    #[error("cannot use the folder")]
    Io(#[from] io::Error),
    /// Another user could write to the folder.
    #[error(
        "others could write to the folder (owner {owner}, mode {mode:04o}): it must belong to the user of this process \
         ({user}) and have mode 0700"
    )]
    Exposed {
        /// The owner of the folder.
        owner: u32,
        /// The permission bits of the folder.
        mode: u32,
        /// The user of this process.
        user: u32,
    },
}

/// An open cache.
#[derive(Clone, Debug)]
pub struct CompileCache {
    folder: PathBuf,
}

impl CompileCache {
    /// Opens a folder as a cache. Creates the folder if there is none.
    ///
    /// # Errors
    /// [`CacheError`].
    pub fn open(folder: &Path) -> Result<CompileCache, CacheError> {
        if let Some(parent) = folder.parent() {
            fs::create_dir_all(parent)?;
        }
        match DirBuilder::new().mode(0o700).create(folder) {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error.into()),
            _ => {}
        }
        let facts = fs::metadata(folder)?;
        let user = rustix::process::geteuid().as_raw();
        if !facts.is_dir() {
            return Err(CacheError::Io(ErrorKind::NotADirectory.into()));
        }
        if facts.uid() != user || facts.mode() & 0o077 != 0 {
            return Err(CacheError::Exposed { owner: facts.uid(), mode: facts.mode() & 0o7777, user });
        }
        Ok(CompileCache { folder: folder.to_owned() })
    }

    /// Opens the folder of the configuration. Logs why a folder is not used.
    pub fn open_or_warn(folder: &Path) -> Option<CompileCache> {
        match CompileCache::open(folder) {
            Ok(cache) => Some(cache),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!(%folder, error = chain(&error), "the cache of compiled portals is not used (compile_cache)");
                None
            }
        }
    }

    /// Looks for a compiled component. Removes a file that is not what its name says.
    pub(super) fn load(&self, key: &str) -> Option<Artifact> {
        let path = self.path(key, EXTENSION);
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path);
        let opened = match file {
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => Err(ArtifactError::Read(error)),
            Ok(file) => {
                // The age decides which file is removed first.
                let _ = file.set_modified(SystemTime::now());
                Artifact::open(file).and_then(|artifact| {
                    if artifact.about().key == key { Ok(artifact) } else { Err(ArtifactError::OtherKey) }
                })
            }
        };
        opened.inspect_err(|error| self.refuse(key, error)).ok()
    }

    /// Logs why a file is not used, and removes the file.
    pub(super) fn refuse(&self, key: &str, error: &dyn std::error::Error) {
        let path = self.path(key, EXTENSION);
        let file = path.display();
        tracing::warn!(%file, error = chain(error), "a compiled portal in the cache is not used; compiling again");
        let _ = fs::remove_file(&path);
    }

    /// Keeps a compiled component. Returns the file in the cache.
    ///
    /// # Errors
    /// Those of the filesystem. Nothing stays behind.
    pub(super) fn store(&self, about: &About, from: &Artifact) -> io::Result<File> {
        let random = getrandom::u64().map_err(io::Error::other)?;
        let temporary = self.path(&format!("{}.{random:016x}", about.key), TEMPORARY);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true).mode(0o600);
        let mut file = options.open(&temporary)?;
        let path = self.path(&about.key, EXTENSION);
        let written = (|| {
            let mut content = from.file();
            content.seek(SeekFrom::Start(0))?;
            io::copy(&mut content, &mut file)?;
            file.sync_all()?;
            fs::rename(&temporary, &path)?;
            File::open(&self.folder)?.sync_all()?;
            // Read-only, because nobody writes to it from now on.
            OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path)
        })();
        if written.is_err() {
            let _ = fs::remove_file(&temporary);
        }
        self.prune(&path);
        written
    }

    /// Removes the least recently used files beyond [`CACHE_FILES`] and [`CACHE_BYTES`], and what killed processes left.
    fn prune(&self, keep: &Path) {
        let Ok(entries) = fs::read_dir(&self.folder) else { return };
        let mut files = Vec::new();
        for entry in entries.flatten() {
            let path = entry.path();
            let Ok(facts) = entry.metadata() else { continue };
            let Ok(used) = facts.modified() else { continue };
            match path.extension().and_then(|extension| extension.to_str()) {
                Some(EXTENSION) if path != keep => files.push((used, facts.len(), path)),
                Some(TEMPORARY) if used.elapsed().is_ok_and(|age| age > CACHE_TEMPORARY_AGE) => {
                    let _ = fs::remove_file(path);
                }
                _ => {}
            }
        }
        files.sort_unstable_by(|one, other| other.cmp(one));
        let mut bytes = fs::metadata(keep).map_or(0, |facts| facts.len());
        for (number, (_, size, path)) in files.into_iter().enumerate() {
            bytes = bytes.saturating_add(size);
            if number + 1 >= CACHE_FILES || bytes > CACHE_BYTES {
                tracing::debug!(file = %path.display(), "removing an old file of the cache of compiled portals");
                let _ = fs::remove_file(path);
            }
        }
    }

    fn path(&self, name: &str, extension: &str) -> PathBuf {
        self.folder.join(format!("{name}.{extension}"))
    }
}

/// Returns the name of a component's file: the digest of the component, of the engine as far as compiled code depends on it,
/// and of this program's version.
pub(super) fn key(component: &[u8], engine: &Engine) -> String {
    /// Hashes what the engine says about itself.
    struct Digest(blake3::Hasher);
    impl Hasher for Digest {
        fn write(&mut self, bytes: &[u8]) {
            self.0.update(bytes);
        }

        fn finish(&self) -> u64 {
            u64::from_le_bytes(self.0.finalize().as_bytes()[..8].try_into().expect("8 bytes"))
        }
    }
    let mut digest = Digest(blake3::Hasher::new());
    digest.write(blake3::hash(component).as_bytes());
    engine.precompile_compatibility_hash().hash(&mut digest);
    digest.write(VERSION.as_bytes());
    digest.0.finalize().to_hex()[..32].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_closed_folder_of_ones_own_is_used() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("a/b");
        CompileCache::open(&inner).unwrap();
        assert_eq!(fs::metadata(&inner).unwrap().mode() & 0o777, 0o700);
        for mode in [0o755, 0o770, 0o707] {
            fs::set_permissions(&inner, fs::Permissions::from_mode(mode)).unwrap();
            let error = CompileCache::open(&inner).unwrap_err().to_string();
            assert!(error.contains(&format!("mode {mode:04o}")) && error.contains("mode 0700"), "{error}");
        }
        let file = folder.path().join("file");
        fs::write(&file, "").unwrap();
        assert!(CompileCache::open(&file).is_err());
        assert!(CompileCache::open(&file.join("below")).is_err());
    }

    #[test]
    fn the_least_recently_used_go_first() {
        let folder = tempfile::tempdir().unwrap();
        let cache = CompileCache::open(&folder.path().join("cache")).unwrap();
        let path = |number: usize| cache.path(&format!("{number:03}"), EXTENSION);
        for number in 0..CACHE_FILES + 3 {
            let file = File::create(path(number)).unwrap();
            file.set_modified(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(number as u64)).unwrap();
        }
        File::create(cache.path("young", TEMPORARY)).unwrap();
        File::create(cache.path("old", TEMPORARY)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
        // The oldest was used just now.
        cache.prune(&path(0));
        let left = fs::read_dir(&cache.folder).unwrap().count();
        assert_eq!(left, CACHE_FILES + 1, "with the young temporary file");
        assert!(path(0).exists() && !path(1).exists() && path(CACHE_FILES + 2).exists());
        assert!(cache.path("young", TEMPORARY).exists());
    }
}

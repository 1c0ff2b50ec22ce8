//! Where a file goes that is got: first under a name of its own, and under its final one when it is whole.
//!
//! Invariants: without `force` nothing is replaced, not even a file that appeared meanwhile; with `force` only a plain file is
//! replaced, never a device, pipe, socket, folder or symbolic link.

use crate::error::Error;
use crate::limits::CHUNK;
use portico_store::{Digest, Sha256};
use rustix::fs::{FlockOperation, OFlags, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use std::fs::{self, File, FileType, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

/// Longest name of a file, in bytes.
const NAME_MAX: usize = 255;

/// What the server says of a file before it comes.
pub(crate) struct RemoteFile {
    pub(crate) id: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    pub(crate) sha256: Digest,
    /// What it was called.
    pub(crate) name: Option<String>,
}

/// A file that is not whole yet. It is kept when this is dropped, and found again by a later run.
pub(crate) struct PartFile {
    /// Where it is now.
    path: PathBuf,
    /// Where it will be.
    target: PathBuf,
    file: File,
    force: bool,
}

/// What is there of a file already.
pub(crate) struct Prefix {
    pub(crate) length: u64,
    pub(crate) sha256: Sha256,
}

impl PartFile {
    /// Opens what an earlier run has left of the file, or an empty one, in the folder of the target. Its name tells the
    /// file and its digest, so what is in it is a piece of nothing else.
    pub(crate) fn open(target: PathBuf, remote: &RemoteFile, force: bool) -> Result<(PartFile, Prefix), Error> {
        if let Ok(there) = fs::symlink_metadata(&target) {
            replaceable(&target, there.file_type())?;
            if !force {
                return Err(Error::Exists(target));
            }
        }
        let name = format!(".portico-{}-{}.part", remote.id, &remote.sha256.to_hex()[..16]);
        let path = folder(&target).join(name);
        let unwritable = |cause: io::Error| Error::Write { path: path.clone(), cause };
        let mut file = loop {
            let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
            let mut options = OpenOptions::new();
            options.read(true).write(true).create(true).truncate(false).custom_flags(flags.bits() as i32);
            let file = options.open(&path).map_err(unwritable)?;
            replaceable(&path, file.metadata().map_err(unwritable)?.file_type())?;
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => {}
                Err(Errno::WOULDBLOCK) => return Err(Error::Busy(target)),
                Err(cause) => return Err(unwritable(cause.into())),
            }
            // The one who had the lock before may have given it its final name.
            let ours = file.metadata().map_err(unwritable)?.ino();
            if fs::symlink_metadata(&path).is_ok_and(|there| there.ino() == ours) {
                break file;
            }
        };
        let prefix = prefix(&mut file, remote.size).map_err(unwritable)?;
        Ok((PartFile { path, target, file, force }, prefix))
    }

    /// Its end, to write on.
    pub(crate) fn writer(&self) -> Result<File, Error> {
        self.file.try_clone().map_err(|cause| self.unwritable(cause))
    }

    /// Gives it its final name.
    pub(crate) fn publish(self) -> Result<PathBuf, Error> {
        self.file.sync_all().map_err(|cause| self.unwritable(cause))?;
        // Checked again, because the target may have changed. Between this look and the rename it still can.
        if let Ok(there) = fs::symlink_metadata(&self.target) {
            replaceable(&self.target, there.file_type())?;
        }
        let renamed =
            if self.force { fs::rename(&self.path, &self.target) } else { rename_to_nothing(&self.path, &self.target) };
        match renamed {
            Ok(()) => {}
            Err(cause) if cause.kind() == io::ErrorKind::AlreadyExists => return Err(Error::Exists(self.target)),
            Err(cause) => return Err(Error::Write { path: self.target, cause }),
        }
        // Not every filesystem syncs folders; the file is there in any case.
        let _ = File::open(folder(&self.target)).and_then(|folder| folder.sync_all());
        Ok(self.target)
    }

    /// Removes it: what is in it is not what it should be.
    pub(crate) fn discard(self) -> Result<(), Error> {
        fs::remove_file(&self.path).map_err(|cause| self.unwritable(cause))
    }

    pub(crate) fn unwritable(&self, cause: io::Error) -> Error {
        Error::Write { path: self.path.clone(), cause }
    }
}

/// Fails unless the target is a plain file.
fn replaceable(path: &Path, there: FileType) -> Result<(), Error> {
    let kind = match there {
        there if there.is_file() => return Ok(()),
        there if there.is_dir() => "a folder",
        there if there.is_symlink() => "a symbolic link",
        there if there.is_fifo() => "a pipe",
        there if there.is_socket() => "a socket",
        _ => "a device",
    };
    Err(Error::NotReplaced { path: path.to_owned(), kind })
}

/// Reads what is there, and stands at its end. More than there can be is no piece of the file.
fn prefix(file: &mut File, most: u64) -> io::Result<Prefix> {
    let mut prefix = Prefix { length: 0, sha256: Sha256::new() };
    if file.metadata()?.len() > most {
        file.set_len(0)?;
    }
    let mut buffer = vec![0; CHUNK];
    file.seek(SeekFrom::Start(0))?;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(prefix),
            length => {
                prefix.sha256.update(&buffer[..length]);
                prefix.length += length as u64;
            }
        }
    }
}

/// Renames what must not replace anything; where the filesystem cannot do that, in two steps.
fn rename_to_nothing(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(rustix::fs::CWD, from, rustix::fs::CWD, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => {
            fs::hard_link(from, to)?;
            fs::remove_file(from)
        }
        renamed => Ok(renamed?),
    }
}

fn folder(target: &Path) -> &Path {
    match target.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}

/// The name under which a file is stored where nobody has said one: that of the server, unless it could do harm.
pub(crate) fn local_name(remote: &RemoteFile) -> &str {
    let harmless = |name: &&String| {
        // A hidden one may be read by some program without anybody asking for it.
        (1..=NAME_MAX).contains(&name.len())
            && !name.starts_with('.')
            && !name.contains(|c: char| c == '/' || c.is_control())
    };
    remote.name.as_ref().filter(harmless).unwrap_or(&remote.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use sha2::Digest as _;

    fn remote(name: Option<&str>, size: u64) -> RemoteFile {
        let name = name.map(str::to_owned);
        RemoteFile { id: "id".to_owned(), size, etag: String::new(), sha256: Digest([7; 32]), name }
    }

    #[test]
    fn a_name_of_the_server_leads_nowhere_else() {
        for (name, used) in [
            ("a b.txt", "a b.txt"),
            ("naïve", "naïve"),
            ("..", "id"),
            (".bashrc", "id"),
            ("a/b", "id"),
            ("/etc/passwd", "id"),
            ("a\nb", "id"),
            ("a\0b", "id"),
            ("", "id"),
        ] {
            assert_eq!(local_name(&remote(Some(name), 0)), used, "{name:?}");
        }
        assert_eq!(local_name(&remote(Some(&"x".repeat(256)), 0)), "id");
        assert_eq!(local_name(&remote(None, 0)), "id");
    }

    #[test]
    fn what_came_meanwhile_is_not_replaced_and_one_writes_at_a_time() {
        use std::io::Write as _;
        let folder = tempfile::TempDir::new().unwrap();
        let target = folder.path().join("target");
        let (part, prefix) = PartFile::open(target.clone(), &remote(None, 9), false).unwrap();
        assert_eq!(prefix.length, 0);
        part.writer().unwrap().write_all(b"abc").unwrap();
        assert!(matches!(PartFile::open(target.clone(), &remote(None, 9), false), Err(Error::Busy(_))));
        drop(part);

        let (part, prefix) = PartFile::open(target.clone(), &remote(None, 9), false).unwrap();
        assert_eq!((prefix.length, prefix.sha256.finish()), (3, Digest(sha2::Sha256::digest(b"abc").into())));
        part.writer().unwrap().write_all(b"def").unwrap();
        fs::write(&target, "somebody's").unwrap();
        assert!(matches!(part.publish(), Err(Error::Exists(_))));
        assert_eq!(fs::read(&target).unwrap(), b"somebody's");
        assert!(matches!(PartFile::open(target.clone(), &remote(None, 9), false), Err(Error::Exists(_))));

        let (part, prefix) = PartFile::open(target.clone(), &remote(None, 6), true).unwrap();
        assert_eq!(prefix.length, 6);
        assert_eq!(part.publish().unwrap(), target);
        assert_eq!(fs::read(&target).unwrap(), b"abcdef");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_came_meanwhile_and_is_no_plain_file_is_not_replaced_at_all() {
        let folder = tempfile::TempDir::new().unwrap();
        let target = folder.path().join("target");
        let (part, _) = PartFile::open(target.clone(), &remote(None, 0), true).unwrap();
        std::os::unix::fs::symlink("elsewhere", &target).unwrap();
        assert!(matches!(part.publish(), Err(Error::NotReplaced { kind: "a symbolic link", .. })));
        assert_eq!(fs::read_link(&target).unwrap(), Path::new("elsewhere"));
        fs::remove_file(&target).unwrap();

        // A pipe is not taken for a partial file.
        let part = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        fs::remove_file(&part).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &part, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
        let opened = PartFile::open(target, &remote(None, 0), true);
        assert!(matches!(opened, Err(Error::NotReplaced { kind: "a pipe", .. })));
    }

    #[test]
    fn what_is_longer_than_the_file_is_no_piece_of_it() {
        let folder = tempfile::TempDir::new().unwrap();
        let target = folder.path().join("target");
        let (part, _) = PartFile::open(target.clone(), &remote(None, 9), false).unwrap();
        part.file.set_len(10).unwrap();
        drop(part);
        let (part, prefix) = PartFile::open(target, &remote(None, 9), false).unwrap();
        assert_eq!((prefix.length, part.file.metadata().unwrap().len()), (0, 0));
        part.discard().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

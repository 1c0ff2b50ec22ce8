//! The filesystem of a folder, and its room.

use crate::local::open::error::OpenError;
use rustix::fs::{fstatfs, fstatvfs};
use std::fs::File;
use std::os::fd::AsFd;
use std::path::Path;

/// Properties of the filesystem of a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FsFacts {
    /// Its kind.
    pub kind: FsKind,
    /// Bytes that are free for this process.
    pub free: u64,
    /// Its size in bytes.
    pub total: u64,
    /// Files that can still be created; `None` where the filesystem has no such limit.
    pub free_files: Option<u64>,
}

/// The kind of a filesystem, by the number that statfs(2) gives for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsKind {
    /// A filesystem of this machine, by its name.
    Local(&'static str),
    /// A network filesystem, by its name. A store can't use it, because its locks and syncs do not hold what a store
    /// needs.
    Network(&'static str),
    /// A filesystem that may be of either kind, by its name.
    Maybe(&'static str),
    /// An unknown filesystem, by its number.
    Unknown(u64),
}

impl std::fmt::Display for FsKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FsKind::Local(name) => f.write_str(name),
            FsKind::Network(name) => write!(f, "{name}, a network filesystem"),
            FsKind::Maybe(name) => write!(f, "{name}, which may be a network filesystem"),
            FsKind::Unknown(number) => write!(f, "an unknown filesystem ({number:#x})"),
        }
    }
}

/// From linux/magic.h, and from the sources of filesystems outside the kernel.
const KINDS: &[(u64, FsKind)] = &[
    (0xef53, FsKind::Local("ext4")),
    (0x5846_5342, FsKind::Local("xfs")),
    (0x9123_683e, FsKind::Local("btrfs")),
    (0x2fc1_2fc1, FsKind::Local("zfs")),
    (0xf2f5_2010, FsKind::Local("f2fs")),
    (0xca45_1a4e, FsKind::Local("bcachefs")),
    (0x0102_1994, FsKind::Local("tmpfs")),
    (0x8584_58f6, FsKind::Local("ramfs")),
    (0x794c_7630, FsKind::Maybe("overlayfs")),
    (0x6573_5546, FsKind::Maybe("fuse")),
    (0x6969, FsKind::Network("nfs")),
    (0xff53_4d42, FsKind::Network("cifs")),
    (0xfe53_4d42, FsKind::Network("smb2")),
    (0x517b, FsKind::Network("smb")),
    (0x00c3_6400, FsKind::Network("ceph")),
    (0x5346_414f, FsKind::Network("afs")),
    (0x6b41_4653, FsKind::Network("afs")),
    (0x7375_7245, FsKind::Network("coda")),
    (0x0102_1997, FsKind::Network("9p")),
    (0x0bd0_0bd0, FsKind::Network("lustre")),
    (0x4750_4653, FsKind::Network("gpfs")),
    (0x1983_0326, FsKind::Network("beegfs")),
    (0x2003_0528, FsKind::Network("orangefs")),
    (0x7461_636f, FsKind::Network("ocfs2")),
    (0x0116_1970, FsKind::Network("gfs2")),
    (0x564c, FsKind::Network("ncp")),
];

fn kind(number: u64) -> FsKind {
    KINDS.iter().find(|(known, _)| *known == number).map_or(FsKind::Unknown(number), |(_, kind)| *kind)
}

fn kind_of(folder: impl AsFd) -> rustix::io::Result<FsKind> {
    // The field's type differs between machines, and its upper half is meaningless.
    fstatfs(folder).map(|stat| kind(stat.f_type as u64 & 0xffff_ffff))
}

/// The name of the network filesystem that contains a folder, if there is one.
pub(crate) fn network(folder: impl AsFd) -> rustix::io::Result<Option<&'static str>> {
    Ok(match kind_of(folder)? {
        FsKind::Network(name) => Some(name),
        FsKind::Local(_) | FsKind::Maybe(_) | FsKind::Unknown(_) => None,
    })
}

impl FsFacts {
    /// The filesystem of a folder, or of its nearest ancestor that exists. Changes nothing.
    ///
    /// # Errors
    /// [`OpenError::Io`].
    pub fn of(path: &Path) -> Result<FsFacts, OpenError> {
        let io = |error: std::io::Error| OpenError::io(path, error);
        let absolute = std::path::absolute(path).map_err(io)?;
        let there = absolute.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
        let folder = File::open(there).map_err(io)?;
        let stat = fstatvfs(&folder).map_err(|error| io(error.into()))?;
        Ok(FsFacts {
            kind: kind_of(&folder).map_err(|error| io(error.into()))?,
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
            free_files: (stat.f_files > 0).then_some(stat.f_favail),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_system_says_has_a_name() {
        assert_eq!(kind(0xef53), FsKind::Local("ext4"));
        assert_eq!(kind(0x6969), FsKind::Network("nfs"));
        assert_eq!(kind(0x6573_5546).to_string(), "fuse, which may be a network filesystem");
        assert_eq!(kind(1), FsKind::Unknown(1));
        let proc = File::open("/proc").unwrap();
        assert_eq!(kind_of(&proc).unwrap(), FsKind::Unknown(0x9fa0), "linux/magic.h: PROC_SUPER_MAGIC");
        assert_eq!(network(&proc).unwrap(), None);
    }

    #[test]
    fn a_missing_folder_has_the_facts_of_what_is_above_it() {
        let dir = tempfile::tempdir().unwrap();
        let facts = FsFacts::of(dir.path()).unwrap();
        assert!(facts.total > 0 && facts.free <= facts.total, "{facts:?}");
        let nested = FsFacts::of(&dir.path().join("not/yet/there")).unwrap();
        assert_eq!((nested.kind, nested.total), (facts.kind, facts.total));
        assert!(!dir.path().join("not").exists());
    }
}

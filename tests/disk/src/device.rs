//! The file that a disk is made of, as a FUSE filesystem.

use crate::blocks::Blocks;
use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};
use std::ffi::OsStr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, UNIX_EPOCH};

/// Name of the file.
pub(crate) const NAME: &str = "disk";
const FILE: INodeNo = INodeNo(2);
/// How long the kernel may believe what it was told of the file, which never changes.
const TTL: Duration = Duration::from_secs(3_600);

/// What is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write of this number.
    Write(u64),
    /// The flush of this number.
    Flush(u64),
}

/// What has reached a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, failed ones too.
    pub writes: u64,
    /// Flushes, failed ones too.
    pub flushes: u64,
}

/// What a disk has, and what is to become of it.
pub(crate) struct Device {
    size: u64,
    state: Mutex<State>,
}

struct State {
    /// What a loss of power leaves.
    flushed: Blocks,
    /// All that was written.
    written: Blocks,
    /// What was written since the last flush: offsets and lengths, in bytes.
    unflushed: Vec<(u64, usize)>,
    counts: Counts,
    fault: Option<Fault>,
    failed_at: Option<Instant>,
    is_off: bool,
}

impl Device {
    pub(crate) fn new(size: u64, blocks: Arc<Blocks>) -> Self {
        let state = State {
            flushed: Blocks::over(blocks.clone()),
            written: Blocks::over(blocks),
            unflushed: Vec::new(),
            counts: Counts::default(),
            fault: None,
            failed_at: None,
            is_off: false,
        };
        Device { size, state: Mutex::new(state) }
    }

    pub(crate) fn arm(&self, fault: Option<Fault>) {
        let mut state = self.state();
        (state.counts, state.fault, state.failed_at) = (Counts::default(), fault, None);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(crate) fn failed_at(&self) -> Option<Instant> {
        self.state().failed_at
    }

    /// Takes nothing any more.
    pub(crate) fn off(&self) {
        self.state().is_off = true;
    }

    /// Is there again, with what was flushed.
    pub(crate) fn on(&self) {
        let mut state = self.state();
        state.written = state.flushed.clone();
        state.unflushed.clear();
        (state.fault, state.is_off) = (None, false);
    }

    fn write(&self, bytes: &[u8], at: u64) -> Result<(), Errno> {
        let mut state = self.state();
        state.counts.writes += 1;
        let number = state.counts.writes;
        state.come(Fault::Write(number))?;
        state.written.copy_from(bytes, at);
        state.unflushed.push((at, bytes.len()));
        Ok(())
    }

    fn flush(&self) -> Result<(), Errno> {
        let mut state = self.state();
        state.counts.flushes += 1;
        let number = state.counts.flushes;
        state.come(Fault::Flush(number))?;
        let State { flushed, written, unflushed, .. } = &mut *state;
        for (at, len) in unflushed.drain(..) {
            let mut bytes = vec![0; len];
            written.copy_to(&mut bytes, at);
            flushed.copy_from(&bytes, at);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Fails if this is the fault, or if there is no power.
    fn come(&mut self, this: Fault) -> Result<(), Errno> {
        if self.is_off {
            return Err(Errno::EIO);
        }
        if self.fault == Some(this) {
            self.failed_at = Some(Instant::now());
            return Err(Errno::EIO);
        }
        Ok(())
    }
}

/// The filesystem: one folder, and the file in it.
pub(crate) struct Files(pub(crate) Arc<Device>);

impl Files {
    fn attr(&self, ino: INodeNo) -> FileAttr {
        let is_file = ino == FILE;
        FileAttr {
            ino,
            size: if is_file { self.0.size } else { 0 },
            blocks: if is_file { self.0.size / 512 } else { 0 },
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind: if is_file { FileType::RegularFile } else { FileType::Directory },
            perm: if is_file { 0o600 } else { 0o700 },
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            blksize: 4096,
            flags: 0,
        }
    }
}

impl Filesystem for Files {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name == NAME { reply.entry(&TTL, &self.attr(FILE), Generation(0)) } else { reply.error(Errno::ENOENT) }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attr(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        // The kernel keeps nothing of it, so what is read is what the disk has.
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let end = self.0.size.min(offset + u64::from(size));
        let mut bytes = vec![0; end.saturating_sub(offset) as usize];
        self.0.state().written.copy_to(&mut bytes, offset);
        reply.data(&bytes);
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.0.write(data, offset) {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        // Of close(2), which is none of the disk.
        reply.ok();
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        match self.0.flush() {
            Ok(()) => reply.ok(),
            Err(error) => reply.error(error),
        }
    }
}

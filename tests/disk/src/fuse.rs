//! As much of the FUSE protocol as a filesystem with one file needs, by the kernel's `linux/fuse.h`, version 7.31.
//!
//! Ours, because the library for it turns on features of crates that everything in this workspace is built on, and so has
//! all of it compiled anew for the sake of one test.

use crate::device::{Device, Refused};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsRawFd;
use std::path::Path;

/// Name of the file.
pub(crate) const NAME: &str = "disk";
const ROOT: u64 = 1;
const FILE: u64 = 2;
/// Most bytes of a write.
const WRITE_MAX: usize = 128 << 10;
/// Bytes of the header of a request, and of that of an answer.
const IN_HEADER: usize = 40;
const OUT_HEADER: usize = 16;
/// Bytes before the content of a write.
const WRITE_IN: usize = 40;
/// Seconds for which the kernel may believe what it was told of the file, which never changes.
const VALID: u64 = 3_600;
/// The kernel keeps nothing of the file, so what is read is what the disk has.
const FOPEN_DIRECT_IO: u32 = 1;
/// Writes of more than a page.
const FUSE_BIG_WRITES: u32 = 1 << 5;

/// Mounts the filesystem. Its requests are read from what is answered.
pub(crate) fn mount_at(folder: &Path) -> io::Result<File> {
    let device = File::options().read(true).write(true).open("/dev/fuse")?;
    let options = format!("fd={},rootmode=40000,user_id=0,group_id=0", device.as_raw_fd());
    let options = CString::new(options).map_err(io::Error::other)?;
    mount("portico-test", folder, "fuse", MountFlags::NOSUID | MountFlags::NODEV, Some(&*options))?;
    Ok(device)
}

/// Answers requests until the filesystem is unmounted.
pub(crate) fn serve(mut requests: File, disk: &Device) {
    let mut buffer = vec![0; IN_HEADER + WRITE_IN + WRITE_MAX];
    loop {
        let request = match requests.read(&mut buffer) {
            Ok(len) => Request(&buffer[..len]),
            // Taken back, or interrupted.
            Err(error) if [Errno::NOENT, Errno::INTR, Errno::AGAIN].iter().any(|e| is(&error, *e)) => continue,
            // Unmounted.
            Err(_) => return,
        };
        let Some(answer) = answer(&request, disk) else { continue };
        let (error, content) = match answer {
            Ok(content) => (0, content),
            Err(error) => (-error.raw_os_error(), Vec::new()),
        };
        let mut out = Vec::with_capacity(OUT_HEADER + content.len());
        out.extend(((OUT_HEADER + content.len()) as u32).to_ne_bytes());
        out.extend(error.to_ne_bytes());
        out.extend(request.unique().to_ne_bytes());
        out.extend(content);
        // Whoever asked may be gone.
        let _ = requests.write(&out);
    }
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

/// A request, as it came.
struct Request<'a>(&'a [u8]);

impl Request<'_> {
    fn opcode(&self) -> u32 {
        self.word(4)
    }

    fn unique(&self) -> u64 {
        self.long(8)
    }

    fn node(&self) -> u64 {
        self.long(16)
    }

    /// What follows the header.
    fn body(&self) -> &[u8] {
        &self.0[IN_HEADER..]
    }

    fn word(&self, at: usize) -> u32 {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&self.0[at..at + 4]);
        u32::from_ne_bytes(bytes)
    }

    fn long(&self, at: usize) -> u64 {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&self.0[at..at + 8]);
        u64::from_ne_bytes(bytes)
    }
}

/// The answer to a request, if it wants one.
fn answer(request: &Request<'_>, disk: &Device) -> Option<Result<Vec<u8>, Errno>> {
    const LOOKUP: u32 = 1;
    const FORGET: u32 = 2;
    const GETATTR: u32 = 3;
    const OPEN: u32 = 14;
    const READ: u32 = 15;
    const WRITE: u32 = 16;
    const RELEASE: u32 = 18;
    const FSYNC: u32 = 20;
    const FLUSH: u32 = 25;
    const INIT: u32 = 26;
    const INTERRUPT: u32 = 36;
    const DESTROY: u32 = 38;
    const BATCH_FORGET: u32 = 42;
    let io = |Refused| Errno::IO;
    Some(match request.opcode() {
        INIT => Ok(init(request)),
        LOOKUP if request.body().strip_suffix(&[0]) == Some(NAME.as_bytes()) => Ok(entry(disk)),
        LOOKUP => Err(Errno::NOENT),
        GETATTR => {
            let mut out = longs(&[VALID, 0]);
            out.extend(attributes(request.node(), disk));
            Ok(out)
        }
        OPEN => Ok(words(&[0, 0, FOPEN_DIRECT_IO, 0])),
        READ => Ok(disk.read(request.long(IN_HEADER + 8), request.word(IN_HEADER + 16) as usize)),
        WRITE => {
            let size = request.word(IN_HEADER + 16);
            let content = &request.body()[WRITE_IN..][..size as usize];
            disk.write(content, request.long(IN_HEADER + 8)).map(|()| words(&[size, 0])).map_err(io)
        }
        FSYNC => disk.flush().map(|()| Vec::new()).map_err(io),
        // Of close(2), which is none of the disk.
        FLUSH | RELEASE | DESTROY => Ok(Vec::new()),
        FORGET | BATCH_FORGET | INTERRUPT => return None,
        _ => Err(Errno::NOSYS),
    })
}

fn init(request: &Request<'_>) -> Vec<u8> {
    let readahead = request.word(IN_HEADER + 8);
    // Two half words: how many requests wait, and when that is many.
    let background = u32::from_ne_bytes([16, 0, 12, 0]);
    let mut out = words(&[7, 31, readahead, FUSE_BIG_WRITES, background, WRITE_MAX as u32, 1]);
    out.resize(64, 0);
    out
}

fn entry(disk: &Device) -> Vec<u8> {
    let mut out = longs(&[FILE, 0, VALID, VALID, 0]);
    out.extend(attributes(FILE, disk));
    out
}

fn attributes(node: u64, disk: &Device) -> Vec<u8> {
    let (size, mode) = if node == ROOT { (0, 0o040_700) } else { (disk.size(), 0o100_600) };
    let mut out = longs(&[node, size, size / 512, 0, 0, 0]);
    // Parts of seconds, mode, links, owner, group, device, size of blocks, flags.
    out.extend(words(&[0, 0, 0, mode, 1, 0, 0, 0, 4096, 0]));
    out
}

fn longs(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

fn words(values: &[u32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_ne_bytes()).collect()
}

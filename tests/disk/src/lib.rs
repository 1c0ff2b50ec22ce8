//! A disk for tests: a real ext4, in a loop device, over the one file of a FUSE filesystem in this process.
//!
//! The file counts the writes and the flushes that reach it, fails the n-th of either, and is well again afterwards. It keeps
//! apart what was written and what was flushed, so that it can lose its power.
//!
//! Invariants: a write that failed has changed nothing; a failed flush has made nothing durable, and a later flush does; after
//! a loss of power the disk has what was flushed and nothing else. Dropping a disk unmounts everything.

mod blocks;
mod device;
mod fuse;

pub use device::{Counts, Fault};

use blocks::Blocks;
use device::Device;
use rustix::mount::{MountFlags, UnmountFlags, mount, unmount};
use std::fs::File;
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Size of a disk, in bytes: the reserve of a store, and room for what a test puts there.
const SIZE: u64 = 64 << 20;
/// Longest time for a filesystem to be let go of by a process that was killed.
const BUSY_MAX: Duration = Duration::from_secs(30);
/// Most KiB of a request to the loop device: one write of the file. Of a request in several writes the kernel sees how many
/// bytes came through before one failed, and the loop device takes that for a success.
const REQUEST_KIB: &str = "64";
/// Where a device has that, below its folder in sysfs.
const REQUEST_MAX: &str = "queue/max_sectors_kb";
/// What a disk needs of the machine.
const NEEDS: &str = "needs root, /dev/fuse, loop devices, losetup and mkfs.ext4";

/// Returns why this machine can't have such a disk, if it can't.
pub fn missing() -> Option<&'static str> {
    let is_device = |path: &str| File::options().read(true).write(true).open(path).is_ok();
    let is_tool = |name: &str| {
        Command::new(name).arg("--version").output().is_ok() || Command::new(name).arg("-V").output().is_ok()
    };
    let has_all = rustix::process::geteuid().is_root()
        && is_device("/dev/fuse")
        && is_device("/dev/loop-control")
        && is_tool("losetup")
        && is_tool("mkfs.ext4");
    (!has_all).then_some(NEEDS)
}

/// Whether it is forgiven that such a disk can't be had: outside of CI, and where nobody could install what is missing.
pub fn may_be_missing() -> bool {
    std::env::var_os("CI").is_none() || !rustix::process::geteuid().is_root() || !Path::new("/dev/fuse").exists()
}

/// Begins this program anew in a mount namespace of its own, if this machine can have such disks: whatever becomes of it, nothing
/// stays mounted. For the first line of a program that has its own `main`.
pub fn enter_namespace() {
    const ENTERED: &str = "PORTICO_TEST_DISK_NAMESPACE";
    let Ok(program) = std::env::current_exe() else { return };
    if missing().is_none() && std::env::var_os(ENTERED).is_none() {
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private"]).arg(program).args(std::env::args_os().skip(1));
        // It comes back only where that is not to be had.
        let _ = command.env(ENTERED, "1").exec();
    }
}

/// A disk with an ext4 on it.
pub struct Disk {
    device: Arc<Device>,
    /// Serves the file.
    server: Option<JoinHandle<()>>,
    dir: tempfile::TempDir,
    mounted: Option<String>,
}

impl Disk {
    /// Makes a disk with an empty ext4, and mounts that.
    pub fn new() -> io::Result<Self> {
        let dir = tempfile::tempdir()?;
        for name in ["fuse", "root"] {
            std::fs::create_dir(dir.path().join(name))?;
        }
        let device = Arc::new(Device::new(SIZE, empty_ext4()?));
        let requests = fuse::mount_at(&dir.path().join("fuse"))?;
        let served = device.clone();
        let server = Some(std::thread::spawn(move || fuse::serve(requests, &served)));
        let mut disk = Disk { device, server, dir, mounted: None };
        disk.mount()?;
        Ok(disk)
    }

    /// Where the ext4 is mounted.
    pub fn root(&self) -> PathBuf {
        self.dir.path().join("root")
    }

    /// Counts from now on, and fails the write or flush of that number, if one is given. The first has the number 1.
    pub fn arm(&self, fault: Option<Fault>) {
        self.device.arm(fault);
    }

    /// Counts since [`Disk::arm`].
    pub fn counts(&self) -> Counts {
        self.device.counts()
    }

    /// When the fault came, if it has come.
    pub fn failed_at(&self) -> Option<Instant> {
        self.device.failed_at()
    }

    /// Whether the kernel itself has noticed that it lost something: the ext4 has counted an error, or takes no more
    /// writes. What is answered from the fault on is then no longer in a program's hands.
    pub fn kernel_gave_up(&self) -> bool {
        let Some(device) = &self.mounted else { return false };
        let errors = std::fs::read_to_string(format!("/sys/fs/ext4/{}/errors_count", name_of(device)));
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let is_read_only = mounts.lines().filter(|line| line.starts_with(&format!("{device} "))).any(|line| {
            let options = line.split(' ').nth(3).unwrap_or_default();
            options.split(',').any(|option| ["ro", "emergency_ro", "shutdown"].contains(&option))
        });
        is_read_only || errors.is_ok_and(|count| count.trim() != "0")
    }

    /// Mounts the ext4, which replays its journal.
    pub fn mount(&mut self) -> io::Result<()> {
        let file = self.dir.path().join("fuse").join(fuse::NAME);
        let device = run(Command::new("losetup").args(["--find", "--show"]).arg(file))?.trim().to_owned();
        let limited = std::fs::write(Path::new("/sys/block").join(name_of(&device)).join(REQUEST_MAX), REQUEST_KIB);
        let mounted =
            limited.and_then(|()| Ok(mount(&device, self.root(), "ext4", MountFlags::NOATIME, c"noinit_itable")?));
        // The device goes with the last who uses it.
        run(Command::new("losetup").args(["--detach", &device]))?;
        mounted?;
        self.mounted = Some(device);
        Ok(())
    }

    /// Unmounts the ext4, so that everything in it is on the disk. Whoever uses it must have been ended.
    pub fn unmount(&mut self) -> io::Result<()> {
        let Some(device) = self.mounted.take() else { return Ok(()) };
        let since = Instant::now();
        loop {
            match unmount(self.root(), UnmountFlags::empty()) {
                Ok(()) => break,
                Err(rustix::io::Errno::BUSY) if since.elapsed() < BUSY_MAX => {}
                Err(error) => {
                    self.mounted = Some(device);
                    return Err(error.into());
                }
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // The device lets go of the file a little later.
        while backing(&device).is_some_and(|file| file.starts_with(self.dir.path())) && since.elapsed() < BUSY_MAX {
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Loses its power: whatever was not flushed is gone. The ext4 is not mounted afterwards.
    pub fn lose_power(&mut self) -> io::Result<()> {
        self.device.off();
        let unmounted = self.unmount();
        self.device.on();
        unmounted
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        if self.unmount().is_err() {
            // Whoever still uses it keeps a filesystem without a disk.
            let _ = unmount(self.root(), UnmountFlags::DETACH);
        }
        // Its server ends with the last who uses it.
        let _ = unmount(self.dir.path().join("fuse"), UnmountFlags::DETACH);
        if let Some(server) = self.server.take().filter(|_| self.mounted.is_none()) {
            let _ = server.join();
        }
    }
}

/// The name of a device below `/dev`, and in sysfs.
fn name_of(device: &str) -> &str {
    device.trim_start_matches("/dev/")
}

/// The file that a loop device is of.
fn backing(device: &str) -> Option<PathBuf> {
    let file = std::fs::read_to_string(Path::new("/sys/block").join(name_of(device)).join("loop/backing_file")).ok()?;
    Some(PathBuf::from(file.trim_end()))
}

/// The blocks of an ext4 with nothing in it, made once for all disks.
fn empty_ext4() -> io::Result<Arc<Blocks>> {
    static MADE: Mutex<Option<Arc<Blocks>>> = Mutex::new(None);
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(made) = &*made {
        return Ok(made.clone());
    }
    let file = tempfile::NamedTempFile::new()?;
    file.as_file().set_len(SIZE)?;
    let at_once = "lazy_itable_init=0,lazy_journal_init=0";
    run(Command::new("mkfs.ext4").args(["-q", "-F", "-b", "4096", "-J", "size=4", "-E", at_once]).arg(file.path()))?;
    let blocks = Arc::new(Blocks::read(file.as_file(), SIZE)?);
    Ok(made.insert(blocks).clone())
}

fn run(command: &mut Command) -> io::Result<String> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(io::Error::other(format!("{command:?}: {}", said.trim())))
}

//! A server in a process of its own. It is killed when its value is dropped.

use crate::Result;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub addr: SocketAddr,
}

/// `portico serve` on a folder, on a port that the system chooses. `more` are further arguments.
pub fn portico(binary: &Path, folder: &Path, more: &[&str]) -> Command {
    portico_on(binary, &format!("file:{}", folder.display()), more)
}

/// `portico serve` on the store of a URL.
pub fn portico_on(binary: &Path, store: &str, more: &[&str]) -> Command {
    let mut command = Command::new(binary);
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", store]).args(more);
    command
}

impl Server {
    /// Starts a server that says on the first line of its output where it listens: `listening on http://ADDR`. What
    /// it writes to its standard error goes to `log`.
    pub fn announced(mut command: Command, log: &Path) -> Result<Server> {
        let mut child = start(command.stdout(Stdio::piped()), log)?;
        let output = child.stdout.take();
        let (say, hear) = mpsc::channel();
        std::thread::spawn(move || {
            // Read to its end, so that the server never waits for a reader.
            for line in output.into_iter().flat_map(|output| BufReader::new(output).lines()) {
                let _ = line.map(|line| say.send(line));
            }
        });
        let line = hear.recv_timeout(START).unwrap_or_default();
        match line.strip_prefix("listening on http://").and_then(|addr| addr.parse().ok()) {
            Some(addr) => Ok(Server { child, addr }),
            None => Err(failed(Server { child, addr: ([127, 0, 0, 1], 0).into() }, &line, log)),
        }
    }

    /// Starts a server that is told its address, and waits until it accepts connections there.
    pub fn at(mut command: Command, addr: SocketAddr, log: &Path) -> Result<Server> {
        let server = Server { child: start(command.stdout(Stdio::null()), log)?, addr };
        let end = Instant::now() + START;
        while TcpStream::connect(addr).is_err() {
            if Instant::now() > end {
                return Err(failed(server, "it accepts no connections", log));
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(server)
    }

    /// Most memory that it had resident, in bytes, since it started or [`Server::reset_peak`].
    pub fn peak(&self) -> Result<u64> {
        peak(self.child.id()).ok_or_else(|| "the kernel tells no peak".into())
    }

    /// Seconds of processor time that the process and its threads have used, to a hundredth; see `utime` and `stime` in proc(5).
    pub fn cpu(&self) -> Result<f64> {
        ticks(&self.proc("stat"), [14, 15])
    }

    /// Forgets the peak; see `clear_refs` in proc(5).
    pub fn reset_peak(&self) -> Result<()> {
        Ok(std::fs::write(self.proc("clear_refs"), "5")?)
    }

    fn proc(&self, file: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/{file}", self.child.id()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program that has ended cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Seconds from its start to its end.
    pub wall: f64,
    /// Seconds of processor time, its own and that of what it started, to a hundredth.
    pub cpu: f64,
    /// Most memory that it had resident, in bytes, but for what came and went within its last moments.
    pub peak: u64,
}

/// Between two looks at the memory of a program.
const LOOK: Duration = Duration::from_millis(5);

/// Most memory that a process had resident, in bytes; see proc(5). `None` when it has ended.
fn peak(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().trim_end_matches(" kB").parse().ok().map(|kib: u64| kib << 10)
}

/// Runs a program to its end, while no other child of this process ends. What it writes to its standard output is
/// answered, and to its standard error goes to `log`.
pub fn run(mut command: Command, log: &Path) -> Result<(Cost, String)> {
    let before = children_cpu()?;
    let started = Instant::now();
    let child = start(command.stdout(Stdio::piped()), log)?;
    let pid = child.id();
    let watch = std::thread::spawn(move || {
        let mut most = 0;
        while let Some(peak) = peak(pid) {
            most = peak;
            std::thread::sleep(LOOK);
        }
        most
    });
    let output = child.wait_with_output()?;
    let wall = started.elapsed().as_secs_f64();
    let peak = watch.join().map_err(|_| "the look at the memory of a program failed")?;
    let cost = Cost { wall, cpu: children_cpu()? - before, peak };
    if !output.status.success() {
        let log = std::fs::read_to_string(log).unwrap_or_default();
        return Err(format!("{} failed: {}\n{log}", command.get_program().display(), output.status).into());
    }
    Ok((cost, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// Seconds of processor time of all children that have ended, and of theirs; see `cutime` and `cstime` in proc(5).
fn children_cpu() -> Result<f64> {
    ticks(Path::new("/proc/self/stat"), [16, 17])
}

/// The sum of two times of a `stat` file of proc(5), in seconds. The fields are counted from 1.
fn ticks(stat: &Path, fields: [usize; 2]) -> Result<f64> {
    /// Linux tells user space processor time in hundredths of a second, whatever it counts in itself.
    const TICKS: f64 = 100.0;
    let stat = std::fs::read_to_string(stat)?;
    // The name of the program, in parentheses, is the second field, and the only one that may have spaces.
    let all: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |field: usize| all.get(field - 3).and_then(|text| text.parse().ok()).unwrap_or(f64::NAN);
    Ok(fields.into_iter().map(ticks).sum::<f64>() / TICKS)
}

fn start(command: &mut Command, log: &Path) -> Result<Child> {
    let program = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).stderr(File::create(log)?).spawn();
    Ok(child.map_err(|error| format!("cannot start {}: {error}", program.display()))?)
}

fn failed(server: Server, said: &str, log: &Path) -> crate::Error {
    drop(server);
    let log = std::fs::read_to_string(log).unwrap_or_default();
    format!("a server did not start: {said}\n{log}").into()
}

/// An address that is free now.
pub fn free_addr() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

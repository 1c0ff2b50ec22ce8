//! A server in a process of its own. It is killed when its value is dropped.

use super::Result;
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
pub(crate) struct Server {
    child: Child,
    pub(crate) addr: SocketAddr,
}

/// `portico serve` on a port that the system chooses. `more` are further arguments.
pub(crate) fn portico(binary: &Path, store: &Path, more: &[&str]) -> Command {
    let mut command = Command::new(binary);
    let store = format!("file:{}", store.display());
    command.args(["serve", "--listen", "127.0.0.1:0", "--store", &store]).args(more);
    command
}

impl Server {
    /// Starts a server that says on the first line of its output where it listens: `listening on http://ADDR`. What
    /// it writes to its standard error goes to `log`.
    pub(crate) fn announced(mut command: Command, log: &Path) -> Result<Server> {
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
    pub(crate) fn at(mut command: Command, addr: SocketAddr, log: &Path) -> Result<Server> {
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
    pub(crate) fn peak(&self) -> Result<u64> {
        let status = std::fs::read_to_string(self.proc("status"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
        let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
        Ok(kib << 10)
    }

    /// Forgets the peak; see `clear_refs` in proc(5).
    pub(crate) fn reset_peak(&self) -> Result<()> {
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

fn start(command: &mut Command, log: &Path) -> Result<Child> {
    let program = command.get_program().to_owned();
    let child = command.stdin(Stdio::null()).stderr(File::create(log)?).spawn();
    Ok(child.map_err(|error| format!("cannot start {}: {error}", program.display()))?)
}

fn failed(server: Server, said: &str, log: &Path) -> super::Error {
    drop(server);
    let log = std::fs::read_to_string(log).unwrap_or_default();
    format!("a server did not start: {said}\n{log}").into()
}

/// An address that is free now.
pub(crate) fn free_addr() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

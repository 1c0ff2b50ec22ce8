//! The order of the system calls of the `portico` binary from the bytes of a body to the response: write, sync, link,
//! sync of the folder, commit, answer. A kill does not show it, since what a killed process has written stays; a power
//! failure would. The store's own calls are looked at by the tests of its crate, and the checks are those. And system calls that
//! fail, as they do on some filesystems.

mod links;

use libtest_mimic::{Arguments, Failed, Trial};
use portico_model::order::Trace;
use portico_model::strace;
use rustix::process::{Pid, Signal, kill_process};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ExitCode, Stdio};
use std::time::{Duration, Instant};

/// Size of the body in bytes: several batches.
const SIZE: usize = 3 << 20;
/// Longest time that anything may take.
const DEADLINE: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    // Where strace is missing, people see that this did not run, and CI fails.
    let ignored = strace::is_missing_without_ci();
    let trial = |name: &str, test: fn() -> Result<(), String>| {
        let name = if ignored { format!("{name}: {}", strace::MISSING) } else { name.to_owned() };
        let test =
            move || if strace::is_installed() { test().map_err(Failed::from) } else { Err(strace::MISSING.into()) };
        Trial::test(name, test).with_ignored_flag(ignored)
    };
    let trials = vec![
        trial("a_response_comes_after_all_that_makes_the_file_durable", put),
        trial("a_store_without_hard_links_is_refused", links::a_store_without_links_is_refused),
    ];
    libtest_mimic::run(&Arguments::from_args(), trials).exit_code()
}

/// A server under strace. It is killed when this is dropped.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn put() -> Result<(), String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    let dir = tempfile::tempdir().map_err(|error| told(&error))?;
    let root = dir.path().canonicalize().map_err(|error| told(&error))?;
    let (log, store) = (root.join("log"), root.join("store"));
    let mut command = strace::command_as_its_child(&log, env!("CARGO_BIN_EXE_portico").as_ref());
    // No system calls but those of the put.
    command.args(["serve", "--listen", "127.0.0.1:0", "--maintenance-interval", "0s", "--store"]);
    command.arg(format!("file:{}", store.display()));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Server(command.spawn().map_err(|error| told(&error))?);
    let mut line = String::new();
    let out = server.0.stdout.take().ok_or("no output")?;
    BufReader::new(out).read_line(&mut line).map_err(|error| told(&error))?;
    let addr =
        line.trim_end().strip_prefix("listening on http://").ok_or_else(|| format!("not an address: {line:?}"))?;

    let mut client = TcpStream::connect(addr).map_err(|error| told(&error))?;
    client.set_read_timeout(Some(DEADLINE)).map_err(|error| told(&error))?;
    let head =
        format!("PUT /files/traced HTTP/1.1\r\nhost: {addr}\r\ncontent-length: {SIZE}\r\nconnection: close\r\n\r\n");
    let sent = client.write_all(head.as_bytes()).and_then(|()| client.write_all(&vec![7; SIZE]));
    sent.map_err(|error| told(&error))?;
    let mut response = String::new();
    client.read_to_string(&mut response).map_err(|error| told(&error))?;
    let id = response.split_once("\"file_id\":\"").and_then(|(_, rest)| rest.split_once('"'));
    let id = id.map(|(id, _)| id.to_owned()).ok_or_else(|| format!("not the response to a put: {response}"))?;

    kill_process(Pid::from_child(&server.0), Signal::TERM).map_err(|error| told(&error))?;
    let trace = Trace::new(store, strace::read(&whole(&log, server.0.id())?));
    trace.final_object(trace.said("listening on http://")?, trace.said("\"HTTP/1.1 201 ")?, &id, SIZE as u64)
}

/// The log of a process, once it has ended.
fn whole(log: &Path, process: u32) -> Result<String, String> {
    let since = Instant::now();
    while since.elapsed() < DEADLINE {
        let text = std::fs::read_to_string(log).map_err(|error| error.to_string())?;
        let ended =
            |line: &str| line.strip_prefix(&process.to_string()).is_some_and(|rest| rest.contains("+++ exited"));
        if text.ends_with('\n') && text.lines().any(ended) {
            return Ok(text);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    Err("the server does not end".to_owned())
}

//! A log that nobody reads, or that has no room: requests are answered, a server ends in order, and the lines that were
//! lost are counted and told.

use crate::Store;
use crate::fixture::command::file_of;
use crate::fixture::{Pattern, Server, eventually, portico, run};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;
use std::sync::Arc;
use std::thread::JoinHandle;

/// A server that logs JSON to that place.
fn logging_to(place: impl Into<Stdio>) -> Server {
    let store = Arc::new(Store::new());
    let mut command = store.command("serve");
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]);
    Server::spawn_logging(command, &store, place.into())
}

fn lost(server: &Server) -> u64 {
    let metrics = String::from_utf8(server.ask("GET /metrics", &[]).body).expect("text");
    let count = metrics.lines().find_map(|line| line.strip_prefix("portico_log_lines_lost_total "));
    count.unwrap_or_else(|| panic!("no count in {metrics}")).parse().expect("a number")
}

/// A pipe whose reader has gone.
fn closed() -> Stdio {
    let (_, writer) = std::io::pipe().expect("a pipe");
    writer.into()
}

/// Makes a line that is as long as one can be.
fn long_line(server: &Server) {
    let response = server.ask(&format!("GET /files/{}", "x".repeat(60_000)), &[]);
    assert!([400, 404].contains(&response.head.status), "{response:?}");
}

/// Makes lines until some are lost, with nobody who reads them. Each request is answered.
fn fill(server: &Server) {
    let before = lost(server);
    // The pipe and the queue together, and then some.
    let enough = (0..100).any(|_| {
        long_line(server);
        lost(server) > before
    });
    assert!(enough, "what nobody reads is kept");
}

#[test]
fn requests_are_answered_and_the_server_ends_in_order_whatever_becomes_of_its_log() {
    let full = OpenOptions::new().write(true).open("/dev/full").expect("a device");
    for place in [closed(), full.into()] {
        let server = logging_to(place);
        let file = server.put("kept", &Pattern::new(1, 100_000));
        server.expect_file(&file);
        assert_eq!(server.ask("GET /health", &[]).head.status, 200);
        eventually("lost lines", || (lost(&server) >= 3).then_some(()));
        server.finish(&[&file]);
    }
}

#[test]
fn a_log_that_is_not_read_holds_nobody_up_and_tells_what_it_lost() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let server = logging_to(writer);
    let file = server.put("kept", &Pattern::new(1, 100_000));
    fill(&server);
    server.expect_file(&file);
    assert_eq!(server.ask("GET /ready", &[]).head.status, 200);

    // Somebody reads again.
    let count = lost(&server);
    let reader = Reader::start(reader);
    let told = reader.lost();
    assert!(told >= count, "{told} of {count}");
    // Whoever asked how many were lost was one of them, or came after.
    assert_eq!(lost(&server), told);
    server.finish(&[&file]);
    let lines = reader.end();
    assert_eq!(lines.last().expect("a line")["message"], "stopped");
}

#[test]
fn a_server_ends_although_its_log_is_not_read() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let server = logging_to(writer);
    fill(&server);
    server.finish(&[]);
    drop(reader);
}

#[test]
fn a_log_that_can_be_written_again_tells_how_much_of_it_is_missing() {
    let store = Store::new();
    let fifo = store.beside("log");
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).expect("a pipe");
    let open = || {
        let (fifo, opened) = (fifo.clone(), std::sync::mpsc::channel());
        // It opens when there is a writer, and a writer when there is a reader.
        let thread = std::thread::spawn(move || _ = opened.0.send(File::open(fifo).expect("a pipe")));
        (opened.1, thread)
    };
    let (opened, _) = open();
    let writer = OpenOptions::new().write(true).open(&fifo).expect("a pipe");
    let reader = opened.recv().expect("a reader");
    let server = logging_to(writer);
    drop(reader);
    let file = server.put("kept", &Pattern::new(1, 1_000));
    eventually("lost lines", || (lost(&server) > 2).then_some(()));

    let reader = Reader::start(open().0.recv().expect("a reader"));
    assert_eq!(server.ask("GET /health", &[]).head.status, 200);
    let told = reader.lost();
    assert_eq!(lost(&server), told);
    server.finish(&[&file]);
    reader.end();
}

#[test]
fn commands_do_their_work_where_nobody_listens() {
    let store = Store::new();
    let path = file_of(&store, "file", &Pattern::new(1, 100_000));
    let mut put = store.command("put");
    put.arg("--json").arg(&path).stderr(closed());
    let output = put.stdout(Stdio::piped()).output().expect("the binary");
    assert_eq!(output.status.code(), Some(0));
    let mut put = store.command("put");
    put.arg(store.beside("nothing")).stderr(closed());
    assert_eq!(put.status().expect("the binary").code(), Some(1));
    let mut put = portico(["put"]);
    assert_eq!(put.stderr(closed()).status().expect("the binary").code(), Some(2));
    let said = run(store.command("ls"));
    assert_eq!((said.code, said.out.lines().count()), (Some(0), 2), "{said:?}");
}

#[test]
fn a_server_goes_on_where_nobody_reads_its_address() {
    let store = Store::new();
    let mut command = store.command("serve");
    command.args(["--listen", "127.0.0.1:0", "--log-format", "json"]).stdout(closed()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the binary");
    drop(command);
    let mut log = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut lines = log.by_ref().lines().map(|line| serde_json::from_str::<Value>(&line.expect("text")).expect("JSON"));
    let serving = lines.find(|line| line["message"] == "serving").expect("a server that starts");
    let addr = serving["addr"].as_str().expect("an address").parse().expect("an address");
    assert_eq!(crate::fixture::Connection::open(addr).ask("GET /health", &[]).head.status, 200);
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    assert_eq!(lines.last().expect("a line")["message"], "stopped");
    assert_eq!(child.wait().expect("its end").code(), Some(0));
}

/// Reads a log, on a thread.
struct Reader {
    losses: std::sync::mpsc::Receiver<u64>,
    thread: JoinHandle<Vec<Value>>,
}

impl Reader {
    fn start(from: impl Read + Send + 'static) -> Reader {
        let (tell, losses) = std::sync::mpsc::channel();
        let thread = std::thread::spawn(move || {
            let mut lines = Vec::new();
            for line in BufReader::new(from).lines() {
                let line: Value = serde_json::from_str(&line.expect("text")).expect("a whole line of JSON");
                if line["message"].as_str().is_some_and(|message| message.starts_with("lines of the log were lost")) {
                    let _ = tell.send(line["lines"].as_u64().expect("a number"));
                }
                lines.push(line);
            }
            lines
        });
        Reader { losses, thread }
    }

    /// How many lines the log says it has lost, when it says so.
    fn lost(&self) -> u64 {
        self.losses.recv_timeout(crate::fixture::DEADLINE).expect("the log tells of its losses")
    }

    /// All lines, at the end of the log.
    fn end(self) -> Vec<Value> {
        self.thread.join().expect("a reader")
    }
}

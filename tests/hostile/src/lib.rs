//! A portal that misbehaves as its client asks: the path of a request says how. For tests of what a guest can do to its
//! host, which should be nothing.
//!
//! Exists for WebAssembly alone: the streams of a native guest are those of a test.
#![cfg(target_family = "wasm")]

mod interim;
mod respond;

use portico_guest::bindings::portico::storage::storage::Error as StorageError;
use portico_guest::bindings::wasi::clocks::monotonic_clock::subscribe_duration;
use portico_guest::bindings::wasi::config::store::get;
use portico_guest::bindings::wasi::http::outgoing_handler;
use portico_guest::bindings::wasi::http::types::{
    ErrorCode, Fields, IncomingRequest, OutgoingRequest, ResponseOutparam, Scheme,
};
use portico_guest::bindings::wasi::random::random::get_random_bytes;
use portico_guest::exchange::{Outcome, Protocol, count_upload};
use portico_guest::maintenance::Progress;
use portico_guest::{FinalOptions, Handler, Maintenance, Store};
use respond::{answer, answer_with, begin, finish};
use std::hint::black_box;
use std::io::Write;

/// The component.
#[derive(Debug)]
pub struct Hostile;

portico_guest::export_handler!(Hostile);
portico_guest::export_maintenance!(Hostile);

impl Handler for Hostile {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let path = request.path_with_query().unwrap_or_default();
        match path.as_str() {
            "/trap" => panic!("as asked"),
            "/silent" => drop(out),
            "/error" => ResponseOutparam::set(out, Err(ErrorCode::InternalError(Some("as asked".to_owned())))),
            "/exit" => std::process::exit(3),
            "/never" => sleep_for_ever(),
            "/spin" => spin(),
            "/recurse" => _ = black_box(recurse(0)),
            "/memory" => take_all_memory(),
            "/handles" => take_all_handles(),
            "/random" => drop(black_box(get_random_bytes(1 << 30))),
            "/head-then-trap" => {
                let _begun = begin(out, 10);
                panic!("as asked");
            }
            "/head-then-spin" => {
                let _begun = begin(out, 10);
                spin();
            }
            // Four bytes of ten, and the body is dropped without its end.
            "/head-then-return" => drop(begin(out, 10)),
            // Four bytes of ten, and the body is said to be whole.
            "/short" => finish(begin(out, 10)),
            // Twelve bytes of ten.
            "/long" => {
                let begun = begin(out, 10);
                let _ = begun.1.blocking_write_and_flush(b"too long");
                finish(begun);
            }
            "/print" => {
                print();
                answer(out, "printed");
            }
            "/reach" => answer(out, &reach()),
            "/headers" => answer(out, &headers(&request)),
            "/count" => {
                count_upload(Protocol::Tus, Outcome::Failed);
                count_upload(Protocol::Tus, Outcome::Failed);
                count_upload(Protocol::Forms, Outcome::Aborted);
                answer(out, "counted");
            }
            "/big" => answer(out, &"x".repeat(BIG)),
            "/cors" => answer_with(out, &CORS, "ok"),
            "/writers" => answer(out, &writers()),
            "/write-then-trap" => {
                let mut writer = Store::open().create_final("half", FinalOptions::new()).expect("a writer");
                writer.sink().expect("a sink").write_all(&[7; 1 << 20]).expect("room");
                panic!("as asked");
            }
            "/put-then-trap" => {
                let body = request.consume().expect("a body");
                let stream = body.stream().expect("a stream");
                Store::open().put_final("whole", stream, FinalOptions::new()).expect("a put");
                panic!("as asked");
            }
            path => match path.strip_prefix("/interim/") {
                Some(rest) => interim::serve(rest, &request, out),
                None => answer(out, "ok"),
            },
        }
    }
}

/// What would let any page act as its reader.
const CORS: [(&str, &str); 4] = [
    ("access-control-allow-origin", "*"),
    ("access-control-allow-credentials", "true"),
    ("access-control-allow-private-network", "true"),
    ("vary", "Accept"),
];

/// More than a connection takes without a reader, in bytes.
const BIG: usize = 8 << 20;

impl Maintenance for Hostile {
    fn run(_: u32, after: Option<String>) -> Result<Progress, StorageError> {
        match after.as_deref() {
            None => {
                let second = get("second-step").ok().flatten().unwrap_or_else(|| "trap".to_owned());
                Ok(Progress { expired: 1, cleared: 2, purged: 3, open_sessions: 4, open_bytes: 5, next: Some(second) })
            }
            Some("end") => {
                Ok(Progress { expired: 1, cleared: 2, purged: 3, open_sessions: 4, open_bytes: 5, next: None })
            }
            Some("stuck") => {
                let next = Some("stuck".to_owned());
                Ok(Progress { expired: 0, cleared: 0, purged: 0, open_sessions: 0, open_bytes: 0, next })
            }
            Some("refuse") => Err(StorageError::NoSpace),
            Some("spin") => {
                spin();
                Err(StorageError::NotFound)
            }
            Some(_) => panic!("as asked"),
        }
    }
}

fn sleep_for_ever() {
    let _ = writeln!(std::io::stderr(), "asleep");
    loop {
        subscribe_duration(3_600_000_000_000).block();
    }
}

fn spin() {
    let mut turns = 0_u64;
    loop {
        turns = black_box(turns.wrapping_add(1));
    }
}

fn recurse(depth: u64) -> u64 {
    let frame = black_box([depth; 64]);
    if depth == u64::MAX { 0 } else { recurse(depth + 1) + frame[(depth % 64) as usize] }
}

fn take_all_memory() {
    let mut taken = Vec::new();
    loop {
        taken.push(black_box(vec![1_u8; 1 << 20]));
    }
}

fn take_all_handles() {
    let mut taken = Vec::new();
    loop {
        taken.push(Fields::new());
    }
}

/// One MiB, in lines, a line without an end, and what would forge lines of a log.
fn print() {
    let mut out = std::io::stdout();
    let _ = writeln!(out, "forged\r\u{1b}[2Jline");
    for line in 0..8_192 {
        let _ = writeln!(out, "line {line:059} {:063}", 0);
    }
    let _ = std::io::stderr().write_all(&[b'e'; 64 << 10]);
}

/// What there is beyond storage, if anything.
fn reach() -> String {
    let file = std::fs::read_to_string("/etc/passwd").is_ok();
    let folder = std::fs::read_dir("/").is_ok();
    let made = std::fs::write("made", "x").is_ok();
    let tcp = std::net::TcpStream::connect("127.0.0.1:22").map_err(|error| error.kind());
    let listen = std::net::TcpListener::bind("127.0.0.1:0").is_ok();
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").is_ok();
    let variables = std::env::vars_os().count();
    let arguments = std::env::args().count();
    let request = OutgoingRequest::new(Fields::new());
    request.set_scheme(Some(&Scheme::Http)).expect("a scheme");
    request.set_authority(Some("127.0.0.1:1")).expect("an authority");
    request.set_path_with_query(Some("/")).expect("a path");
    let http = match outgoing_handler::handle(request, None) {
        Err(code) => Err(code),
        Ok(response) => {
            response.subscribe().block();
            response.get().expect("an answer").expect("for the first time").map(|_| ())
        }
    };
    let denied = matches!(tcp, Err(std::io::ErrorKind::PermissionDenied));
    format!(
        "file={file} folder={folder} made={made} tcp_denied={denied} listen={listen} udp={udp} variables={variables} \
         arguments={arguments} http={http:?}"
    )
}

fn headers(request: &IncomingRequest) -> String {
    let line = |(name, value): &(String, Vec<u8>)| format!("{name}: {}\n", String::from_utf8_lossy(value));
    request.headers().entries().iter().map(line).collect()
}

/// Opens writers until the host gives no more; tells how many it gave, and how it refused.
fn writers() -> String {
    let store = Store::open();
    let mut open = Vec::new();
    loop {
        match store.create_final(&format!("writer-{}", open.len()), FinalOptions::new()) {
            Ok(writer) if open.len() < 10_000 => open.push(writer),
            Ok(_) => return "no limit".to_owned(),
            Err(error) => return format!("{} then {error:?}", open.len()),
        }
    }
}

//! A proxy before a server that tells what clients send: how content is signed and checked, and how many bytes pass.

use portico_bench_harness::Result;
use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Shorter bodies are not content.
const CONTENT_MIN: u64 = 1 << 20;

/// A proxy, for as long as the process lives.
pub(crate) struct Recorder {
    pub(crate) addr: SocketAddr,
    seen: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    bytes: AtomicU64,
    requests: AtomicU64,
    largest: AtomicU64,
    modes: Mutex<BTreeSet<String>>,
}

impl Recorder {
    pub(crate) fn before(server: SocketAddr) -> Result<Recorder> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let recorder = Recorder { addr: listener.local_addr()?, seen: Arc::default() };
        let seen = recorder.seen.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(std::result::Result::ok) {
                let seen = seen.clone();
                // A connection that fails shows on both of its ends.
                let _ = TcpStream::connect(server).and_then(|server| pass(client, server, seen));
            }
        });
        Ok(recorder)
    }

    /// Bytes that passed, in both directions.
    pub(crate) fn bytes(&self) -> u64 {
        self.seen.bytes.load(Ordering::SeqCst)
    }

    /// How content was sent.
    pub(crate) fn modes(&self) -> String {
        let modes = self.seen.modes.lock().unwrap_or_else(PoisonError::into_inner);
        let modes: Vec<_> = modes.iter().map(String::as_str).collect();
        let largest = self.seen.largest.load(Ordering::SeqCst) as f64 / CONTENT_MIN as f64;
        format!("{}, requests of up to {largest:.1} MiB", modes.join(" and "))
    }
}

fn pass(client: TcpStream, server: TcpStream, seen: Arc<Seen>) -> std::io::Result<()> {
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    let (from_server, to_client) = (server.try_clone()?, client.try_clone()?);
    let mut requests = Requests { seen: seen.clone(), head: Vec::new(), body: 0 };
    let there = seen.clone();
    std::thread::spawn(move || copy(client, server, &there, |bytes| requests.read(bytes)));
    std::thread::spawn(move || copy(from_server, to_client, &seen, |_| {}));
    Ok(())
}

fn copy(mut from: TcpStream, mut to: TcpStream, seen: &Seen, mut look: impl FnMut(&[u8])) {
    let mut buffer = vec![0; 256 << 10];
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        seen.bytes.fetch_add(read as u64, Ordering::SeqCst);
        look(&buffer[..read]);
        if to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    // The other end may be gone.
    let _ = to.shutdown(Shutdown::Write);
}

/// The requests of a connection: a head, and the rest of a body of known length.
struct Requests {
    seen: Arc<Seen>,
    head: Vec<u8>,
    body: u64,
}

impl Requests {
    fn read(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.body > 0 {
                let passed = usize::try_from(self.body).unwrap_or(usize::MAX).min(bytes.len());
                self.body -= passed as u64;
                bytes = &bytes[passed..];
                continue;
            }
            self.head.push(bytes[0]);
            bytes = &bytes[1..];
            if self.head.ends_with(b"\r\n\r\n") {
                let head = String::from_utf8_lossy(&std::mem::take(&mut self.head)).to_lowercase();
                self.body = self.seen.request(&head);
            }
        }
    }
}

impl Seen {
    /// Notes a request; answers the length of its body.
    fn request(&self, head: &str) -> u64 {
        let fields: Vec<_> = head.lines().filter_map(|line| line.split_once(": ")).collect();
        let field = |name: &str| fields.iter().find(|(of, _)| *of == name).map(|(_, value)| *value);
        let length = field("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
        self.requests.fetch_add(1, Ordering::SeqCst);
        if length >= CONTENT_MIN && head.starts_with("put ") {
            self.largest.fetch_max(length, Ordering::SeqCst);
            let mut mode = match field("x-amz-content-sha256") {
                Some(hash) if hash.len() == 64 => "payload signed (SHA-256)".to_owned(),
                Some("unsigned-payload") => "payload unsigned".to_owned(),
                Some(other) => other.to_uppercase(),
                None => "payload not mentioned".to_owned(),
            };
            let checksum = |name: &str| name == "content-md5" || name.starts_with("x-amz-checksum-");
            for (name, value) in &fields {
                match *name {
                    "x-amz-trailer" => mode += &format!(" + trailer {value}"),
                    name if checksum(name) => mode += &format!(" + {name}"),
                    _ => {}
                }
            }
            self.modes.lock().unwrap_or_else(PoisonError::into_inner).insert(mode);
        }
        length
    }
}

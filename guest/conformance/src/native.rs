//! The fixture outside of WebAssembly: sources in memory, and claims that a test compares with a store in memory.
//!
//! A case runs alone in its thread. So the functions for several instances have one instance to serve, and a source is at its
//! end, or dropped, when the operation that had it returns.

pub use crate::bindings::portico::conformance::fixture::{Ending, Outcome, Piece};
use crate::pattern::fill;
use portico_guest::InputStream;
use std::{
    cell::RefCell,
    io::{self, Read},
};

thread_local! {
    static CLAIMS: RefCell<Claims> = const { RefCell::new(Claims { objects: Vec::new(), parts: Vec::new() }) };
}

/// What a case declares to stay in the store.
#[derive(Debug, Default)]
pub struct Claims {
    /// Keys of objects, with their content.
    pub objects: Vec<(String, Vec<u8>)>,
    /// Paths of scopes and keys of parts, with their content.
    pub parts: Vec<(Vec<String>, String, Vec<u8>)>,
}

impl Claims {
    /// Takes the claims of the cases that ran in this thread.
    #[must_use]
    pub fn take() -> Claims {
        CLAIMS.take()
    }
}

/// A reader of a pattern, with an ending.
struct Source {
    seed: u32,
    at: u64,
    size: Option<u64>,
    frame: usize,
    ending: Ending,
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = self.size.map_or(u64::MAX, |size| size - self.at);
        let count = buffer.len().min(self.frame).min(usize::try_from(left).unwrap_or(usize::MAX));
        fill(self.seed, self.at, &mut buffer[..count]);
        self.at += count as u64;
        match self.ending {
            _ if count > 0 => Ok(count),
            Ending::Close => Ok(0),
            Ending::Fail => Err(io::Error::other("the source fails on purpose")),
            Ending::Stall => Err(io::ErrorKind::TimedOut.into()),
        }
    }
}

/// Returns a stream of pattern bytes.
#[must_use]
pub fn source(seed: u32, size: Option<u64>, chunk: u32, ending: Ending) -> InputStream {
    InputStream::from_reader(Source { seed, at: 0, size, frame: chunk as usize, ending })
}

/// Returns at once.
pub fn await_end(_seed: u32) {}

/// Returns at once.
pub fn await_drop(_seed: u32) {}

/// Claims an object.
pub fn keep_object(_bucket: &str, key: &str, content: &[Piece]) {
    CLAIMS.with_borrow_mut(|claims| claims.objects.push((key.to_owned(), bytes(content))));
}

/// Claims a part.
pub fn keep_part(scope: &[String], temp_key: &str, content: &[Piece]) {
    CLAIMS.with_borrow_mut(|claims| claims.parts.push((scope.to_vec(), temp_key.to_owned(), bytes(content))));
}

fn bytes(content: &[Piece]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for piece in content {
        let at = bytes.len();
        bytes.resize(at + usize::try_from(piece.size).expect("content that fits in memory"), 0);
        fill(piece.seed, piece.start, &mut bytes[at..]);
    }
    bytes
}

/// Does nothing, because the test runs no case that ends badly.
pub fn ends(_how: Outcome) {}

/// Returns the number of the only instance.
#[must_use]
pub fn instance() -> u32 {
    0
}

/// Returns at once.
pub fn meet() {}

/// Does nothing, because there is no other instance.
pub fn kill(_instance: u32) {}

/// Does nothing, because there is no other instance.
pub fn report(_word: &str) {}

/// Returns no words.
#[must_use]
pub fn reports() -> Vec<String> {
    Vec::new()
}

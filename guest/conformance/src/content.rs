//! Content that host and guest both know: its sources, its digest, and the comparison with a store's content.

use crate::fixture::{self, Ending};
use crate::pattern::fill;
use portico_guest::{Digest, InputStream};
use sha2::Digest as _;
use std::io::{Read, Write};

pub use fixture::Piece;

/// Default number of bytes that a source delivers at a time. Divides none of the sizes that backends work in.
const FRAME: u32 = 50_000;

const BUFFER: usize = 64 << 10;

/// Returns the first `size` bytes of a seed's pattern.
#[must_use]
pub fn pattern(seed: u32, size: u64) -> Content {
    Content(vec![Piece { seed, start: 0, size }])
}

/// A sequence of pieces of patterns.
#[derive(Clone, Debug, Default)]
pub struct Content(Vec<Piece>);

impl Content {
    /// Returns this content followed by another.
    #[must_use]
    pub fn then(mut self, other: &Content) -> Content {
        self.0.extend(other.0.iter().copied());
        self
    }

    /// Returns the bytes from `start` to before `end`.
    #[must_use]
    pub fn slice(&self, start: u64, end: u64) -> Content {
        let mut at = 0;
        let mut pieces = Vec::new();
        for piece in &self.0 {
            let (first, last) = (start.max(at), end.min(at + piece.size));
            if first < last {
                pieces.push(Piece { start: piece.start + (first - at), size: last - first, ..*piece });
            }
            at += piece.size;
        }
        Content(pieces)
    }

    /// Returns the pieces.
    #[must_use]
    pub fn pieces(&self) -> &[Piece] {
        &self.0
    }

    /// Returns the size in bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.0.iter().map(|piece| piece.size).sum()
    }

    /// Returns the SHA-256.
    #[must_use]
    pub fn sha256(&self) -> Digest {
        let mut sha256 = sha2::Sha256::new();
        self.chunks(|chunk| sha256.update(chunk));
        Digest::new(sha256.finalize().into())
    }

    /// Returns all bytes, in guest memory.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.chunks(|chunk| bytes.extend_from_slice(chunk));
        bytes
    }

    /// Writes all bytes.
    ///
    /// # Panics
    /// If it cannot be written.
    pub fn write_to(&self, sink: &mut impl Write) {
        self.chunks(|chunk| sink.write_all(chunk).expect("a write"));
    }

    /// Returns a source of this content, which closes at its end.
    #[must_use]
    pub fn source(&self) -> InputStream {
        self.source_of(FRAME, Ending::Close)
    }

    /// As [`Content::source`], with this many bytes at a time.
    #[must_use]
    pub fn in_frames_of(&self, bytes: u32) -> InputStream {
        self.source_of(bytes, Ending::Close)
    }

    /// Returns a source that delivers this content and then fails.
    #[must_use]
    pub fn then_failure(&self) -> InputStream {
        self.source_of(FRAME, Ending::Fail)
    }

    /// Returns a source that delivers this content and then stalls.
    #[must_use]
    pub fn then_silence(&self) -> InputStream {
        self.source_of(FRAME, Ending::Stall)
    }

    /// Checks that a stream delivers exactly this content and then ends.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_read(&self, mut stream: impl Read) {
        self.assert_read_next(&mut stream);
        let mut beyond = Vec::new();
        stream.take(1).read_to_end(&mut beyond).expect("an end");
        assert!(beyond.is_empty(), "more than {} bytes", self.size());
    }

    /// Checks that a stream delivers this content next.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_read_next(&self, stream: &mut impl Read) {
        let mut found = vec![0; BUFFER];
        let mut at = 0;
        self.chunks(|chunk| {
            let found = &mut found[..chunk.len()];
            if let Err(error) = stream.read_exact(found) {
                panic!("no {} bytes at {at} of {}: {error}", chunk.len(), self.size());
            }
            assert!(found == chunk, "other bytes than expected between {at} and {}", at + chunk.len());
            at += chunk.len();
        });
    }

    #[track_caller]
    fn source_of(&self, frame: u32, ending: Ending) -> InputStream {
        let [Piece { seed, start: 0, size }] = self.0[..] else { panic!("only one pattern can be a source") };
        fixture::source(seed, Some(size), frame, ending)
    }

    fn chunks(&self, mut each: impl FnMut(&[u8])) {
        let mut buffer = vec![0; BUFFER];
        for &Piece { seed, start, size } in &self.0 {
            let mut done = 0;
            while done < size {
                let chunk = &mut buffer[..usize::try_from(size - done).map_or(BUFFER, |rest| rest.min(BUFFER))];
                fill(seed, start + done, chunk);
                each(chunk);
                done += chunk.len() as u64;
            }
        }
    }
}

/// Returns an endless source.
#[must_use]
pub fn endless(seed: u32) -> InputStream {
    fixture::source(seed, None, FRAME, Ending::Close)
}

//! Bytes of objects and parts: pieces of files, each of which goes with the last content that has a piece of it.

use super::checksums::Promised;
use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use s3s::crypto::{Checksum as _, Crc32, Md5};
use s3s::dto::StreamingBlob;
use s3s::{Body, S3Result, s3_error};
use std::fs::File;
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tempfile::TempPath;

/// Most that is read at once.
const STEP: u64 = 256 << 10;

#[derive(Clone)]
struct Piece {
    file: Arc<TempPath>,
    range: Range<u64>,
}

/// Bytes that never change.
#[derive(Clone)]
pub(super) struct Content {
    pieces: Vec<Piece>,
    pub(super) size: u64,
    pub(super) md5: [u8; 16],
    /// In big-endian order, as its header has it.
    pub(super) crc32: [u8; 4],
}

impl Content {
    /// Takes the body of a request in, and compares it with what the request promised of it.
    pub(super) async fn receive(dir: &Path, body: Option<StreamingBlob>, promised: Option<Promised>) -> S3Result<Self> {
        let mut file = tempfile::NamedTempFile::new_in(dir).map_err(internal)?;
        let (mut md5, mut crc32, mut size) = (Md5::new(), Crc32::new(), 0);
        let mut promised = promised.unwrap_or_default();
        let mut body = body.map_or_else(Body::empty, Body::from);
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| s3_error!(IncompleteBody, "the body broke off: {error}"))?;
            let Some(data) = frame.data_ref() else { continue };
            file.write_all(data).map_err(internal)?;
            md5.update(data);
            crc32.update(data);
            promised.update(data);
            size += data.len() as u64;
        }
        let (md5, crc32) = (md5.finalize(), crc32.finalize());
        promised.compare(&md5)?;
        let file = Arc::new(file.into_temp_path());
        Ok(Content { pieces: vec![Piece { file, range: 0..size }], size, md5, crc32 })
    }

    /// One after the other; its MD5 is not that of the bytes.
    pub(super) fn join(contents: &[&Content], md5: [u8; 16]) -> Self {
        let pieces = contents.iter().flat_map(|content| content.pieces.iter().cloned()).collect();
        Content { pieces, size: contents.iter().map(|content| content.size).sum(), md5, crc32: [0; 4] }
    }

    /// The bytes of a range that lies within, hashed.
    pub(super) fn slice(&self, range: Range<u64>) -> S3Result<Self> {
        let mut content = Content { pieces: self.pieces_of(&range), size: range.end - range.start, ..self.clone() };
        let (mut md5, mut crc32) = (Md5::new(), Crc32::new());
        let mut reader = content.reader(0..content.size);
        while let Some(bytes) = reader.step().map_err(internal)? {
            md5.update(&bytes);
            crc32.update(&bytes);
        }
        (content.md5, content.crc32) = (md5.finalize(), crc32.finalize());
        Ok(content)
    }

    /// The bytes of a range that lies within, as a body.
    pub(super) fn body(&self, range: Range<u64>) -> StreamingBlob {
        StreamingBlob::from(Body::http_body(self.reader(range)))
    }

    fn reader(&self, range: Range<u64>) -> Reader {
        let mut pieces = self.pieces_of(&range);
        pieces.reverse();
        Reader { pieces, open: None, left: range.end - range.start }
    }

    fn pieces_of(&self, range: &Range<u64>) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut at = 0;
        for piece in &self.pieces {
            let size = piece.range.end - piece.range.start;
            let (from, to) = (range.start.max(at), range.end.min(at + size));
            if from < to {
                let start = piece.range.start + (from - at);
                pieces.push(Piece { file: piece.file.clone(), range: start..start + (to - from) });
            }
            at += size;
        }
        pieces
    }
}

/// Reads pieces, the last of the list first.
struct Reader {
    pieces: Vec<Piece>,
    open: Option<File>,
    left: u64,
}

impl Reader {
    fn step(&mut self) -> io::Result<Option<Bytes>> {
        let Some(piece) = self.pieces.last_mut() else { return Ok(None) };
        let file = match &self.open {
            Some(file) => file,
            None => self.open.insert(File::open(&*piece.file)?),
        };
        let size = (piece.range.end - piece.range.start).min(STEP);
        let mut bytes = BytesMut::zeroed(size as usize);
        file.read_exact_at(&mut bytes, piece.range.start)?;
        piece.range.start += size;
        self.left -= size;
        if piece.range.is_empty() {
            self.pieces.pop();
            self.open = None;
        }
        Ok(Some(bytes.freeze()))
    }
}

impl http_body::Body for Reader {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.step().map(|bytes| bytes.map(Frame::data)).transpose())
    }

    fn is_end_stream(&self) -> bool {
        self.left == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.left)
    }
}

/// An error of the disk below the double.
pub(super) fn internal(error: io::Error) -> s3s::S3Error {
    s3_error!(InternalError, "{error}")
}

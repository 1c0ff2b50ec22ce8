//! Compares content with the part that already has its number. The part is read back, most likely from the page cache,
//! and compared byte by byte.
//!
//! So a part needs no digest of its own for that: each part would pay for it, and only one that is sent twice would use
//! it.

use crate::local::files::aside::Opened;
use crate::local::files::body::Sink;
use crate::local::files::disk::Disk;
use crate::local::index::parts::PartRow;
use crate::local::operations::read;
use crate::local::shared::Inner;
use crate::local::shared::blocking;
use crate::{Result, Scope, limits};
use bytes::Bytes;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// A stored part, as the sink of content that may be the same.
pub(crate) struct StoredPart {
    /// The part.
    pub(crate) row: PartRow,
    file: Opened,
    /// The offset of the part in the file, in bytes.
    start: u64,
    differs: AtomicBool,
    disk: Arc<Disk>,
}

impl StoredPart {
    /// Opens a part; `None` if it does not exist any more.
    pub(crate) async fn open(inner: &Arc<Inner>, scope: &Scope, row: PartRow) -> Result<Option<Self>> {
        let opened = read::open_part(inner, scope, &row).await?;
        let disk = inner.disk.clone();
        Ok(opened.map(|(file, start)| StoredPart { row, file, start, differs: AtomicBool::new(false), disk }))
    }

    /// Whether the compared content, of `size` bytes, is the part.
    pub(crate) fn is_same(&self, size: u64) -> bool {
        size == self.row.size && !self.differs.load(Ordering::Relaxed)
    }

    /// Whether another file has the part's content from an offset in bytes on.
    pub(crate) async fn equals(self, inner: &Arc<Inner>, other: Arc<Opened>, start: u64) -> Result<bool> {
        blocking(inner, move |_| {
            let (mut ours, mut theirs) = (self.buffer(), self.buffer());
            self.disk.step("read")?;
            let mut at = 0;
            while at < self.row.size && self.is_same(self.row.size) {
                let rest = self.row.size - at;
                let len = usize::try_from(rest).unwrap_or(usize::MAX).min(theirs.len());
                other.read_exact_at(&mut theirs[..len], start + at)?;
                self.compare(at, &theirs[..len], &mut ours)?;
                at += len as u64;
            }
            Ok(self.is_same(self.row.size))
        })
        .await
    }

    fn buffer(&self) -> Vec<u8> {
        vec![0; usize::try_from(self.row.size).unwrap_or(usize::MAX).min(limits::COMPARE_BUFFER)]
    }

    /// Compares a piece of at most [`limits::COMPARE_BUFFER`] bytes.
    fn compare(&self, at: u64, piece: &[u8], buffer: &mut [u8]) -> Result<()> {
        let is_within = at + piece.len() as u64 <= self.row.size;
        if is_within && !self.differs.load(Ordering::Relaxed) {
            let stored = &mut buffer[..piece.len()];
            self.file.read_exact_at(stored, self.start + at)?;
            if stored == piece {
                return Ok(());
            }
        }
        self.differs.store(true, Ordering::Relaxed);
        Ok(())
    }
}

impl Sink for StoredPart {
    fn take(&self, mut at: u64, frames: &[Bytes]) -> Result<()> {
        self.disk.step("read")?;
        let mut buffer = self.buffer();
        for piece in frames.iter().flat_map(|frame| frame.chunks(limits::COMPARE_BUFFER)) {
            self.compare(at, piece, &mut buffer)?;
            at += piece.len() as u64;
        }
        Ok(())
    }
}

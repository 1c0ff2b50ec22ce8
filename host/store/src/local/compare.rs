//! Whether content is that of a part that has its number already: the part is read back, most likely out of the page cache,
//! and compared byte by byte.
//!
//! So a part needs no digest of its own for that, which each part would pay for and only one that is sent twice would use.

use super::disk::Disk;
use super::index::parts::PartRow;
use super::{Inner, blocking, read};
use crate::lane::Work;
use crate::{Result, Scope, limits};
use bytes::Bytes;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// A stored part, as the state of a lane that takes the content which may be the same.
pub(super) struct Stored {
    /// The part.
    pub(super) row: PartRow,
    file: File,
    /// Where it begins in the file, in bytes.
    start: u64,
    /// Bytes that have come.
    compared: u64,
    same: bool,
    disk: Arc<Disk>,
}

impl Stored {
    /// Opens a part; `None` if it is no more.
    pub(super) async fn open(inner: &Arc<Inner>, scope: &Scope, row: PartRow) -> Result<Option<Self>> {
        let opened = read::open_part(inner, scope, &row).await?;
        let stored = |(file, start)| Stored { row, file, start, compared: 0, same: true, disk: inner.disk.clone() };
        Ok(opened.map(stored))
    }

    /// Whether what has come is the part, to its end.
    pub(super) fn is_same(&self) -> bool {
        self.same && self.compared == self.row.size
    }

    /// Whether this is what lies in another file from an offset in bytes.
    pub(super) async fn equals(mut self, inner: &Arc<Inner>, other: Arc<File>, start: u64) -> Result<bool> {
        blocking(inner, move |_| {
            let (mut ours, mut theirs) = (self.buffer(), self.buffer());
            self.disk.step("read")?;
            while self.same && self.compared < self.row.size {
                let rest = self.row.size - self.compared;
                let len = usize::try_from(rest).unwrap_or(usize::MAX).min(theirs.len());
                other.read_exact_at(&mut theirs[..len], start + self.compared)?;
                self.compare(&theirs[..len], &mut ours)?;
            }
            Ok(self.is_same())
        })
        .await
    }

    fn buffer(&self) -> Vec<u8> {
        vec![0; usize::try_from(self.row.size).unwrap_or(usize::MAX).min(limits::COMPARE_BUFFER)]
    }

    /// Compares the next bytes, at most [`limits::COMPARE_BUFFER`].
    fn compare(&mut self, piece: &[u8], buffer: &mut [u8]) -> Result<()> {
        let at = self.start + self.compared;
        self.compared += piece.len() as u64;
        self.same &= self.compared <= self.row.size;
        if self.same {
            let stored = &mut buffer[..piece.len()];
            self.file.read_exact_at(stored, at)?;
            self.same = stored == piece;
        }
        Ok(())
    }
}

impl Work for Stored {
    fn take(&mut self, frames: &[Bytes]) -> Result<()> {
        self.disk.step("read")?;
        let mut buffer = self.buffer();
        frames
            .iter()
            .flat_map(|frame| frame.chunks(limits::COMPARE_BUFFER))
            .try_for_each(|piece| self.compare(piece, &mut buffer))
    }
}

//! The content of one put on its way: gathered, then written (or compared) and hashed, by one thread beside the receiving.
//!
//! A thread for each would be faster only where a single client sends more than about 1 GiB/s, and would have twice as many
//! threads woken for everybody.

use super::budget::Budget;
use super::disk::Disk;
use super::sessions::{Claim, Gate};
use crate::lane::{Gather, Hashes, Lane, Share, Work};
use crate::{Error, Result};
use bytes::Bytes;
use std::fs::File;
use std::io::IoSlice;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Content that arrives. `S` is what takes it besides the hashes.
pub(super) struct Body<S: Work> {
    gather: Gather,
    lane: Lane<Taken<S>>,
    share: Share,
    budget: Arc<Budget>,
}

/// What content has come to, up to the last batch that was taken.
pub(super) struct Taken<S> {
    pub(super) sink: S,
    /// The digests, and the size.
    pub(super) hashes: Hashes,
}

impl<S: Work> Work for Taken<S> {
    fn take(&mut self, frames: &[Bytes]) -> Result<()> {
        self.sink.take(frames)?;
        self.hashes.take(frames)
    }
}

/// Content that is only hashed has no sink.
impl<W: Work> Work for Option<W> {
    fn take(&mut self, frames: &[Bytes]) -> Result<()> {
        self.as_mut().map_or(Ok(()), |work| work.take(frames))
    }
}

impl<S: Work> Body<S> {
    /// Content that is taken by the sink, and hashed.
    pub(super) fn new(hashes: Hashes, sink: S, budget: &Arc<Budget>) -> Self {
        Body {
            gather: Gather::default(),
            lane: Lane::new(Taken { sink, hashes }),
            share: budget.puts.share(),
            budget: budget.clone(),
        }
    }

    /// Takes a frame.
    pub(super) async fn add(&mut self, frame: Bytes) -> Result<()> {
        match self.gather.add(frame, self.share.batch()) {
            Some(frames) => self.push(frames).await,
            None => Ok(()),
        }
    }

    /// Waits until all of it is taken.
    pub(super) async fn finish(mut self) -> Result<Taken<S>> {
        if let Some(frames) = self.gather.take() {
            self.push(frames).await?;
        }
        self.lane.finish().await
    }

    async fn push(&self, frames: Vec<Bytes>) -> Result<()> {
        self.lane.push(self.budget.batch(frames).await?).await
    }
}

/// Where the content is written.
pub(super) struct Target {
    pub(super) file: Arc<File>,
    /// Offset in bytes of the next write.
    at: u64,
    gate: Option<Arc<Gate>>,
    /// The range, for content that goes into a session's own file; its room is given back when this is dropped.
    pub(super) claim: Option<OwnRange>,
    /// The file's name, for content that has a file of its own; the name goes when this is dropped.
    pub(super) name: Option<OwnName>,
    disk: Arc<Disk>,
}

impl Target {
    /// A file of its own.
    pub(super) fn own(disk: &Arc<Disk>, file: File, name: OwnName, gate: Option<Arc<Gate>>) -> Self {
        Target { file: Arc::new(file), at: 0, gate, claim: None, name: Some(name), disk: disk.clone() }
    }

    /// A claimed range of a session's file.
    pub(super) fn placed(disk: &Arc<Disk>, file: File, claim: Claim, gate: Arc<Gate>) -> Self {
        let (at, _) = claim.range();
        let file = Arc::new(file);
        let claim = OwnRange { claim, file: file.clone(), gate: gate.clone(), disk: disk.clone(), keep: false };
        Target { file, at, gate: Some(gate), claim: Some(claim), name: None, disk: disk.clone() }
    }
}

impl Work for Target {
    fn take(&mut self, frames: &[Bytes]) -> Result<()> {
        let _passage = self.gate.as_ref().map(Gate::enter).transpose()?;
        self.disk.step("write")?;
        self.disk.room()?;
        let mut slices: Vec<IoSlice<'_>> = frames.iter().map(|frame| IoSlice::new(frame)).collect();
        let mut rest = slices.as_mut_slice();
        while !rest.is_empty() {
            let written = match rustix::io::pwritev(&self.file, rest, self.at) {
                Ok(0) => return Err(Error::internal("a write took no bytes")),
                Ok(written) => written,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(error.into()),
            };
            self.at += written as u64;
            IoSlice::advance_slices(&mut rest, written);
        }
        Ok(())
    }
}

/// A claimed range of a session's file, whose room is given back unless it is kept.
pub(super) struct OwnRange {
    claim: Claim,
    file: Arc<File>,
    gate: Arc<Gate>,
    disk: Arc<Disk>,
    keep: bool,
}

impl OwnRange {
    /// Where it begins, in bytes.
    pub(super) fn start(&self) -> u64 {
        self.claim.range().0
    }

    /// Leaves what was written where it is: a part of the session's file.
    pub(super) fn keep(mut self) {
        self.claim.committed();
        self.keep = true;
    }

    /// Leaves what was written where it is, and lets nobody else write there for as long as the store is open.
    pub(super) fn keep_in_doubt(mut self) {
        self.claim.keep_in_doubt();
        self.keep = true;
    }
}

impl Drop for OwnRange {
    fn drop(&mut self) {
        // Through the gate, like a write: after the put was ended the file may be an object, and whoever makes it one
        // waits for those inside.
        if !self.keep
            && let Ok(_passage) = self.gate.enter()
        {
            let (start, end) = self.claim.range();
            self.disk.give_back(&self.file, start, end);
        }
    }
}

/// A name that is removed again unless it is kept.
pub(super) struct OwnName {
    disk: Arc<Disk>,
    path: PathBuf,
    keep: bool,
}

impl OwnName {
    /// The name at a path below the root.
    pub(super) fn new(disk: &Arc<Disk>, path: PathBuf) -> Self {
        OwnName { disk: disk.clone(), path, keep: false }
    }

    /// The path below the root.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Leaves the name where it is.
    pub(super) fn keep(mut self) {
        self.keep = true;
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = self.disk.unlink(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "left behind; the next sweep removes it");
        }
    }
}

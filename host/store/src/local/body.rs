//! The content of one put on its way: gathered, then written (or compared) and hashed side by side, off the async threads.
//! So a single client has two cores at work.

use super::aside::{Aside, Opened};
use super::budget::Budget;
use super::disk::Disk;
use super::hashing::{Digests, Step};
use super::sessions::{Claim, Gate};
use crate::lane::{Gather, Lane, Share};
use crate::limits::WRITE_CHUNK;
use crate::{Error, Result};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What takes content besides the hashes.
pub(super) trait Sink: Send + Sync + 'static {
    /// Takes the next frames, which begin at so many bytes of the content.
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()>;
}

/// Content that is only hashed has no sink.
impl<S: Sink> Sink for Option<S> {
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()> {
        self.as_ref().map_or(Ok(()), |sink| sink.take(at, frames))
    }
}

/// Content that arrives. What its sink owns is let go only when the last batch has been taken, even if the put was dropped
/// before.
pub(super) struct Body<S: Sink> {
    gather: Gather,
    /// Bytes handed over.
    at: u64,
    /// Absent after a failure.
    sink: Option<Arc<S>>,
    hashing: Option<Lane<Digests>>,
    share: Share,
    budget: Arc<Budget>,
}

/// What content has come to.
pub(super) struct Taken<S> {
    pub(super) sink: S,
    pub(super) size: u64,
    /// What hashes it, and may not have come to its end yet.
    pub(super) hashing: Option<Lane<Digests>>,
}

impl<S: Sink> Body<S> {
    /// Content that is taken by the sink, and by the lane if there is one.
    pub(super) fn new(hashing: Option<Lane<Digests>>, sink: S, budget: &Arc<Budget>) -> Self {
        Body {
            gather: Gather::default(),
            at: 0,
            sink: Some(Arc::new(sink)),
            hashing,
            share: budget.puts.share(),
            budget: budget.clone(),
        }
    }

    /// Takes a frame. After a failure nothing is left of what the sink owned.
    pub(super) async fn add(&mut self, frame: Bytes, aside: &Aside) -> Result<()> {
        let Some(frames) = self.gather.add(frame, self.share.batch()) else { return Ok(()) };
        let pushed = self.push(frames).await;
        if pushed.is_err() {
            self.sink = None;
            aside.settled().await;
        }
        pushed
    }

    /// Waits until the sink has taken all of it.
    pub(super) async fn finish(mut self) -> Result<Taken<S>> {
        if let Some(frames) = self.gather.take() {
            self.push(frames).await?;
        }
        let Body { at, sink, hashing, .. } = self;
        let sink = sink.and_then(Arc::into_inner).ok_or_else(over)?;
        Ok(Taken { sink, size: at, hashing })
    }

    async fn push(&mut self, frames: Vec<Bytes>) -> Result<()> {
        let at = self.at;
        self.at += frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
        let batch = self.budget.batch(frames).await?;
        let (sink, written) = (self.sink.clone().ok_or_else(over)?, batch.clone());
        let writing = tokio::task::spawn_blocking(move || sink.take(at, written.frames()));
        let handed = match &self.hashing {
            Some(lane) => lane.push(Step::Take(batch)).await,
            None => Ok(()),
        };
        // Nobody is told of a failure before the writing has ended.
        writing.await.map_err(Error::internal)??;
        handed
    }
}

fn over() -> Error {
    Error::internal("a put goes on after its end")
}

/// Where the content is written.
pub(super) struct Target {
    pub(super) file: Arc<Opened>,
    /// Where the content begins there, in bytes.
    start: u64,
    gate: Option<Arc<Gate>>,
    /// The range, for content that goes into a session's own file; its room is given back when this is dropped.
    pub(super) claim: Option<OwnRange>,
    /// The file's name, for content that has a file of its own; the name goes when this is dropped.
    pub(super) name: Option<OwnName>,
    disk: Arc<Disk>,
}

impl Target {
    /// A file of its own.
    pub(super) fn own(disk: &Arc<Disk>, file: Opened, name: OwnName, gate: Option<Arc<Gate>>) -> Self {
        Target { file: Arc::new(file), start: 0, gate, claim: None, name: Some(name), disk: disk.clone() }
    }

    /// A claimed range of a session's file.
    pub(super) fn placed(disk: &Arc<Disk>, file: Opened, claim: Claim, gate: Arc<Gate>) -> Self {
        let (start, _) = claim.range();
        let file = Arc::new(file);
        let range = Range { claim, file: file.clone(), gate: gate.clone(), disk: disk.clone() };
        let claim = Some(OwnRange(Some(range)));
        Target { file, start, gate: Some(gate), claim, name: None, disk: disk.clone() }
    }
}

impl Sink for Target {
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()> {
        let _passage = self.gate.as_ref().map(Gate::enter).transpose()?;
        self.disk.step("write")?;
        self.disk.room()?;
        let mut at = self.start + at;
        for frame in frames {
            let mut rest = &frame[..];
            while !rest.is_empty() {
                let to_boundary = WRITE_CHUNK - (at % WRITE_CHUNK as u64) as usize;
                let piece = &rest[..rest.len().min(to_boundary)];
                let written = match rustix::io::pwrite(&self.file, piece, at) {
                    Ok(0) => return Err(Error::internal("a write took no bytes")),
                    Ok(written) => written,
                    Err(rustix::io::Errno::INTR) => continue,
                    Err(error) => return Err(error.into()),
                };
                at += written as u64;
                rest = &rest[written..];
            }
        }
        Ok(())
    }
}

/// A claimed range of a session's file, whose room is given back unless it is kept.
pub(super) struct OwnRange(Option<Range>);

struct Range {
    claim: Claim,
    file: Arc<Opened>,
    gate: Arc<Gate>,
    disk: Arc<Disk>,
}

impl OwnRange {
    /// Where it begins, in bytes.
    pub(super) fn start(&self) -> u64 {
        self.0.as_ref().map_or(0, |range| range.claim.range().0)
    }

    /// Leaves what was written where it is: a part of the session's file.
    pub(super) fn keep(mut self) {
        if let Some(range) = self.0.take() {
            range.claim.committed();
        }
    }

    /// Leaves what was written where it is, and lets nobody else write there for as long as the store is open.
    pub(super) fn keep_in_doubt(mut self) {
        if let Some(mut range) = self.0.take() {
            range.claim.keep_in_doubt();
        }
    }
}

impl Range {
    fn give_back(self) {
        // Through the gate, like a write: after the put was ended the file may be an object, and whoever makes it one
        // waits for those inside.
        if let Ok(_passage) = self.gate.enter() {
            let (start, end) = self.claim.range();
            self.disk.give_back(&self.file, start, end);
        }
    }
}

impl Drop for OwnRange {
    fn drop(&mut self) {
        if let Some(range) = self.0.take() {
            // The claim goes with it, and ends when the room has been given back.
            range.claim.aside().clone().run(move || range.give_back());
        }
    }
}

/// A name that is removed again unless it is kept.
pub(super) struct OwnName {
    disk: Arc<Disk>,
    path: PathBuf,
    keep: bool,
    aside: Aside,
}

impl OwnName {
    /// The name at a path below the root.
    pub(super) fn new(disk: &Arc<Disk>, path: PathBuf, aside: &Aside) -> Self {
        OwnName { disk: disk.clone(), path, keep: false, aside: aside.clone() }
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
        if self.keep {
            return;
        }
        let (disk, path) = (self.disk.clone(), std::mem::take(&mut self.path));
        self.aside.run(move || {
            if let Err(error) = disk.unlink(&path) {
                tracing::warn!(path = %path.display(), error = %error.told(), "left behind; the next sweep removes it");
            }
        });
    }
}

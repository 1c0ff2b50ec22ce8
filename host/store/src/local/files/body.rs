//! The content of one put: gathered, then written (or compared) and hashed in parallel, off the async threads. So a
//! single client can use two cores.

use crate::lane::{Batch, Gather, Hashes, Lane, Share, Work};
use crate::limits::HASH_QUEUE_WRITTEN;
use crate::local::files::aside::{Aside, Opened};
use crate::local::files::budget::Budget;
use crate::local::files::disk::Disk;
use crate::local::sessions::{Claim, Gate};
use crate::{Error, Result};
use bytes::Bytes;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The destination of content, beside the digests.
pub(crate) trait Sink: Send + Sync + 'static {
    /// Takes the next frames, which begin at byte `at` of the content.
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()>;
}

/// Content that is only hashed has no sink.
impl<S: Sink> Sink for Option<S> {
    fn take(&self, at: u64, frames: &[Bytes]) -> Result<()> {
        self.as_ref().map_or(Ok(()), |sink| sink.take(at, frames))
    }
}

/// The arriving content of a put. The sink is dropped only after the last batch was written, even if the put was
/// dropped before.
pub(crate) struct Body<S: Sink> {
    gather: Gather,
    /// Bytes passed to the sink.
    at: u64,
    /// Absent after a failure.
    sink: Option<Arc<S>>,
    hashing: Hashing,
    share: Share,
    budget: Arc<Budget>,
}

/// How the content is hashed.
enum Hashing {
    /// Nothing was passed to the sink yet.
    Idle(Box<Hashes>),
    /// In parallel with the writing, if there is a digest to compute.
    Lane(Option<Lane<Hashes>>),
}

/// The complete content of a put. Small content was neither written nor hashed yet.
pub(crate) struct Whole<S> {
    sink: S,
    size: u64,
    hashes: Hashes,
    /// The content, if one batch holds all of it.
    small: Option<Arc<Batch>>,
}

/// Content that was written and hashed.
pub(crate) struct Taken<S> {
    pub(crate) sink: S,
    pub(crate) size: u64,
    pub(crate) hashes: Hashes,
}

impl<S: Sink> Whole<S> {
    /// Writes and hashes small content in the caller's thread, because waking a second thread costs more. Blocks.
    pub(crate) fn take(self) -> Result<Taken<S>> {
        let Whole { sink, size, mut hashes, small } = self;
        if let Some(batch) = small {
            sink.take(0, batch.frames())?;
            hashes.take(batch)?;
        }
        Ok(Taken { sink, size, hashes })
    }
}

impl<S: Sink> Body<S> {
    /// New content for a sink, with the digests to compute.
    pub(crate) fn new(hashes: Hashes, sink: S, budget: &Arc<Budget>) -> Self {
        Body {
            gather: Gather::default(),
            at: 0,
            sink: Some(Arc::new(sink)),
            hashing: Hashing::Idle(Box::new(hashes)),
            share: budget.puts.share(),
            budget: budget.clone(),
        }
    }

    /// Adds a frame. After a failure, everything that the sink owned has been removed.
    pub(crate) async fn add(&mut self, frame: Bytes, aside: &Aside) -> Result<()> {
        let Some(frames) = self.gather.add(frame, self.share.batch()) else { return Ok(()) };
        let pushed = self.push(frames).await;
        if pushed.is_err() {
            self.sink = None;
            aside.wait().await;
        }
        pushed
    }

    /// Ends the content. Waits until large content has been written and hashed.
    pub(crate) async fn finish(mut self) -> Result<Whole<S>> {
        let rest = self.gather.take();
        let (hashes, small) = match std::mem::replace(&mut self.hashing, Hashing::Lane(None)) {
            Hashing::Idle(hashes) => {
                let frames = rest.unwrap_or_default();
                self.at = frames.iter().map(|frame| frame.len() as u64).sum();
                (*hashes, Some(self.budget.batch(frames).await?))
            }
            Hashing::Lane(lane) => {
                self.hashing = Hashing::Lane(lane);
                if let Some(frames) = rest {
                    self.push(frames).await?;
                }
                let hashes = match self.hashing {
                    Hashing::Lane(Some(lane)) => lane.finish().await?,
                    Hashing::Lane(None) | Hashing::Idle(_) => Hashes::default(),
                };
                (hashes, None)
            }
        };
        let sink = self.sink.and_then(Arc::into_inner).ok_or_else(over)?;
        Ok(Whole { sink, size: self.at, hashes, small })
    }

    async fn push(&mut self, frames: Vec<Bytes>) -> Result<()> {
        let at = self.at;
        self.at += frames.iter().map(|frame| frame.len() as u64).sum::<u64>();
        if let Hashing::Idle(hashes) = &mut self.hashing {
            self.hashing = Hashing::Lane(std::mem::take(&mut **hashes).lane(HASH_QUEUE_WRITTEN));
        }
        let batch = self.budget.batch(frames).await?;
        let (sink, written) = (self.sink.clone().ok_or_else(over)?, batch.clone());
        let writing = tokio::task::spawn_blocking(move || sink.take(at, written.frames()));
        let handed = match &self.hashing {
            Hashing::Lane(Some(lane)) => lane.push(batch).await,
            Hashing::Lane(None) | Hashing::Idle(_) => Ok(()),
        };
        // A failure is reported only after the write has ended.
        writing.await.map_err(Error::internal)??;
        handed
    }
}

fn over() -> Error {
    Error::internal("a put goes on after its end")
}

/// The file that the content is written to.
pub(crate) struct Target {
    pub(crate) file: Arc<Opened>,
    /// The offset of the content in the file, in bytes.
    start: u64,
    gate: Option<Arc<Gate>>,
    /// The range, for content in a session's own file. Dropping it frees the room of the range.
    pub(crate) claim: Option<OwnRange>,
    /// The file's name, for content with a file of its own. Dropping it removes the name.
    pub(crate) name: Option<OwnName>,
    disk: Arc<Disk>,
}

impl Target {
    /// A target with a file of its own.
    pub(crate) fn own(disk: &Arc<Disk>, file: Opened, name: OwnName, gate: Option<Arc<Gate>>) -> Self {
        Target { file: Arc::new(file), start: 0, gate, claim: None, name: Some(name), disk: disk.clone() }
    }

    /// A target in a claimed range of a session's own file.
    pub(crate) fn placed(disk: &Arc<Disk>, file: Opened, claim: Claim, gate: Arc<Gate>) -> Self {
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
        self.disk.write(&self.file, self.start + at, frames)
    }
}

/// A claimed range of a session's own file. Dropping it frees the room of the range.
pub(crate) struct OwnRange(Option<Range>);

struct Range {
    claim: Claim,
    file: Arc<Opened>,
    gate: Arc<Gate>,
    disk: Arc<Disk>,
}

impl OwnRange {
    /// The offset of the range, in bytes.
    pub(crate) fn start(&self) -> u64 {
        self.0.as_ref().map_or(0, |range| range.claim.range().0)
    }

    /// Keeps the content: it is a part in the session's own file.
    pub(crate) fn keep(mut self) {
        if let Some(range) = self.0.take() {
            range.claim.committed();
        }
    }

    /// Keeps the content, and the claim until the store is opened again.
    pub(crate) fn keep_in_doubt(mut self) {
        if let Some(mut range) = self.0.take() {
            range.claim.keep_in_doubt();
        }
    }
}

impl Range {
    fn give_back(self) {
        // Through the gate, like a write: after the put has ended, the file may become an object, and its assembly
        // waits for the passages of this gate.
        if let Ok(_passage) = self.gate.enter() {
            let (start, end) = self.claim.range();
            self.disk.give_back(&self.file, start, end);
        }
    }
}

impl Drop for OwnRange {
    fn drop(&mut self) {
        if let Some(range) = self.0.take() {
            // The claim moves along, and ends when the room has been freed.
            range.claim.aside().clone().run(move || range.give_back());
        }
    }
}

/// A file name. Dropping it removes the name, in the background.
pub(crate) struct OwnName {
    disk: Arc<Disk>,
    path: PathBuf,
    keep: bool,
    aside: Aside,
}

impl OwnName {
    /// The name at a path below the root.
    pub(crate) fn new(disk: &Arc<Disk>, path: PathBuf, aside: &Aside) -> Self {
        OwnName { disk: disk.clone(), path, keep: false, aside: aside.clone() }
    }

    /// Keeps the name.
    pub(crate) fn keep(mut self) {
        self.keep = true;
    }

    /// Removes the name now. Blocks.
    pub(crate) fn remove(mut self) {
        self.keep = true;
        remove(&self.disk, &self.path);
    }
}

impl Drop for OwnName {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        let (disk, path) = (self.disk.clone(), std::mem::take(&mut self.path));
        self.aside.run(move || remove(&disk, &path));
    }
}

fn remove(disk: &Disk, path: &Path) {
    if let Err(error) = disk.unlink(path) {
        tracing::warn!(path = %path.display(), error = %error.told(), "left behind; the next sweep removes it");
    }
}

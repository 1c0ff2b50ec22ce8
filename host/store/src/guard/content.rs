//! Content under rules: writers, readers and streams.

use super::event::{Operation, Watch};
use super::quota::{Quota, Reservation, Usage};
use super::{Inner, run_to_end};
use crate::stream::ByteStream;
use crate::{
    Backend, ByteRange, Cursor, Error, Expected, FileId, FinalReader, FinalReceipt, PartReceipt, Result, Scope,
    SessionId, Writer, limits,
};
use async_trait::async_trait;
use bytes::Bytes;
use std::pin::Pin;
use std::sync::Arc;
use tracing::Instrument as _;

/// The place that a put fills.
pub(super) enum Place {
    Part(SessionId, u32),
    Final(FileId),
}

impl Place {
    /// Returns the size of what exists at this place.
    async fn existing(&self, backend: &dyn Backend, scope: &Scope) -> Result<Option<u64>> {
        match self {
            Place::Final(file) => match backend.stat_final(scope, file).await {
                Ok(receipt) => Ok(Some(receipt.size)),
                Err(Error::NotFound | Error::Gone(_)) => Ok(None),
                Err(error) => Err(error),
            },
            Place::Part(session, number) => {
                let mut after: Option<Cursor> = None;
                loop {
                    let page = backend.list_parts(scope, session, after.as_ref(), limits::PAGE_MAX).await?;
                    if let Some(part) = page.entries.iter().find(|part| part.key.number == *number) {
                        return Ok(Some(part.size));
                    }
                    after = page.next;
                    if after.is_none() {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// The room of one put.
pub(super) enum Room {
    /// No quota.
    Unlimited,
    /// Room for `known` bytes, or for what has arrived if that is more.
    Reserved { reservation: Reservation, known: u64 },
    /// The quota has no room, but the same content may be stored already. It has `size` bytes.
    Replay { size: u64 },
}

/// What decides about the room of one put.
pub(super) struct Admission {
    pub(super) quota: Option<Quota>,
    pub(super) scope: Scope,
    pub(super) place: Place,
    /// Whether the put may find its content stored.
    pub(super) may_replay: bool,
}

impl Admission {
    /// Admits a put before its content.
    ///
    /// # Errors
    /// [`Error::NoSpace`].
    pub(super) async fn begin(&self, backend: &dyn Backend, size: Option<u64>) -> Result<Room> {
        let Some(quota) = &self.quota else { return Ok(Room::Unlimited) };
        let known = size.unwrap_or(0);
        match quota.reserve(Usage { bytes: known, objects: 1 }) {
            Ok(reservation) => Ok(Room::Reserved { reservation, known }),
            Err(refused) => self.replay(backend, refused).await,
        }
    }

    /// Admits the bytes that have arrived.
    async fn arrived(&self, backend: &dyn Backend, room: &mut Room, received: u64, more: u64) -> Result<()> {
        match room {
            Room::Unlimited => return Ok(()),
            Room::Reserved { known, .. } if received <= *known => return Ok(()),
            Room::Reserved { reservation, .. } => match reservation.grow(Usage { bytes: more, objects: 0 }) {
                Ok(()) => return Ok(()),
                Err(refused) => *room = self.replay(backend, refused).await?,
            },
            Room::Replay { .. } => {}
        }
        match room {
            Room::Replay { size } if received > *size => Err(Error::Conflict),
            _ => Ok(()),
        }
    }

    /// Admits content that may be stored already: a retry must find it even if the quota has no room.
    async fn replay(&self, backend: &dyn Backend, refused: Error) -> Result<Room> {
        if !self.may_replay {
            return Err(refused);
        }
        let existing = self.place.existing(backend, &self.scope).await?;
        existing.map_or(Err(refused), |size| Ok(Room::Replay { size }))
    }

    /// Counts what was stored.
    fn stored(&self, room: Room, receipt: &impl Receipt) {
        let Some(quota) = &self.quota else { return };
        let stored = match receipt.stored() {
            Some(bytes) => Usage { bytes, objects: 1 },
            None => Usage::default(),
        };
        match room {
            Room::Reserved { reservation, .. } => reservation.store(stored),
            _ => quota.moved(stored, Usage::default()),
        }
    }
}

/// A receipt of either kind.
pub(super) trait Receipt: Send + 'static {
    /// Returns the bytes that the put stored; `None` if it found them stored.
    fn stored(&self) -> Option<u64>;
}

impl Receipt for PartReceipt {
    fn stored(&self) -> Option<u64> {
        (!self.replayed).then_some(self.size)
    }
}

impl Receipt for FinalReceipt {
    fn stored(&self) -> Option<u64> {
        (!self.replayed).then_some(self.size)
    }
}

/// A writer under rules.
pub(super) struct GuardedWriter<R> {
    pub(super) inner: Arc<Inner>,
    pub(super) writer: Box<dyn Writer<R>>,
    pub(super) admission: Admission,
    pub(super) room: Room,
    pub(super) watch: Watch,
    pub(super) received: u64,
}

#[async_trait]
impl<R: Receipt> Writer<R> for GuardedWriter<R> {
    async fn write(&mut self, chunk: Bytes) -> Result<()> {
        let more = chunk.len() as u64;
        self.received += more;
        self.watch.count(more);
        let backend = &*self.inner.backend;
        self.admission.arrived(backend, &mut self.room, self.received, more).await?;
        self.writer.write(chunk).await
    }

    // Without `async`, whose future would hold a reference to this writer, and a writer is not `Sync`.
    fn interrupted<'s, 'f>(&'s self) -> Pin<Box<dyn Future<Output = Error> + Send + 'f>>
    where
        's: 'f,
        Self: 'f,
    {
        self.writer.interrupted()
    }

    async fn finish(self: Box<Self>, expected: Expected) -> Result<R> {
        let GuardedWriter { inner, writer, admission, room, watch, .. } = *self;
        let span = inner.span(&watch);
        let finish = async move {
            let finished = writer.finish(expected).await;
            if let Ok(receipt) = &finished {
                admission.stored(room, receipt);
            }
            watch.end(&finished);
            finished
        };
        run_to_end(finish).instrument(span).await
    }
}

/// A stream whose end is reported.
pub(super) struct WatchedStream {
    stream: Box<dyn ByteStream>,
    watch: Option<Watch>,
}

impl WatchedStream {
    pub(super) fn boxed(stream: Box<dyn ByteStream>, watch: Watch) -> Box<dyn ByteStream> {
        Box::new(WatchedStream { stream, watch: Some(watch) })
    }
}

#[async_trait]
impl ByteStream for WatchedStream {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        let next = self.stream.next().await;
        match &next {
            Ok(Some(chunk)) => {
                if let Some(watch) = &mut self.watch {
                    watch.count(chunk.len() as u64);
                }
            }
            _ => {
                if let Some(watch) = self.watch.take() {
                    watch.end(&next);
                }
            }
        }
        next
    }
}

/// A reader whose streams are watched.
pub(super) struct GuardedReader {
    pub(super) inner: Arc<Inner>,
    pub(super) scope: Scope,
    pub(super) reader: Box<dyn FinalReader>,
}

#[async_trait]
impl FinalReader for GuardedReader {
    fn receipt(&self) -> &FinalReceipt {
        self.reader.receipt()
    }

    async fn stream(&self, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        let name = self.receipt().file.to_string();
        let watch = self.inner.watch(Operation::ReadFinal, &self.scope, name);
        self.inner.read(watch, self.reader.stream(range)).await
    }
}

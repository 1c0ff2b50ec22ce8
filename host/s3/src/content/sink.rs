//! Sends the data of one object in pieces of known length, several at once.
//!
//! Content that fits one piece is one request. Other content is a multipart upload. When the budget is spent, content
//! is passed straight on or waits; see `budget.rs`.
//!
//! Invariants: after [`ObjectSink::finish`] the object exists and has the size that was counted here. A request is
//! never cancelled, because the server could execute it after its undoing. If a sink is dropped early, its requests end
//! first; then the upload is aborted and the data deleted, in the background.

use crate::content::budget::{self, Budget, Holder};
use crate::content::data::PendingData;
use crate::content::multipart_upload::MultipartUpload;
use crate::keys::ObjectKey;
use crate::limits;
use crate::request::failure::Failure;
use crate::request::frames::Frames;
use crate::request::multipart::{PIECES_MAX, Piece};
use crate::request::objects::Condition;
use crate::request::straight::{self, Straight};
use crate::shared::Inner;
use bytes::Bytes;
use portico_store::{Error, Result};
use std::sync::Arc;
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinSet;

const MIB: u64 = 1 << 20;

/// Memory that a piece holds until it is sent.
#[derive(Default)]
struct Memory {
    arrived: Option<OwnedSemaphorePermit>,
    reserved: Option<Arc<Holder>>,
}

/// The whole content. Its memory counts against the budget while the value exists.
pub(crate) struct Gathered {
    pub(crate) frames: Frames,
    _memory: Arc<Memory>,
}

/// The knowledge of the length of content, in bytes, when it begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Length {
    /// Nothing.
    Unknown,
    /// Exactly this much, or the upload fails.
    Exact(u64),
    /// At most this much: the content may end early.
    AtMost(u64),
}

impl Length {
    /// Returns the most bytes that the content can have, if known.
    fn most(self) -> Option<u64> {
        match self {
            Length::Unknown => None,
            Length::Exact(bytes) | Length::AtMost(bytes) => Some(bytes),
        }
    }
}

/// A sink for the data of one object.
pub(crate) struct ObjectSink {
    inner: Arc<Inner>,
    /// Absent before the first request and after `finish`.
    data: Option<PendingData>,
    object: ObjectKey,
    content_type: Option<String>,
    length: Length,
    /// The piece that is being gathered, and its full size.
    piece: Frames,
    piece_size: u64,
    memory: Memory,
    /// The memory of the piece while a [`Gathered`] shares it.
    shared: Option<Arc<Memory>>,
    /// The piece that is being passed straight on.
    straight: Option<Straight>,
    /// Bytes of the preceding pieces.
    sent: u64,
    pieces: u64,
    upload: Option<MultipartUpload>,
    running: JoinSet<Result<Option<Piece>, Failure>>,
    done: Vec<Piece>,
}

impl ObjectSink {
    /// Creates a sink for content of a length.
    pub(crate) fn new(
        inner: &Arc<Inner>,
        object: ObjectKey,
        length: Length,
        content_type: Option<&str>,
    ) -> Result<Self> {
        let mut sink = ObjectSink {
            inner: inner.clone(),
            data: None,
            object,
            content_type: content_type.filter(|text| is_plain_type(text)).map(str::to_owned),
            length,
            piece: Frames::default(),
            piece_size: 0,
            memory: Memory::default(),
            shared: None,
            straight: None,
            sent: 0,
            pieces: 0,
            upload: None,
            running: JoinSet::new(),
            done: Vec::new(),
        };
        sink.piece_size = sink.next_size()?;
        Ok(sink)
    }

    /// Resolves when the upload has to end because its client stalls and others wait for its memory.
    pub(crate) async fn evicted(&self) {
        match &self.memory.reserved {
            Some(holder) => holder.evicted().await,
            None => std::future::pending().await,
        }
    }

    /// Adds a frame; waits while there is no room.
    pub(crate) async fn add(&mut self, mut frame: Bytes) -> Result<()> {
        while !frame.is_empty() {
            if let Some(straight) = &mut self.straight {
                if let Err(error) = straight.send(&mut frame).await {
                    // The request has the better error.
                    while self.wait_for_one().await? {}
                    return Err(error);
                }
                if straight.is_full() {
                    let size = straight.size();
                    self.straight = None;
                    self.next_piece(size)?;
                }
                continue;
            }
            let room = usize::try_from(self.piece_size - self.piece.len()).unwrap_or(usize::MAX);
            let len = frame.len().min(room);
            if !self.find_memory(len).await? {
                continue;
            }
            self.piece.push(frame.split_to(len));
            // The last piece waits for `finish`, because content that fits one piece is one request.
            let is_last = self.length.most() == Some(self.sent + self.piece.len());
            if self.piece.len() == self.piece_size && !is_last {
                self.send_piece().await?;
            }
        }
        Ok(())
    }

    /// Records that the client has sent all its content. From then on the upload is not evicted for a stall.
    pub(crate) fn end_content(&mut self) {
        self.complete_memory();
    }

    /// Returns the content, which is complete, if all of it is still in memory.
    pub(crate) fn gathered(&mut self) -> Option<Gathered> {
        if self.pieces > 0 || self.upload.is_some() || self.straight.is_some() {
            return None;
        }
        self.complete_memory();
        let memory = Arc::new(std::mem::take(&mut self.memory));
        self.shared = Some(memory.clone());
        Some(Gathered { frames: self.piece.clone(), _memory: memory })
    }

    /// Completes the object, and returns once it exists.
    pub(crate) async fn finish(mut self) -> Result<PendingData> {
        if self.straight.is_some() {
            // The request has announced more bytes than came.
            return Err(Error::Interrupted { received: 0 });
        }
        let size = self.sent + self.piece.len();
        if self.upload.is_none() && self.pieces == 0 {
            self.complete_memory();
            let (piece, memory) = (std::mem::take(&mut self.piece), std::mem::take(&mut self.memory));
            let memory = (memory, self.shared.take());
            let (inner, object, content_type) = (self.inner.clone(), self.object.clone(), self.content_type.clone());
            self.request(async move {
                let put = inner.client.put(&object, &piece, content_type.as_deref()).await;
                drop((piece, memory));
                put.map(|()| None)
            });
            self.wait_for_one().await?;
        } else {
            if self.piece.len() > 0 {
                self.send_piece().await?;
            }
            while self.wait_for_one().await? {}
            match self.upload.take() {
                Some(upload) => {
                    let pieces = std::mem::take(&mut self.done);
                    self.request(async move { upload.complete(pieces, size).await.map(|()| None) });
                    self.wait_for_one().await?;
                }
                None => self.check_size(size).await?,
            }
        }
        let mut data = self.data.take().unwrap_or_else(|| PendingData::new(&self.inner, self.object.clone()));
        data.complete();
        Ok(data)
    }

    /// Starts a request. From then on the data may exist.
    fn request(&mut self, request: impl Future<Output = Result<Option<Piece>, Failure>> + Send + 'static) {
        self.data.get_or_insert_with(|| PendingData::new(&self.inner, self.object.clone()));
        self.running.spawn(request);
    }

    /// Compares the size of an object that was passed straight on in one request.
    async fn check_size(&self, size: u64) -> Result<()> {
        match self.inner.client.head(&self.object).await? {
            Some(there) if there.size == size => Ok(()),
            there => Err(Error::unavailable(format!(
                "the store has {:?} bytes of {}, and {size} were sent",
                there.map(|there| there.size),
                self.object
            ))),
        }
    }

    /// Returns the size of the next piece.
    fn next_size(&self) -> Result<u64> {
        let smallest = self.inner.options.part_size as u64;
        let largest = self.inner.budget.piece_max();
        match self.length.most() {
            Some(most) if most <= smallest => Ok(most),
            Some(most) => {
                let size = most.div_ceil(PIECES_MAX).next_multiple_of(MIB).max(smallest);
                // Larger pieces can only be passed straight on.
                if size > largest && !self.may_pass() {
                    return Err(Error::TooLarge { limit: largest / MIB * MIB * PIECES_MAX });
                }
                Ok(size.min(most - self.sent))
            }
            None if self.pieces >= PIECES_MAX => Err(Error::TooLarge { limit: self.sent }),
            None => Ok((smallest << (self.pieces / limits::PIECES_OF_A_SIZE).min(20))
                .min(largest / MIB * MIB)
                .max(smallest)),
        }
    }

    /// Returns whether pieces may be passed straight on: their length is announced, and no signature needs their content.
    ///
    /// Content that may end early is passed on as well, so that many slow appends do not wait for each other's memory. If
    /// it does end early within such a piece, nothing of the append is kept.
    fn may_pass(&self) -> bool {
        self.length != Length::Unknown && !self.inner.client.signs
    }

    fn next_piece(&mut self, size: u64) -> Result<()> {
        self.sent += size;
        self.pieces += 1;
        self.piece_size = self.next_size()?;
        Ok(())
    }

    /// Finds memory for bytes that have arrived. Returns false if the piece is passed straight on instead.
    async fn find_memory(&mut self, bytes: usize) -> Result<bool> {
        loop {
            if let Some(holder) = &self.memory.reserved {
                if holder.is_evicted() {
                    return Err(budget::evicted());
                }
                self.inner.budget.moved(holder);
                return Ok(true);
            }
            if self.piece_size <= self.inner.budget.piece_max()
                && let Some(permit) = self.inner.budget.take(bytes)
            {
                match &mut self.memory.arrived {
                    Some(arrived) => arrived.merge(permit),
                    none => *none = Some(permit),
                }
                return Ok(true);
            }
            if self.wait_for_one().await? {
                continue;
            }
            let can_pass = self.upload.as_ref().is_none_or(|upload| !upload.with_checksums);
            if self.may_pass() && can_pass {
                self.pass_straight().await?;
                return Ok(false);
            }
            self.memory.reserved = Some(self.inner.budget.reserve(self.piece_size - self.piece.len()).await?);
        }
    }

    /// Waits for a piece in flight; returns false if there is none.
    async fn wait_for_one(&mut self) -> Result<bool> {
        match self.running.join_next().await {
            None => Ok(false),
            Some(piece) => {
                self.done.extend(piece.map_err(Error::internal)??);
                Ok(true)
            }
        }
    }

    /// Sends the gathered piece in the background.
    async fn send_piece(&mut self) -> Result<()> {
        self.create_upload(false).await?;
        while self.running.len() >= self.inner.options.concurrency {
            self.wait_for_one().await?;
        }
        self.complete_memory();
        let (piece, memory) = (std::mem::take(&mut self.piece), std::mem::take(&mut self.memory));
        let size = piece.len();
        let Some(upload) = &self.upload else { unreachable!("it has begun") };
        let (id, with_checksum) = (upload.id.clone(), upload.with_checksums);
        let (inner, object) = (self.inner.clone(), self.object.clone());
        let number = self.number()?;
        self.request(async move {
            let sent = inner.client.upload_piece(&object, &id, number, &piece, with_checksum).await;
            drop((piece, memory));
            sent.map(Some)
        });
        self.next_piece(size)
    }

    /// Starts to pass the current piece straight on, beginning with its gathered bytes.
    async fn pass_straight(&mut self) -> Result<()> {
        let in_one = self.pieces == 0 && self.length.most().is_some_and(|most| most <= self.piece_size);
        if !in_one {
            self.create_upload(true).await?;
        }
        let (begun, body) = straight::new(self.piece_size);
        let (inner, object) = (self.inner.clone(), self.object.clone());
        let size = self.piece_size;
        let ended = begun.ended();
        inner.client.step("piece").map_err(Error::from)?;
        let number = self.number()?;
        let upload = self.upload.as_ref().map(|upload| upload.id.clone());
        let content_type = self.content_type.clone();
        self.request(async move {
            let client = &inner.client;
            let request = async {
                match upload {
                    Some(id) => client.piece_once(&object, &id, number, size, body, None).await.map(Some),
                    None => {
                        let content_type = content_type.as_deref();
                        client.put_straight(&object, size, body, content_type, Condition::Always).await.map(|_| None)
                    }
                }
            };
            let sent = straight::in_time(request, ended, client.short()).await?;
            client.step("piece done")?;
            Ok(sent)
        });
        let (piece, memory) = (std::mem::take(&mut self.piece), std::mem::take(&mut self.memory));
        let straight = self.straight.insert(begun);
        for frame in piece.into_iter() {
            straight.send_all(frame).await?;
        }
        drop(memory);
        Ok(())
    }

    /// Creates the multipart upload unless it exists. `straight` says that its first piece is passed straight on.
    async fn create_upload(&mut self, straight: bool) -> Result<()> {
        if self.upload.is_none() {
            // With little memory left, later pieces may have to be passed straight on.
            let has_room = !self.may_pass() || (!straight && self.inner.budget.has_room(self.piece_size));
            let with_checksums = self.inner.client.checksum == crate::Checksum::Crc32 && has_room;
            let (object, content_type) = (self.object.clone(), self.content_type.clone());
            let created = self.inner.detached(|inner| async move {
                MultipartUpload::create(&inner, &object, content_type.as_deref(), with_checksums).await
            });
            self.upload = Some(created.await?);
        }
        Ok(())
    }

    fn complete_memory(&mut self) {
        if let Some(holder) = &self.memory.reserved {
            Budget::complete(holder);
        }
    }

    fn number(&self) -> Result<i32> {
        i32::try_from(self.pieces + 1).map_err(Error::internal)
    }
}

impl Drop for ObjectSink {
    fn drop(&mut self) {
        // Ends a request that is passed straight on; the request fails.
        self.straight = None;
        let (data, upload, mut running) = (self.data.take(), self.upload.take(), std::mem::take(&mut self.running));
        if data.is_some() {
            self.inner.spawn(async move {
                while running.join_next().await.is_some() {}
                drop((upload, data));
            });
        }
    }
}

/// Returns whether all servers accept a content type: `type/subtype` and parameters without quotes.
fn is_plain_type(text: &str) -> bool {
    let token =
        |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&^_.+-".contains(&b));
    let mut pieces = text.split(';');
    let is_type = pieces.next().and_then(|first| first.split_once('/')).is_some_and(|(a, b)| token(a) && token(b));
    is_type
        && pieces.all(|piece| {
            piece
                .strip_prefix(' ')
                .unwrap_or(piece)
                .split_once('=')
                .is_some_and(|(name, value)| token(name) && token(value))
        })
}

#[cfg(test)]
mod tests {
    use super::is_plain_type;

    #[test]
    fn content_types_that_servers_take() {
        for text in ["text/plain", "text/plain; charset=utf-8", "application/vnd.x+json;a=b"] {
            assert!(is_plain_type(text), "{text}");
        }
        for text in ["", " ", "text", "text/", "text/plain;", "a/b; c=\"d\"", "a/b ; c=d", "a b/c"] {
            assert!(!is_plain_type(text), "{text}");
        }
    }
}

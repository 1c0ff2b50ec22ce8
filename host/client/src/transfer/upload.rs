//! A file goes to the server in parts, of a session that is found again when the upload was cut off.
//!
//! The digest of the whole is taken beside the sending, in the order of the file, of what has just been sent and is still
//! in the system's cache. It is compared with that of the server's file.

use super::parts::{Parts, contains};
use super::retry::{Patience, Tries, until_done};
use super::source::{Sent, Source};
use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::remote::{Announced, Part, Receipt, Session, Status};
use portico_store::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// How often a part whose content was damaged on its way is sent again.
const DAMAGES: u32 = 3;

/// Sessions of one upload that may end under it.
const ENDS: u32 = 5;

/// Sessions of one unchanged file that are looked at before a new one begins.
const SESSIONS: u32 = 1_000;

/// The type of content that nothing is known of.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// How a file is put.
pub struct PutOptions {
    /// What it is called; absent: as it is.
    pub name: Option<String>,
    /// Its media type; absent: what its name tells.
    pub content_type: Option<String>,
    /// Size of its parts in bytes; absent: as the server likes.
    pub part_size: Option<u64>,
    /// Parts that are on their way at once.
    pub parallel: usize,
    /// Make another file of one that was put before.
    pub again: bool,
}

/// A file that was put.
pub struct Put {
    /// What the server says of it.
    pub receipt: Receipt,
    /// It was there before, whole.
    pub was_there: bool,
}

/// Why a session does not become the file.
enum Failure {
    /// It ended, or is of other content.
    Over {
        /// Its key leads nowhere else.
        pass_over: bool,
    },
    /// Another reason, which no other session mends.
    Error(Error),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Failure::Error(error)
    }
}

/// The media type that a name tells.
pub(crate) fn type_of(name: &str) -> String {
    mime_guess::from_path(name).first_raw().unwrap_or(UNKNOWN_TYPE).to_owned()
}

impl Client {
    /// Puts a file, and goes on with it where an earlier run was cut off. One that an earlier run has put whole is not sent
    /// again, if it still is as it was and nobody asks for another one.
    ///
    /// # Errors
    /// [`Error`]. What has arrived until then stays at the server for a later run, unless the file was changed.
    pub async fn put(
        self: &Arc<Self>,
        path: &Path,
        options: &PutOptions,
        observer: &Arc<dyn Observer>,
    ) -> Result<Put, Error> {
        let source = Arc::new(Source::open(path)?);
        source.ends().await?;
        let name = options.name.as_deref().map_or_else(|| source.name(), Ok)?;
        let content_type = options.content_type.clone().unwrap_or_else(|| type_of(name));
        let asked = options.part_size.map(|size| size.to_string()).unwrap_or_default();
        let patience = Arc::new(self.patience());
        let (mut attempt, mut ends) = (0, 0);
        while attempt < SESSIONS {
            let key = source.key(&[name, &content_type, &asked], attempt)?;
            let announced = Announced {
                original_filename: name,
                content_type: &content_type,
                total_size_bytes: source.size(),
                chunk_size_bytes: options.part_size,
                idempotency_key: &key,
            };
            let session = until_done(&patience, &**observer, || self.begin(&announced)).await?;
            if session.status == Status::Complete
                && !options.again
                && let Some(receipt) = self.put_before(&source, &session, &patience, observer).await?
            {
                return Ok(Put { receipt, was_there: true });
            }
            if !session.goes_on() {
                attempt += 1;
                continue;
            }
            let upload = Arc::new(Upload::new(self, &source, session, &patience, observer));
            match upload.run(options.parallel).await {
                Ok(receipt) => return Ok(Put { receipt, was_there: false }),
                Err(Failure::Over { pass_over }) => {
                    ends += 1;
                    attempt += u32::from(pass_over);
                    if ends == ENDS {
                        return Err(Error::Ended(ends));
                    }
                }
                Err(Failure::Error(error)) => {
                    if matches!(error, Error::Changed(_) | Error::FalseSize { .. }) {
                        // No later run finds it again. If it can't be told, the session's time will be over some day.
                        let _ = self.abort(&upload.session).await;
                    }
                    return Err(error);
                }
            }
        }
        Err(Error::TooManySessions(SESSIONS))
    }

    /// The file of a session that was finished by an earlier run, if it still exists and the content is still the same.
    async fn put_before(
        &self,
        source: &Arc<Source>,
        session: &Session,
        patience: &Patience,
        observer: &Arc<dyn Observer>,
    ) -> Result<Option<Receipt>, Error> {
        let receipt = match until_done(patience, &**observer, || self.finalize(session)).await {
            Ok(receipt) => receipt,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(error),
        };
        observer.tell(Event::Begins { size: Some(source.size()), there: source.size() });
        observer.tell(Event::Compares);
        let sha256 = source.hash(0..source.size(), Sha256::new()).await?.finish().to_hex();
        Ok(Some(receipt).filter(|receipt| receipt.sha256 == sha256))
    }
}

/// The upload of one file through one session.
struct Upload {
    client: Arc<Client>,
    source: Arc<Source>,
    session: Session,
    patience: Arc<Patience>,
    observer: Arc<dyn Observer>,
    parts: Mutex<Parts>,
    /// See [`Parts::frontier`].
    frontier: watch::Sender<u32>,
    /// Bytes of parts that are on their way.
    moving: AtomicU64,
}

impl Upload {
    fn new(
        client: &Arc<Client>,
        source: &Arc<Source>,
        session: Session,
        patience: &Arc<Patience>,
        observer: &Arc<dyn Observer>,
    ) -> Upload {
        let Session { chunk_size_bytes, total_parts, received_parts, .. } = &session;
        let parts = Parts::new(source.size(), *chunk_size_bytes, *total_parts, received_parts);
        Upload {
            client: client.clone(),
            source: source.clone(),
            patience: patience.clone(),
            observer: observer.clone(),
            frontier: watch::Sender::new(parts.frontier()),
            parts: Mutex::new(parts),
            moving: AtomicU64::new(0),
            session,
        }
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.parts.lock().expect("no panic under the lock")
    }

    async fn run(self: &Arc<Self>, parallel: usize) -> Result<Receipt, Failure> {
        self.observer.tell(Event::Begins { size: Some(self.source.size()), there: self.parts().bytes() });
        let (receipt, sha256) = tokio::try_join!(self.send(parallel), self.digest())?;
        if receipt.sha256 == sha256.to_hex() && receipt.size_bytes == self.source.size() {
            return Ok(receipt);
        }
        let deleted = until_done(&self.patience, &*self.observer, || self.client.delete(&receipt.file_id)).await;
        match deleted {
            Err(error) if !error.is_absent() => Err(error.into()),
            // What an earlier run has sent may have been something else, if that left no trace.
            _ if !self.session.received_parts.is_empty() => Err(Failure::Over { pass_over: true }),
            _ => Err(Error::Differs(self.source.path.clone()).into()),
        }
    }

    /// Sends all that has not arrived, and has the file made.
    async fn send(self: &Arc<Self>, parallel: usize) -> Result<Receipt, Failure> {
        loop {
            let mut lanes = JoinSet::new();
            for _ in 0..parallel {
                lanes.spawn(Arc::clone(self).lane());
            }
            while let Some(lane) = lanes.join_next().await {
                // Those of the others that still run end with the set.
                lane.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
            }
            self.source.unchanged()?;
            self.source.ends().await?;
            self.observer.tell(Event::Finishes);
            if let Some(receipt) = self.finalize().await? {
                self.observer.tell(Event::Compares);
                return Ok(receipt);
            }
        }
    }

    async fn lane(self: Arc<Self>) -> Result<(), Failure> {
        loop {
            let next = self.parts().take();
            let Some(number) = next else { return Ok(()) };
            self.part(number).await?;
        }
    }

    /// Sends a part until it has arrived.
    async fn part(self: &Arc<Self>, number: u32) -> Result<(), Failure> {
        let mut tries = Tries::new(&self.patience, &*self.observer);
        let mut damages = 0;
        loop {
            let error = match self.try_part(number).await {
                Ok(()) => break,
                Err(error) => error,
            };
            self.source.unchanged()?;
            if error.is_problem("digest-mismatch") && damages < DAMAGES {
                damages += 1;
            } else {
                self.must_go_on(&error)?;
                tries.again(error).await?;
            }
            // It may have arrived although nobody said so.
            let seen = until_done(&self.patience, &*self.observer, || self.client.look(&self.session)).await;
            let seen = seen.map_err(|error| if error.is_absent() { over() } else { error.into() })?;
            if !seen.goes_on() {
                return Err(over());
            }
            if contains(&seen.received_parts, number) {
                break;
            }
        }
        self.patience.renew();
        let mut parts = self.parts();
        parts.arrived(number);
        self.frontier.send_replace(parts.frontier());
        drop(parts);
        self.tell();
        Ok(())
    }

    async fn try_part(self: &Arc<Self>, number: u32) -> Result<(), Error> {
        let range = self.parts().range(number);
        self.source.unchanged()?;
        let sha256 = self.source.hash(range.clone(), Sha256::new()).await?.finish();
        let upload = self.clone();
        let sent = Arc::new(Sent::new(move |bytes| {
            upload.moving.fetch_add(bytes, Ordering::Relaxed);
            upload.tell();
        }));
        // Also where it is dropped in the middle.
        let counted = Counted { upload: self, sent: sent.clone() };
        let body = self.source.body(range.clone(), sent.clone());
        let answer = self.client.put_part(&self.session, Part { number, range, sha256, body }, &sent.pulse).await;
        drop(counted);
        answer
    }

    /// Makes the file; `None` if the server has lost parts, which wait again.
    async fn finalize(&self) -> Result<Option<Receipt>, Failure> {
        let mut tries = Tries::new(&self.patience, &*self.observer);
        loop {
            let error = match self.client.finalize(&self.session).await {
                Ok(receipt) => return Ok(Some(receipt)),
                Err(error) => error,
            };
            if error.is_problem("incomplete-upload") {
                let seen = until_done(&self.patience, &*self.observer, || self.client.look(&self.session)).await?;
                self.parts().lost(&seen.received_parts);
                self.tell();
                return Ok(None);
            }
            self.must_go_on(&error)?;
            // Asked again it tells of the same file.
            tries.again(error).await?;
        }
    }

    /// The digest of the whole, behind what has arrived.
    async fn digest(&self) -> Result<Digest, Failure> {
        let mut sha256 = Sha256::new();
        let mut frontier = self.frontier.subscribe();
        for number in 1..=self.session.total_parts {
            let _ = frontier.wait_for(|frontier| *frontier > number).await;
            let range = self.parts().range(number);
            sha256 = self.source.hash(range, sha256).await?;
        }
        Ok(sha256.finish())
    }

    /// Fails with what an answer says of the session as such.
    fn must_go_on(&self, error: &Error) -> Result<(), Failure> {
        if error.is_absent() || error.is_problem("session-complete") {
            return Err(over());
        }
        // A part of it has other content than the file, so it was begun with that.
        if error.is_problem("part-conflict") { Err(Failure::Over { pass_over: true }) } else { Ok(()) }
    }

    fn tell(&self) {
        let there = self.parts().bytes();
        self.observer.tell(Event::At((there + self.moving.load(Ordering::Relaxed)).min(self.source.size())));
    }
}

fn over() -> Failure {
    Failure::Over { pass_over: false }
}

/// What a request has sent counts as moving until it is over.
struct Counted<'u> {
    upload: &'u Upload,
    sent: Arc<Sent>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.upload.moving.fetch_sub(self.sent.bytes(), Ordering::Relaxed);
    }
}

//! Uploads a file in parts, and resumes the session of an interrupted upload.
//!
//! The whole file is hashed during the upload, in the order of the file, behind the parts just sent, while their content is
//! still in the page cache. The digest is compared with the server's.

use super::parts::{Parts, contains};
use super::retry::{Patience, Tries, retry_until_done};
use super::source::{Sent, UploadFile};
use crate::client::Client;
use crate::error::Error;
use crate::event::{Event, Observer};
use crate::remote::{Announced, PartUpload, Receipt, Session, Status};
use portico_store::{Digest, Sha256};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Most retries of a part that was damaged in transit.
const DAMAGES: u32 = 3;

/// Most sessions that may end during one upload.
const ENDS: u32 = 5;

/// Most ended sessions of one unchanged file that are skipped.
const SESSIONS: u32 = 1_000;

/// The media type of unknown content.
const UNKNOWN_TYPE: &str = "application/octet-stream";

/// Options of an upload.
pub struct PutOptions {
    /// File name at the server; default: the last component of the path.
    pub name: Option<String>,
    /// Media type; default: derived from the name.
    pub content_type: Option<String>,
    /// Part size in bytes; default: the server's choice.
    pub part_size: Option<u64>,
    /// Parts in flight at once.
    pub parallel: usize,
    /// Uploads the file anew even if an unchanged copy is stored already.
    pub again: bool,
}

/// The result of an upload.
pub struct Uploaded {
    /// The server's description of the file.
    pub receipt: Receipt,
    /// Whether an earlier run had already uploaded the file.
    pub was_there: bool,
}

/// Why a session did not lead to the file.
enum UploadFailure {
    /// The session has ended, or holds other content.
    Over {
        /// Whether the next idempotency key must be used.
        pass_over: bool,
    },
    /// An error that no other session cures.
    Error(Error),
}

impl From<Error> for UploadFailure {
    fn from(error: Error) -> Self {
        UploadFailure::Error(error)
    }
}

/// Derives a media type from a file name.
pub(crate) fn type_of(name: &str) -> String {
    mime_guess::from_path(name).first_raw().unwrap_or(UNKNOWN_TYPE).to_owned()
}

impl Client {
    /// Uploads a file, and resumes an interrupted upload of it. A file that an earlier run has stored is not sent again, if it
    /// is unchanged and `again` is not set.
    ///
    /// # Errors
    /// [`Error`]. The received parts stay at the server for a later run, unless the file was changed.
    pub async fn put(
        self: &Arc<Self>,
        path: &Path,
        options: &PutOptions,
        observer: &Arc<dyn Observer>,
    ) -> Result<Uploaded, Error> {
        let source = Arc::new(UploadFile::open(path)?);
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
            let session = retry_until_done(&patience, &**observer, || self.create_session(&announced)).await?;
            if session.status == Status::Complete
                && !options.again
                && let Some(receipt) = self.put_before(&source, &session, &patience, observer).await?
            {
                return Ok(Uploaded { receipt, was_there: true });
            }
            if !session.is_open() {
                attempt += 1;
                continue;
            }
            let upload = Arc::new(SessionUpload::new(self, &source, session, &patience, observer));
            match upload.run(options.parallel).await {
                Ok(receipt) => return Ok(Uploaded { receipt, was_there: false }),
                Err(UploadFailure::Over { pass_over }) => {
                    ends += 1;
                    attempt += u32::from(pass_over);
                    if ends == ENDS {
                        return Err(Error::Ended(ends));
                    }
                }
                Err(UploadFailure::Error(error)) => {
                    if matches!(error, Error::Changed(_) | Error::FalseSize { .. }) {
                        // No later run finds this session again. If the abort fails, the session expires.
                        let _ = self.abort(&upload.session).await;
                    }
                    return Err(error);
                }
            }
        }
        Err(Error::TooManySessions(SESSIONS))
    }

    /// Returns a completed session's receipt, if its file still exists and has this content.
    async fn put_before(
        &self,
        source: &Arc<UploadFile>,
        session: &Session,
        patience: &Patience,
        observer: &Arc<dyn Observer>,
    ) -> Result<Option<Receipt>, Error> {
        let receipt = match retry_until_done(patience, &**observer, || self.finalize(session)).await {
            Ok(receipt) => receipt,
            Err(error) if error.is_absent() => return Ok(None),
            Err(error) => return Err(error),
        };
        observer.report(Event::Started { size: Some(source.size()), already: source.size() });
        observer.report(Event::Comparing);
        let sha256 = source.hash(0..source.size(), Sha256::new()).await?.finish().to_hex();
        Ok(Some(receipt).filter(|receipt| receipt.sha256 == sha256))
    }
}

/// The upload of one file through one session.
struct SessionUpload {
    client: Arc<Client>,
    source: Arc<UploadFile>,
    session: Session,
    patience: Arc<Patience>,
    observer: Arc<dyn Observer>,
    parts: Mutex<Parts>,
    /// See [`Parts::frontier`].
    frontier: watch::Sender<u32>,
    /// Bytes of the parts in flight.
    moving: AtomicU64,
}

impl SessionUpload {
    fn new(
        client: &Arc<Client>,
        source: &Arc<UploadFile>,
        session: Session,
        patience: &Arc<Patience>,
        observer: &Arc<dyn Observer>,
    ) -> SessionUpload {
        let Session { chunk_size_bytes, total_parts, received_parts, .. } = &session;
        let parts = Parts::new(source.size(), *chunk_size_bytes, *total_parts, received_parts);
        SessionUpload {
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

    async fn run(self: &Arc<Self>, parallel: usize) -> Result<Receipt, UploadFailure> {
        self.observer.report(Event::Started { size: Some(self.source.size()), already: self.parts().bytes() });
        let (receipt, sha256) = tokio::try_join!(self.send(parallel), self.digest())?;
        if receipt.sha256 == sha256.to_hex() && receipt.size_bytes == self.source.size() {
            return Ok(receipt);
        }
        let deleted = retry_until_done(&self.patience, &*self.observer, || self.client.delete(&receipt.file_id)).await;
        match deleted {
            Err(error) if !error.is_absent() => Err(error.into()),
            // An earlier run may have sent other content, if the change left no trace in the metadata.
            _ if !self.session.received_parts.is_empty() => Err(UploadFailure::Over { pass_over: true }),
            _ => Err(Error::Differs(self.source.path.clone()).into()),
        }
    }

    /// Sends all missing parts, and finalizes the session.
    async fn send(self: &Arc<Self>, parallel: usize) -> Result<Receipt, UploadFailure> {
        loop {
            let mut lanes = JoinSet::new();
            for _ in 0..parallel {
                lanes.spawn(Arc::clone(self).lane());
            }
            while let Some(lane) = lanes.join_next().await {
                // Dropping the set ends the lanes that still run.
                lane.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))?;
            }
            self.source.unchanged()?;
            self.source.ends().await?;
            self.observer.report(Event::Finalizing);
            if let Some(receipt) = self.finalize().await? {
                self.observer.report(Event::Comparing);
                return Ok(receipt);
            }
        }
    }

    async fn lane(self: Arc<Self>) -> Result<(), UploadFailure> {
        loop {
            let next = self.parts().take();
            let Some(number) = next else { return Ok(()) };
            self.part(number).await?;
        }
    }

    /// Sends a part, with retries, until the server has it.
    async fn part(self: &Arc<Self>, number: u32) -> Result<(), UploadFailure> {
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
                self.check_open(&error)?;
                tries.again(error).await?;
            }
            // The part may have arrived although its answer was lost.
            let seen =
                retry_until_done(&self.patience, &*self.observer, || self.client.fetch_session(&self.session)).await;
            let seen = seen.map_err(|error| if error.is_absent() { over() } else { error.into() })?;
            if !seen.is_open() {
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
        self.report_progress();
        Ok(())
    }

    async fn try_part(self: &Arc<Self>, number: u32) -> Result<(), Error> {
        let range = self.parts().range(number);
        self.source.unchanged()?;
        let sha256 = self.source.hash(range.clone(), Sha256::new()).await?.finish();
        let upload = self.clone();
        let sent = Arc::new(Sent::new(move |bytes| {
            upload.moving.fetch_add(bytes, Ordering::Relaxed);
            upload.report_progress();
        }));
        // A guard, so that a cancelled attempt counts too.
        let counted = Counted { upload: self, sent: sent.clone() };
        let body = self.source.body(range.clone(), sent.clone());
        let answer = self.client.put_part(&self.session, PartUpload { number, range, sha256, body }, &sent.pulse).await;
        drop(counted);
        answer
    }

    /// Finalizes the session. Returns `None` if the server has lost parts, which are pending again.
    async fn finalize(&self) -> Result<Option<Receipt>, UploadFailure> {
        let mut tries = Tries::new(&self.patience, &*self.observer);
        loop {
            let error = match self.client.finalize(&self.session).await {
                Ok(receipt) => return Ok(Some(receipt)),
                Err(error) => error,
            };
            if error.is_problem("incomplete-upload") {
                let seen =
                    retry_until_done(&self.patience, &*self.observer, || self.client.fetch_session(&self.session))
                        .await?;
                self.parts().lost(&seen.received_parts);
                self.report_progress();
                return Ok(None);
            }
            self.check_open(&error)?;
            // Finalizing is idempotent.
            tries.again(error).await?;
        }
    }

    /// Hashes the whole file, behind the received parts.
    async fn digest(&self) -> Result<Digest, UploadFailure> {
        let mut sha256 = Sha256::new();
        let mut frontier = self.frontier.subscribe();
        for number in 1..=self.session.total_parts {
            let _ = frontier.wait_for(|frontier| *frontier > number).await;
            let range = self.parts().range(number);
            sha256 = self.source.hash(range, sha256).await?;
        }
        Ok(sha256.finish())
    }

    /// Fails if the answer says that the session cannot continue.
    fn check_open(&self, error: &Error) -> Result<(), UploadFailure> {
        if error.is_absent() || error.is_problem("session-complete") {
            return Err(over());
        }
        // A part has other content than the file, so the session began with that content.
        if error.is_problem("part-conflict") { Err(UploadFailure::Over { pass_over: true }) } else { Ok(()) }
    }

    fn report_progress(&self) {
        let there = self.parts().bytes();
        self.observer.report(Event::Transferred((there + self.moving.load(Ordering::Relaxed)).min(self.source.size())));
    }
}

fn over() -> UploadFailure {
    UploadFailure::Over { pass_over: false }
}

/// Counts the bytes of a request as in flight, until dropped.
struct Counted<'u> {
    upload: &'u SessionUpload,
    sent: Arc<Sent>,
}

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.upload.moving.fetch_sub(self.sent.bytes(), Ordering::Relaxed);
    }
}

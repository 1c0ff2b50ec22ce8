//! Operations on sessions that all protocols share. No protocol's wording is in here.
//!
//! Invariants: a session ends at the final object of its file id and nowhere else, so each operation looks there first,
//! and again after every failure or wait; parts are deleted with that end or after it; a client learns of a change only
//! after the store has committed it.

use crate::{
    clock,
    policy::parts::{self, BadPartSize, Layout, Run},
    session::{ABORTED, Announced, End, Received, Session},
    settings::Settings,
};
use portico_guest::{Digest, Error, FinalOptions, InputStream, ListedPart, PartOptions, Store, StoredObject, TempPart};
use std::time::Duration;

/// The metadata key of a file's original name.
pub(crate) const ORIGINAL_FILENAME: &str = "original-filename";

/// Longest time that a finalize waits for a concurrent one of the same session.
const FINALIZE_WAIT: Duration = Duration::from_secs(60);

/// First and longest pause between two looks at a concurrent finalize.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Most restarts of a finalize whose parts were deleted between listing and assembly.
const TRIES: usize = 5;

/// Why an operation on a session failed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// No session has that id.
    Unknown,
    /// The session has ended.
    Ended(End),
    /// Parts are missing.
    Incomplete(Vec<Run>),
    /// The number has a part of other content.
    OtherContent,
    /// Another finalize of the session is still running.
    Busy,
    /// The session's record has an unknown version.
    Unreadable,
    /// The file exceeds the store's limit, which is the payload, in bytes.
    TooLarge(u64),
    /// The part size that the client chose is not allowed.
    PartSize(BadPartSize),
    /// The store failed.
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Store(error)
    }
}

/// A session and its id.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) session: Session,
}

/// The end of a session, as the store has it.
pub(crate) struct Standing {
    /// How the session has ended; `None` while it is open.
    pub(crate) end: Option<End>,
    /// The session's file, if it exists.
    pub(crate) file: Option<StoredObject>,
}

/// The sessions of a store.
pub(crate) struct Engine {
    pub(crate) store: Store,
}

/// Returns the name of a session's record.
pub(crate) fn record_name(id: &str) -> String {
    format!("{SESSIONS}{id}")
}

/// The prefix of the names of session records.
pub(crate) const SESSIONS: &str = "sessions/";

/// The prefix of the records that note when a session with parts was first seen without its record.
pub(crate) const ORPHANS: &str = "orphans/";

impl Engine {
    /// Opens the engine of this request.
    pub(crate) fn open() -> Engine {
        Engine { store: Store::open() }
    }

    /// Begins a session, within the current settings. `idempotency` is the name of the record that will lead to the
    /// session.
    pub(crate) fn create(&self, file: Announced, idempotency: Option<String>) -> Result<Found, Refusal> {
        let limit = self.store.info().max_object_size;
        if file.total_size > limit {
            return Err(Refusal::TooLarge(limit));
        }
        let settings = Settings::load();
        let part_size = parts::part_size(file.total_size, file.part_size, &settings).map_err(Refusal::PartSize)?;
        let id = clock::random_id();
        let mut session = Session::new(clock::random_id(), file, part_size, clock::now_ms(), settings.session_ttl);
        session.idempotency = idempotency;
        self.store.create_record(&record_name(&id), &session.write())?;
        Ok(Found { id, session })
    }

    /// Finds the session of an id, which may be any text.
    pub(crate) fn find(&self, id: &str) -> Result<Found, Refusal> {
        if !clock::is_id(id) {
            return Err(Refusal::Unknown);
        }
        match self.store.get_record(&record_name(id)) {
            Ok(record) => {
                let session = Session::read(&record.value).ok_or(Refusal::Unreadable)?;
                Ok(Found { id: id.to_owned(), session })
            }
            Err(Error::NotFound) => Err(Refusal::Unknown),
            Err(error) => Err(error.into()),
        }
    }

    /// Looks up how a session has ended.
    pub(crate) fn standing(&self, session: &Session) -> Result<Standing, Refusal> {
        match self.store.stat_final(&session.file_id) {
            Ok(file) => Ok(Standing { end: Some(End::Complete), file: Some(file) }),
            Err(Error::Gone { reason }) => Ok(Standing { end: Some(End::of_reason(&reason)), file: None }),
            Err(Error::NotFound) => Ok(Standing { end: None, file: None }),
            Err(error) => Err(error.into()),
        }
    }

    /// Fails unless a session is open.
    fn must_go_on(&self, session: &Session) -> Result<(), Refusal> {
        match self.standing(session)?.end {
            Some(end) => Err(Refusal::Ended(end)),
            None if session.is_over(clock::now_ms()) => Err(Refusal::Ended(End::Expired)),
            None => Ok(()),
        }
    }

    /// Lists the parts of a session, by number.
    pub(crate) fn parts(&self, id: &str) -> Result<Vec<ListedPart>, Refusal> {
        Ok(self.store.parts(id).collect::<Result<_, _>>()?)
    }

    /// Lists what has arrived of a session.
    pub(crate) fn received(&self, id: &str, layout: Layout) -> Result<Received, Refusal> {
        let parts = self.parts(id)?;
        Ok(Received::new(layout, parts.iter().map(|part| (part.part_number, part.size))))
    }

    /// Stores a part, whose content the host pulls.
    pub(crate) fn put_part(
        &self,
        Found { id, session }: &Found,
        number: u32,
        content: InputStream,
        options: PartOptions,
    ) -> Result<TempPart, Refusal> {
        if session.is_over(clock::now_ms()) {
            self.must_go_on(session)?;
        }
        let stored = self.store.put_temp_part(id, number, content, options.unless_final(session.file_id.clone()));
        match stored {
            // The end of a session also interrupts its puts.
            Err(error @ (Error::Ended | Error::Interrupted { .. } | Error::Stalled { .. } | Error::Conflict)) => {
                match self.standing(session)?.end {
                    Some(end) => Err(Refusal::Ended(end)),
                    None if error == Error::Conflict => Err(Refusal::OtherContent),
                    None => Err(error.into()),
                }
            }
            stored => Ok(stored?),
        }
    }

    /// Deletes a part, so that its number can be sent again. Does nothing if no such part exists.
    pub(crate) fn delete_part(&self, Found { id, session }: &Found, number: u32) -> Result<(), Refusal> {
        self.must_go_on(session)?;
        for part in self.store.parts(id) {
            let part = part?;
            if part.part_number == number {
                self.store.delete_temp_part(&part.temp_key)?;
            }
            if part.part_number >= number {
                break;
            }
        }
        Ok(())
    }

    /// Makes the file of a session's numbered parts; true if this call made it.
    pub(crate) fn finalize(&self, found: &Found, layout: Layout) -> Result<(StoredObject, bool), Refusal> {
        let began = clock::monotonic();
        let (mut pause, mut tries) = (LOOK_AGAIN.0, 0);
        loop {
            match self.standing(&found.session)? {
                Standing { file: Some(file), .. } => return Ok((file, false)),
                Standing { end: Some(end), .. } => return Err(Refusal::Ended(end)),
                Standing { end: None, .. } if found.session.is_over(clock::now_ms()) => {
                    return Err(Refusal::Ended(End::Expired));
                }
                Standing { end: None, .. } => {}
            }
            let failure = match self.assemble(found, layout) {
                Ok(file) => return Ok((file, true)),
                Err(failure) => failure,
            };
            // Another request may have made the file, or ended the session, meanwhile.
            if let Standing { end: Some(_), .. } = self.standing(&found.session)? {
                continue;
            }
            match failure {
                // Another finalize is running in this host: its outcome will be the outcome of this one.
                Refusal::Store(Error::Conflict) if clock::monotonic() - began > FINALIZE_WAIT => {
                    return Err(Refusal::Busy);
                }
                Refusal::Store(Error::Conflict) => {
                    clock::sleep(pause);
                    pause = (pause * 2).min(LOOK_AGAIN.1);
                }
                // A part was deleted after the listing.
                Refusal::Store(Error::NotFound) if tries < TRIES => tries += 1,
                failure => return Err(failure),
            }
        }
    }

    fn assemble(&self, Found { id, session }: &Found, layout: Layout) -> Result<StoredObject, Refusal> {
        let parts = self.parts(id)?;
        let received = Received::new(layout, parts.iter().map(|part| (part.part_number, part.size)));
        let missing = received.missing(layout);
        if !missing.is_empty() {
            return Err(Refusal::Incomplete(missing));
        }
        let mut options = FinalOptions::new()
            .size(layout.total)
            .content_type(session.content_type.clone())
            .metadata(ORIGINAL_FILENAME, session.original_filename.clone());
        options.expected.sha256 = session.sha256.as_deref().and_then(|digest| digest.parse::<Digest>().ok());
        let keys = parts.into_iter().filter(|part| layout.extent(part.part_number).is_some()).map(|part| part.temp_key);
        Ok(self.store.assemble_final(&session.file_id, keys, options)?)
    }

    /// Ends a session without a file; true if this call ended it. Idempotent.
    pub(crate) fn abort(&self, Found { id, session }: &Found) -> Result<bool, Refusal> {
        let ended = self.store.void_final(&session.file_id, ABORTED)?;
        if !ended && let Some(end @ (End::Complete | End::Deleted)) = self.standing(session)?.end {
            return Err(Refusal::Ended(end));
        }
        self.store.delete_session_parts(id)?;
        Ok(ended)
    }
}

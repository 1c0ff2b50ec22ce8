//! Sessions over the store: what every protocol does, and none of how it says it.
//!
//! Invariants: a session ends at the final object of its file id and nowhere else, so whoever wants to know looks there
//! first, and again after whatever failed or took time; parts go with that end or after it; nothing is told to a client
//! before the store has it.

use crate::{
    clock,
    policy::parts::{self, BadPartSize, Layout, Run},
    session::{ABORTED, Announced, End, Received, Session},
    settings::Settings,
};
use portico_guest::{Digest, Error, FinalOptions, InputStream, ListedPart, PartOptions, Store, StoredObject, TempPart};
use std::time::Duration;

/// The metadata that keeps a file's original name.
pub(crate) const ORIGINAL_FILENAME: &str = "original-filename";

/// How long a finalize waits for another one of the same session that is running.
const FINALIZE_WAIT: Duration = Duration::from_secs(60);

/// Between two looks at what another one is doing: at first, and at most.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How often a finalize begins again because parts went while it listed them.
const TRIES: usize = 5;

/// Why an operation on a session does not succeed.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// There is no session of that id.
    Unknown,
    /// The session has ended.
    Ended(End),
    /// Parts are missing.
    Incomplete(Vec<Run>),
    /// A part of other content has that number.
    OtherContent,
    /// Another finalize of it is running, and takes its time.
    Busy,
    /// Its record is of a version that is not understood here.
    Unreadable,
    /// The file is larger than the store takes, which is the payload, in bytes.
    TooLarge(u64),
    /// No session can have parts of the size that is asked for.
    PartSize(BadPartSize),
    /// The store.
    Store(Error),
}

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Refusal::Store(error)
    }
}

/// A session that was found.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) session: Session,
}

/// How a session stands.
pub(crate) struct Standing {
    /// Its end, if it has ended.
    pub(crate) end: Option<End>,
    /// Its file, if that exists.
    pub(crate) file: Option<StoredObject>,
}

/// Sessions in a store.
pub(crate) struct Engine {
    pub(crate) store: Store,
    pub(crate) settings: Settings,
}

/// The name of a session's record.
pub(crate) fn record_name(id: &str) -> String {
    format!("{SESSIONS}{id}")
}

/// What the names of the records of sessions begin with.
pub(crate) const SESSIONS: &str = "sessions/";

/// What the names of the records begin with that say since when a session which has parts was seen without its record.
pub(crate) const ORPHANS: &str = "orphans/";

impl Engine {
    /// The engine of this request.
    pub(crate) fn open() -> Engine {
        Engine { store: Store::open(), settings: Settings::load() }
    }

    /// Begins a session, within what the settings allow now. `idempotency` is the name of the record that will lead to it.
    pub(crate) fn create(&self, file: Announced, idempotency: Option<String>) -> Result<Found, Refusal> {
        let limit = self.store.info().max_object_size;
        if file.total_size > limit {
            return Err(Refusal::TooLarge(limit));
        }
        let part_size = parts::part_size(file.total_size, file.part_size, &self.settings).map_err(Refusal::PartSize)?;
        let id = clock::random_id();
        let ttl = self.settings.session_ttl;
        let mut session = Session::new(clock::random_id(), file, part_size, clock::now_ms(), ttl);
        session.idempotency = idempotency;
        self.store.create_record(&record_name(&id), &session.write())?;
        Ok(Found { id, session })
    }

    /// The session of an id, which may be any text.
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

    /// How it stands now.
    pub(crate) fn standing(&self, session: &Session) -> Result<Standing, Refusal> {
        match self.store.stat_final(&session.file_id) {
            Ok(file) => Ok(Standing { end: Some(End::Complete), file: Some(file) }),
            Err(Error::Gone { reason }) => Ok(Standing { end: Some(End::of_reason(&reason)), file: None }),
            Err(Error::NotFound) => Ok(Standing { end: None, file: None }),
            Err(error) => Err(error.into()),
        }
    }

    /// Refuses what can be done only while a session goes on.
    fn must_go_on(&self, session: &Session) -> Result<(), Refusal> {
        match self.standing(session)?.end {
            Some(end) => Err(Refusal::Ended(end)),
            None if session.is_over(clock::now_ms()) => Err(Refusal::Ended(End::Expired)),
            None => Ok(()),
        }
    }

    /// Its parts, by number.
    pub(crate) fn parts(&self, id: &str) -> Result<Vec<ListedPart>, Refusal> {
        Ok(self.store.parts(id).collect::<Result<_, _>>()?)
    }

    /// What has arrived of it.
    pub(crate) fn received(&self, id: &str, layout: Layout) -> Result<Received, Refusal> {
        let parts = self.parts(id)?;
        Ok(Received::new(layout, parts.iter().map(|part| (part.part_number, part.size))))
    }

    /// Stores a part. The host pulls its content.
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
            // The end of a session interrupts its parts, too.
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

    /// Deletes a part, so that it can be sent again. Nothing happens if there is none.
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

    /// Makes the file of a session's numbered parts; true if it was this call that did.
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
            // Somebody else may have done it, or ended the session, while this failed.
            if let Standing { end: Some(_), .. } = self.standing(&found.session)? {
                continue;
            }
            match failure {
                // One is running in this host: its outcome will be ours.
                Refusal::Store(Error::Conflict) if clock::monotonic() - began > FINALIZE_WAIT => {
                    return Err(Refusal::Busy);
                }
                Refusal::Store(Error::Conflict) => {
                    clock::sleep(pause);
                    pause = (pause * 2).min(LOOK_AGAIN.1);
                }
                // A part was deleted since it was listed.
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
        let keys = parts.into_iter().filter(|part| layout.place(part.part_number).is_some()).map(|part| part.temp_key);
        Ok(self.store.assemble_final(&session.file_id, keys, options)?)
    }

    /// Ends a session without a file. It may have ended so before.
    pub(crate) fn abort(&self, Found { id, session }: &Found) -> Result<(), Refusal> {
        if !self.store.void_final(&session.file_id, ABORTED)?
            && let Some(end @ (End::Complete | End::Deleted)) = self.standing(session)?.end
        {
            return Err(Refusal::Ended(end));
        }
        self.store.delete_session_parts(id)?;
        Ok(())
    }
}

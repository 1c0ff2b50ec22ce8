//! Operations on sessions that all protocols share. No protocol's wording is in here.
//!
//! Invariants: a session ends at the final object of its file id and nowhere else, so each operation looks there first,
//! and again after every failure or wait; parts are deleted with that end or after it; a client learns of a change only
//! after the store has committed it.

use crate::{
    appends::{self, Content, Tail},
    policy::parts,
    refusal::Refusal,
    session::{Announced, End, Form, Received, Session},
    settings::Settings,
};
use portico_guest::{Error, InputStream, ListedPart, PartOptions, Store, StoredObject, TempPart, clock, random};

/// The metadata key of a file's original name.
pub(crate) const ORIGINAL_FILENAME: &str = "original-filename";

/// The metadata key of a file's path in the folder that the client sent.
pub(crate) const RELATIVE_PATH: &str = "relative-path";

/// A session and its id.
pub(crate) struct Found {
    pub(crate) id: String,
    pub(crate) session: Session,
}

/// How a new session gets its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parts {
    /// In numbered parts.
    Numbered,
    /// In appends, or from other sessions.
    Appended,
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

/// Returns the name of the record that has the length of a session which began without one.
fn length_name(id: &str) -> String {
    format!("lengths/{id}")
}

/// Returns the name of the record that leads from an upload to the concatenation that it belongs to.
pub(crate) fn joiner_name(id: &str) -> String {
    format!("joiners/{id}")
}

impl Engine {
    /// Opens the engine of this request.
    pub(crate) fn open() -> Engine {
        Engine { store: Store::open() }
    }

    /// Begins a session, within the current settings. `idempotency` is the name of the record that will lead to the
    /// session.
    pub(crate) fn create(&self, file: Announced, parts: Parts, idempotency: Option<String>) -> Result<Found, Refusal> {
        let limit = self.store.info().max_object_size;
        if file.total_size.is_some_and(|size| size > limit) {
            return Err(Refusal::TooLarge(limit));
        }
        let settings = Settings::load();
        let part_size = match parts {
            Parts::Numbered => {
                let size = parts::part_size(file.total_size.unwrap_or_default(), file.part_size, &settings);
                Some(size.map_err(Refusal::PartSize)?)
            }
            Parts::Appended => None,
        };
        let id = random::id();
        let mut session = Session::new(random::id(), file, part_size, clock::now_ms(), settings.session_ttl);
        session.idempotency = idempotency;
        self.store.create_record(&record_name(&id), &session.write())?;
        Ok(Found { id, session })
    }

    /// Finds the session of an id, which may be any text.
    pub(crate) fn find(&self, id: &str) -> Result<Found, Refusal> {
        if !random::is_id(id) {
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
    ///
    /// # Errors
    /// [`Refusal::Ended`].
    pub(crate) fn must_go_on(&self, session: &Session) -> Result<(), Refusal> {
        match self.standing(session)?.end {
            Some(end) => Err(Refusal::Ended(end)),
            None if session.is_over(clock::now_ms()) => Err(Refusal::Ended(End::Expired)),
            None => Ok(()),
        }
    }

    /// Returns the length of a session's file in bytes, if it is known.
    pub(crate) fn length(&self, Found { id, session }: &Found) -> Result<Option<u64>, Refusal> {
        if session.total_size.is_some() {
            return Ok(session.total_size);
        }
        match self.store.get_record(&length_name(id)) {
            Ok(record) => {
                let length = std::str::from_utf8(&record.value).ok().and_then(|text| text.parse().ok());
                length.map(Some).ok_or(Refusal::Unreadable)
            }
            Err(Error::NotFound) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Sets the length of a session's file, which is set once.
    pub(crate) fn set_length(&self, found: &Found, length: u64) -> Result<(), Refusal> {
        let limit = self.store.info().max_object_size;
        if length > limit {
            return Err(Refusal::TooLarge(limit));
        }
        let known = match self.length(found)? {
            None => match self.store.create_record(&length_name(&found.id), length.to_string().as_bytes()) {
                Ok(_) => return Ok(()),
                // Another request was faster.
                Err(Error::Conflict) => self.length(found)?,
                Err(error) => return Err(error.into()),
            },
            known => known,
        };
        if known == Some(length) { Ok(()) } else { Err(Refusal::Length) }
    }

    /// Deletes what was noted of a session beside its record.
    pub(crate) fn forget_notes(&self, Found { id, session }: &Found) -> Result<(), Error> {
        if session.total_size.is_none() {
            self.store.delete_record(&length_name(id), None)?;
        }
        if session.is_partial() {
            self.store.delete_record(&joiner_name(id), None)?;
        }
        Ok(())
    }

    /// Lists the parts of a session, by number.
    pub(crate) fn parts(&self, id: &str) -> Result<Vec<ListedPart>, Refusal> {
        Ok(self.store.parts(id).collect::<Result<_, _>>()?)
    }

    /// Returns what has arrived of a session.
    pub(crate) fn arrived(&self, Found { id, session }: &Found) -> Result<Received, Refusal> {
        match session.form() {
            Form::Numbered(layout) => {
                let parts = self.parts(id)?;
                Ok(Received::new(layout, parts.iter().map(|part| (part.part_number, part.size))))
            }
            Form::Appended => Ok(Received { bytes: Tail::find(&self.store, id)?.offset, runs: Vec::new() }),
            // What has arrived belongs to the other sessions.
            Form::Joined(_) => Ok(Received::default()),
        }
    }

    /// Stores a part, whose content the host pulls.
    pub(crate) fn put_part(
        &self,
        found: &Found,
        number: u32,
        content: InputStream,
        options: PartOptions,
    ) -> Result<TempPart, Refusal> {
        let stored =
            self.putting(found, options, |options| self.store.put_temp_part(&found.id, number, content, options));
        match stored {
            Err(Refusal::Store(Error::Conflict)) => Err(Refusal::OtherContent),
            stored => stored,
        }
    }

    /// Stores a part in a way of the caller's, while the session is open.
    fn putting(
        &self,
        Found { session, .. }: &Found,
        options: PartOptions,
        put: impl FnOnce(PartOptions) -> Result<TempPart, Error>,
    ) -> Result<TempPart, Refusal> {
        if session.is_over(clock::now_ms()) {
            self.must_go_on(session)?;
        }
        match put(options.unless_final(session.file_id.clone())) {
            // The end of a session also interrupts its puts.
            Err(error @ (Error::Ended | Error::Interrupted { .. } | Error::Stalled { .. } | Error::Conflict)) => {
                match self.standing(session)?.end {
                    Some(end) => Err(Refusal::Ended(end)),
                    None => Err(error.into()),
                }
            }
            stored => Ok(stored?),
        }
    }

    /// Ends the requests that append to a session in this process. What they have received is stored. Then returns the
    /// end of the content.
    ///
    /// # Errors
    /// [`Refusal::Ended`]; [`Refusal::Kind`] for a session that takes no appends.
    pub(crate) fn take_over(&self, found: &Found) -> Result<Tail, Refusal> {
        let tail = self.interrupt(found)?;
        // An end deletes the parts, so it is looked up after them.
        self.must_go_on(&found.session)?;
        Ok(tail)
    }

    /// Like [`Engine::take_over`], for an append at an offset. Does not look whether the session is open if it has content
    /// that ends there: [`Engine::append`] does, and a caller with nothing to append calls [`Engine::must_go_on`].
    ///
    /// # Errors
    /// Those of [`Engine::take_over`], and [`Refusal::Offset`].
    pub(crate) fn take_over_at(&self, found: &Found, offset: u64) -> Result<Tail, Refusal> {
        let tail = self.interrupt(found)?;
        // An end deletes the parts, so a session without any may have ended.
        if tail.offset != offset || offset == 0 {
            self.must_go_on(&found.session)?;
        }
        if tail.offset == offset { Ok(tail) } else { Err(Refusal::Offset(tail.offset)) }
    }

    fn interrupt(&self, found: &Found) -> Result<Tail, Refusal> {
        if found.session.form() != Form::Appended {
            return Err(Refusal::Kind);
        }
        self.store.interrupt(&found.id)?;
        Ok(Tail::find(&self.store, &found.id)?)
    }

    /// Appends content at the end that [`Engine::take_over_at`] has found.
    ///
    /// # Errors
    /// [`Refusal::Ended`]; [`Refusal::Offset`] if another request has appended meanwhile.
    pub(crate) fn append(
        &self,
        found: &Found,
        tail: &Tail,
        mut options: PartOptions,
        put: impl FnOnce(u32, PartOptions) -> Result<TempPart, Error>,
    ) -> Result<TempPart, Refusal> {
        let number = tail.next_number().ok_or(Refusal::Appends)?;
        options.offset = Some(tail.offset);
        options.previous = tail.previous();
        match self.putting(found, options, |options| put(number, options)) {
            Err(Refusal::Store(Error::Conflict)) => Err(Refusal::Offset(Tail::find(&self.store, &found.id)?.offset)),
            Ok(part) if part.size == 0 => {
                // The next append takes the number.
                self.store.delete_temp_part(&part.temp_key)?;
                Ok(part)
            }
            Ok(part) => {
                appends::join(&self.store, &found.id, number);
                Ok(part)
            }
            failed => failed,
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

    /// Lists the content of a session of appends, which must be complete.
    pub(crate) fn appended(&self, found: &Found) -> Result<Content, Refusal> {
        let length = self.length(found)?;
        let content = Content::list(&self.store, &found.id)?;
        if length == Some(content.size) { Ok(content) } else { Err(Refusal::Short(content.size)) }
    }
}

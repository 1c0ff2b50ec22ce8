//! How sessions end: by a file, or without one.

use crate::{
    appends::Content,
    engine::{Engine, Found, ORIGINAL_FILENAME, RELATIVE_PATH, Standing},
    policy::parts::Layout,
    refusal::Refusal,
    session::{ABORTED, End, Form, Received},
};
use portico_guest::{
    Digest, Error, FinalOptions, StoredObject, clock,
    exchange::{Outcome, count_upload},
};
use std::time::Duration;

/// Longest time that a finalize waits for a concurrent one of the same session.
const FINALIZE_WAIT: Duration = Duration::from_secs(60);

/// First and longest pause between two looks at a concurrent finalize.
const LOOK_AGAIN: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// Most restarts of a finalize whose parts were deleted or joined between listing and assembly.
const TRIES: usize = 5;

impl Engine {
    /// Makes the file of a session; true if this call made it.
    pub(crate) fn finalize(&self, found: &Found) -> Result<(StoredObject, bool), Refusal> {
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
            let failure = match self.assemble(found) {
                Ok(file) => {
                    count_upload(found.session.begun_by.into(), Outcome::Complete);
                    self.end_partials(&found.session)?;
                    return Ok((file, true));
                }
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
                // A part was deleted or joined after the listing.
                Refusal::Store(Error::NotFound) if tries < TRIES => tries += 1,
                failure => return Err(failure),
            }
        }
    }

    fn assemble(&self, found: &Found) -> Result<StoredObject, Refusal> {
        let session = &found.session;
        let Content { temp_keys, size } = match session.form() {
            Form::Numbered(layout) => self.numbered(&found.id, layout)?,
            Form::Appended if session.is_partial() => return Err(Refusal::Kind),
            Form::Appended => self.appended(found)?,
            Form::Joined(partials) => self.joined(partials)?,
        };
        let mut options = FinalOptions::new()
            .size(size)
            .content_type(session.content_type.clone())
            .metadata(ORIGINAL_FILENAME, session.original_filename.clone());
        if let Some(path) = &session.relative_path {
            options = options.metadata(RELATIVE_PATH, path.clone());
        }
        options.expected.sha256 = session.sha256.as_deref().and_then(|digest| digest.parse::<Digest>().ok());
        Ok(self.store.assemble_final(&session.file_id, temp_keys, options)?)
    }

    fn numbered(&self, id: &str, layout: Layout) -> Result<Content, Refusal> {
        let parts = self.parts(id)?;
        let received = Received::new(layout, parts.iter().map(|part| (part.part_number, part.size)));
        let missing = received.missing(layout);
        if !missing.is_empty() {
            return Err(Refusal::Incomplete(missing));
        }
        let parts = parts.into_iter().filter(|part| layout.extent(part.part_number).is_some());
        Ok(Content { temp_keys: parts.map(|part| part.temp_key).collect(), size: layout.total })
    }

    /// Ends a session without a file. Idempotent.
    pub(crate) fn abort(&self, Found { id, session }: &Found) -> Result<(), Refusal> {
        let ended = self.store.void_final(&session.file_id, ABORTED)?;
        if !ended && let Some(end @ (End::Complete | End::Deleted)) = self.standing(session)?.end {
            return Err(Refusal::Ended(end));
        }
        self.store.delete_session_parts(id)?;
        if ended {
            count_upload(session.begun_by.into(), Outcome::Aborted);
        }
        Ok(())
    }
}

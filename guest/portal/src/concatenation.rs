//! Concatenations: files that are made of the contents of several uploads, without copying.
//!
//! Invariants: an upload belongs to one concatenation at most, by a record that leads from it to that one; the record
//! exists before the upload is used, so whichever of the two comes last, the upload's last append or the concatenation,
//! finds the other.

use crate::{
    appends::Content,
    engine::{Engine, Found, Parts, joiner_name},
    refusal::Refusal,
    session::{Announced, Concat, End, Form, JOINED, Session},
};
use portico_guest::{Error, StoredObject, random};
use std::collections::HashSet;

impl Engine {
    /// Begins a file that consists of other uploads. Its record names them in `file.concat`. The same uploads in the same
    /// order again are the same file, because a client may have lost the first answer.
    ///
    /// # Errors
    /// [`Refusal::Partial`]; [`Refusal::Used`]; [`Refusal::TooLarge`].
    pub(crate) fn concatenate(&self, mut file: Announced) -> Result<Found, Refusal> {
        let Some(Concat::Final { partials, .. }) = &file.concat else { return Err(Refusal::Kind) };
        let partials = partials.clone();
        if partials.iter().collect::<HashSet<_>>().len() < partials.len() {
            return Err(Refusal::Used);
        }
        if let Some(found) = self.concatenation_of(&partials)? {
            return Ok(found);
        }
        let mut total = Some(0_u64);
        for id in &partials {
            let partial = self.partial(id)?;
            total = total.zip(self.length(&partial)?).map(|(sum, length)| sum.saturating_add(length));
        }
        file.total_size = total;
        let found = self.create(file, Parts::Appended, None)?;
        for (at, id) in partials.iter().enumerate() {
            let claimed = self.store.create_record(&joiner_name(id), found.id.as_bytes());
            if let Err(error) = claimed {
                for earlier in &partials[..at] {
                    self.store.delete_record(&joiner_name(earlier), None)?;
                }
                self.abort(&found)?;
                return Err(if error == Error::Conflict { Refusal::Used } else { error.into() });
            }
        }
        Ok(found)
    }

    /// Finds the concatenation of exactly these uploads.
    fn concatenation_of(&self, wanted: &[String]) -> Result<Option<Found>, Refusal> {
        let Some(first) = wanted.first().filter(|id| random::is_id(id)) else { return Ok(None) };
        let record = match self.store.get_record(&joiner_name(first)) {
            Ok(record) => record,
            Err(Error::NotFound) => return Ok(None),
            Err(error) => return Err(error.into()),
        };
        match self.find(&String::from_utf8_lossy(&record.value)) {
            Ok(found) => Ok(Some(found).filter(|found| found.session.form() == Form::Joined(wanted))),
            Err(Refusal::Unknown) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Finds an upload that can be joined.
    fn partial(&self, id: &str) -> Result<Found, Refusal> {
        let found = match self.find(id) {
            Err(Refusal::Unknown) => return Err(Refusal::Partial),
            found => found?,
        };
        match self.standing(&found.session)?.end {
            None if found.session.is_partial() => Ok(found),
            Some(End::Joined) => Err(Refusal::Used),
            _ => Err(Refusal::Partial),
        }
    }

    /// Lists the contents of uploads, which must be complete.
    pub(crate) fn joined(&self, partials: &[String]) -> Result<Content, Refusal> {
        let mut all = Content::default();
        for id in partials {
            let content = self.appended(&self.partial(id)?)?;
            all.size += content.size;
            all.temp_keys.extend(content.temp_keys);
        }
        Ok(all)
    }

    /// Makes the file of a concatenation, if all its uploads are complete.
    pub(crate) fn try_join(&self, found: &Found) -> Result<Option<StoredObject>, Refusal> {
        match self.finalize(found) {
            Ok((file, _)) => Ok(Some(file)),
            Err(Refusal::Short(_)) => Ok(None),
            Err(refusal) => Err(refusal),
        }
    }

    /// Makes the file of the concatenation that waits for an upload, if this one was the last. A failure is left to the
    /// next request that looks at the concatenation.
    pub(crate) fn partial_is_complete(&self, Found { id, .. }: &Found) {
        let Ok(record) = self.store.get_record(&joiner_name(id)) else { return };
        if let Ok(found) = self.find(&String::from_utf8_lossy(&record.value)) {
            let _ = self.try_join(&found);
        }
    }

    /// Ends the uploads of a concatenation whose file exists.
    pub(crate) fn end_partials(&self, session: &Session) -> Result<(), Refusal> {
        if let Form::Joined(partials) = session.form() {
            for id in partials {
                if let Ok(partial) = self.find(id) {
                    self.store.void_final(&partial.session.file_id, JOINED)?;
                }
            }
        }
        Ok(())
    }
}

//! The store: each operation of the contract under its own name, with Rust's types.

use crate::{
    Entries, FinalOptions, FinalReader, FinalWriter, ListedPart, Page, PartOptions, PartWriter, ReadStream, Record,
    Result, StoredObject, TempPart,
    bindings::{portico::storage::storage as wit, wasi::io::streams::InputStream},
    options::byte_range,
    pages::PAGE_SIZE,
};
use std::ops::RangeBounds;

pub use wit::StoreInfo;

/// A capability for one scope of a backend. It can be narrowed and never widened. Dropping it ends nothing:
/// streams and writers taken from it go on.
///
/// Session ids and file ids are 1 to 128 bytes of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.`, `~`, and do not begin with a
/// dot. Any operation may also fail with `Unavailable`, `Denied` and `Internal`, and any that stores something with
/// `NoSpace`; the lists below leave these out.
#[derive(Debug)]
pub struct Store(wit::Store);

impl Store {
    /// The store of the scope that the host gave this guest.
    #[must_use]
    pub fn open() -> Self {
        Store(wit::open())
    }

    /// What this store is made of.
    #[must_use]
    pub fn info(&self) -> StoreInfo {
        self.0.info()
    }

    /// A narrower store: one tenant, one namespace. Nothing is created by it. A name is 1 to 64 bytes of `A-Z`,
    /// `a-z`, `0-9`, `-`, `_`; scopes nest to a depth of 8.
    ///
    /// # Errors
    /// `InvalidArgument(Scope)` for another name or a deeper nesting.
    pub fn scope(&self, name: &str) -> Result<Store> {
        Ok(Store(self.0.scope(name)?))
    }

    /// Lets the host pull `content` to its end and store it as a part of a session. None of its bytes enter this
    /// guest's memory. `part_number` is a slot whose meaning is the caller's.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId | Expected | Offset | Content)`; `Conflict` if the number is taken (see
    /// [`IfExists`](crate::IfExists)); `SizeMismatch`; `DigestMismatch`; `TooLarge`; `Stalled` if the source
    /// stands still; `Interrupted` if it fails, or if [`Store::interrupt`], an assembly or
    /// [`Store::delete_session_parts`] ends this put; `Unavailable` if the part that the content was being compared with was deleted meanwhile.
    pub fn put_temp_part(
        &self,
        session_id: &str,
        part_number: u32,
        content: InputStream,
        options: PartOptions,
    ) -> Result<TempPart> {
        Ok(self.0.put_temp_part(session_id, part_number, content, &options.into())?.into())
    }

    /// The content of a part, or a range of it in bytes. It goes on to the end even if the part is deleted.
    ///
    /// # Errors
    /// `InvalidArgument(TempKey | Range)`; `NotFound`; `OutOfRange`. A failure while reading is an
    /// [`io::Error`](std::io::Error) that [`Error::of_io`](crate::Error::of_io) understands.
    pub fn get_temp_part_stream(&self, temp_key: &str, range: impl RangeBounds<u64>) -> Result<ReadStream> {
        Ok(ReadStream::new(self.0.get_temp_part_stream(temp_key, byte_range(range))?))
    }

    /// Returns the receipt of a part.
    ///
    /// # Errors
    /// `InvalidArgument(TempKey)`; `NotFound`.
    pub fn stat_temp_part(&self, temp_key: &str) -> Result<TempPart> {
        Ok(self.0.stat_temp_part(temp_key)?.into())
    }

    /// Deletes the part of that key. Idempotent: true if this call deleted it, false if there was none.
    ///
    /// # Errors
    /// `InvalidArgument(TempKey)`.
    pub fn delete_temp_part(&self, temp_key: &str) -> Result<bool> {
        Ok(self.0.delete_temp_part(temp_key)?)
    }

    /// A page of the parts of a session, by ascending part number. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId | Cursor | Limit)`.
    pub fn list_temp_parts(&self, session_id: &str, after: Option<&str>, limit: u32) -> Result<Page<ListedPart>> {
        let page = self.0.list_temp_parts(session_id, after, limit)?;
        Ok(Page { items: page.parts.into_iter().map(ListedPart::from).collect(), next: page.next })
    }

    /// All parts of a session, by ascending part number.
    pub fn parts<'s>(&'s self, session_id: &'s str) -> Entries<'s, ListedPart> {
        Entries::new(move |after| self.list_temp_parts(session_id, after, PAGE_SIZE))
    }

    /// A page of the ids of sessions that have parts, in byte order. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(Cursor | Limit)`.
    pub fn list_temp_sessions(&self, after: Option<&str>, limit: u32) -> Result<Page<String>> {
        let page = self.0.list_temp_sessions(after, limit)?;
        Ok(Page { items: page.sessions, next: page.next })
    }

    /// The ids of all sessions that have parts, in byte order.
    pub fn sessions(&self) -> Entries<'_, String> {
        Entries::new(|after| self.list_temp_sessions(after, PAGE_SIZE))
    }

    /// Ends running puts of a session as [`Store::interrupt`] does, then deletes its parts. Idempotent; answers how
    /// many it deleted.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId)`.
    pub fn delete_session_parts(&self, session_id: &str) -> Result<u32> {
        Ok(self.0.delete_session_parts(session_id)?)
    }

    /// Ends the running puts and part writers of a session: each answers `Interrupted` and stores nothing, unless
    /// it was being committed already. Returns when all of them have settled.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId)`.
    pub fn interrupt(&self, session_id: &str) -> Result<()> {
        Ok(self.0.interrupt(session_id)?)
    }

    /// Lets the host pull `content` to its end and store it as a final object. None of its bytes enter this
    /// guest's memory.
    ///
    /// # Errors
    /// `InvalidArgument(FileId | Expected | ContentType | Metadata | Content)`; `Conflict` if the id is taken (see
    /// [`IfExists`](crate::IfExists)); `Gone` if the id was voided or its object deleted; `SizeMismatch`;
    /// `DigestMismatch`; `TooLarge`; `Interrupted` or `Stalled` if the source fails.
    pub fn put_final(&self, file_id: &str, content: InputStream, options: FinalOptions) -> Result<StoredObject> {
        Ok(self.0.put_final(file_id, content, &options.into())?.into())
    }

    /// Makes a final object of temporary parts, in the order given. The parts are consumed together with the
    /// object's coming to exist, and on failure all of them are still there. No part at all makes an empty object.
    ///
    /// # Errors
    /// `InvalidArgument(FileId | TempKey | Parts | Expected | ContentType | Metadata)`; `NotFound` if a part is not
    /// there; `Conflict` if the id is taken, or another assembly of these sessions is running; `Gone` as for
    /// [`Store::put_final`]; `SizeMismatch`; `DigestMismatch`; `TooLarge`.
    pub fn assemble_final(
        &self,
        file_id: &str,
        temp_keys: impl IntoIterator<Item = impl Into<String>>,
        options: FinalOptions,
    ) -> Result<StoredObject> {
        let temp_keys: Vec<String> = temp_keys.into_iter().map(Into::into).collect();
        Ok(self.0.assemble_final(file_id, &temp_keys, &options.into())?.into())
    }

    /// The content of a final object, or a range of it in bytes. It goes on to the end even if the object is
    /// deleted.
    ///
    /// # Errors
    /// `InvalidArgument(Range)`; `NotFound`, also for a bucket or key that is not of this scope; `Gone`;
    /// `OutOfRange`. A failure while reading is an [`io::Error`](std::io::Error) that
    /// [`Error::of_io`](crate::Error::of_io) understands.
    pub fn get_final_stream(&self, bucket: &str, key: &str, range: impl RangeBounds<u64>) -> Result<ReadStream> {
        Ok(ReadStream::new(self.0.get_final_stream(bucket, key, byte_range(range))?))
    }

    /// Opens a final object for its receipt and any number of streams.
    ///
    /// # Errors
    /// `InvalidArgument(FileId)`; `NotFound`; `Gone`.
    pub fn open_final(&self, file_id: &str) -> Result<FinalReader> {
        Ok(FinalReader::new(self.0.open_final(file_id)?))
    }

    /// The receipt of a final object.
    ///
    /// # Errors
    /// `InvalidArgument(FileId)`; `NotFound`; `Gone`.
    pub fn stat_final(&self, file_id: &str) -> Result<StoredObject> {
        Ok(self.0.stat_final(file_id)?.into())
    }

    /// Returns the receipts of at most 1,000 final objects, in the order of the ids; `None` where no object exists.
    ///
    /// # Errors
    /// `InvalidArgument(FileId | Limit)`.
    pub fn stat_finals(&self, file_ids: &[String]) -> Result<Vec<Option<StoredObject>>> {
        let receipts = self.0.stat_finals(file_ids)?;
        Ok(receipts.into_iter().map(|receipt| receipt.map(StoredObject::from)).collect())
    }

    /// Deletes a final object; its id stays taken and answers `Gone`. Idempotent: true if this call deleted it,
    /// false if there was nothing, or nothing of this scope.
    ///
    /// # Errors
    /// None of its own.
    pub fn delete_final(&self, bucket: &str, key: &str) -> Result<bool> {
        Ok(self.0.delete_final(bucket, key)?)
    }

    /// Lists the ids of the final objects of this scope in byte order. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(Cursor | Limit)`.
    pub fn list_finals(&self, after: Option<&str>, limit: u32) -> Result<Page<String>> {
        let page = self.0.list_finals(after, limit)?;
        Ok(Page { items: page.file_ids, next: page.next })
    }

    /// The receipts of all final objects of this scope, by file id in byte order. Objects that are deleted during the
    /// walk may be left out.
    pub fn finals(&self) -> Entries<'_, StoredObject> {
        Entries::new(|after| {
            let Page { items, next } = self.list_finals(after, PAGE_SIZE)?;
            Ok(Page { items: self.stat_finals(&items)?.into_iter().flatten().collect(), next })
        })
    }

    /// Makes sure that nothing can come to exist under a file id any more. True if this call decided that; false
    /// if the id was decided before. The reason is 1 to 64 bytes of the charset of identifiers.
    ///
    /// # Errors
    /// `InvalidArgument(FileId | Reason)`.
    pub fn void_final(&self, file_id: &str, reason: &str) -> Result<bool> {
        Ok(self.0.void_final(file_id, reason)?)
    }

    /// A step of forgetting ids that were voided, or whose objects were deleted, before a time in milliseconds since the
    /// Unix epoch: they answer `NotFound` from then on, and may be taken again. Answers how many it forgot, and where to
    /// go on.
    ///
    /// # Errors
    /// `InvalidArgument(Cursor)`.
    pub fn purge_gone(&self, before: u64, after: Option<&str>) -> Result<(u32, Option<String>)> {
        let step = self.0.purge_gone(before, after)?;
        Ok((step.purged, step.next))
    }

    /// A writer for a part whose content this guest makes itself, or must check before it is stored.
    ///
    /// # Errors
    /// As [`Store::put_temp_part`], except those of the content.
    pub fn create_temp_part(&self, session_id: &str, part_number: u32, options: PartOptions) -> Result<PartWriter> {
        Ok(PartWriter::new(self.0.create_temp_part(session_id, part_number, &options.into())?))
    }

    /// A writer for a final object whose content this guest makes itself, or must check before it is published.
    ///
    /// # Errors
    /// As [`Store::put_final`], except those of the content.
    pub fn create_final(&self, file_id: &str, options: FinalOptions) -> Result<FinalWriter> {
        Ok(FinalWriter::new(self.0.create_final(file_id, &options.into())?))
    }

    /// Creates a record, and answers its version. A name is 1 to 256 bytes: identifiers joined by single `/`. A
    /// value is at most 64 KiB.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `TooLarge`; `Conflict` if the name is taken.
    pub fn create_record(&self, name: &str, value: &[u8]) -> Result<String> {
        Ok(self.0.create_record(name, value)?)
    }

    /// A record as it is now.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `NotFound`.
    pub fn get_record(&self, name: &str) -> Result<Record> {
        Ok(self.0.get_record(name)?.into())
    }

    /// Replaces a record if `version` is its current one, and answers the new version.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `TooLarge`; `NotFound`; `Conflict` if it has another version.
    pub fn replace_record(&self, name: &str, version: &str, value: &[u8]) -> Result<String> {
        Ok(self.0.replace_record(name, version, value)?)
    }

    /// Deletes a record: with a version only if that is the current one. Idempotent: true if this call deleted it,
    /// false if there was none.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `Conflict` if it has another version.
    pub fn delete_record(&self, name: &str, version: Option<&str>) -> Result<bool> {
        Ok(self.0.delete_record(name, version)?)
    }

    /// A page of the names of records that begin with `prefix`, in byte order. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName | Cursor | Limit)`.
    pub fn list_records(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Page<String>> {
        let page = self.0.list_records(prefix, after, limit)?;
        Ok(Page { items: page.names, next: page.next })
    }

    /// The names of all records that begin with `prefix`, in byte order.
    pub fn records<'s>(&'s self, prefix: &'s str) -> Entries<'s, String> {
        Entries::new(move |after| self.list_records(prefix, after, PAGE_SIZE))
    }
}

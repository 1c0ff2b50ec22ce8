//! The store: each operation of the contract under its own name, with Rust's types.

use crate::{
    Entries, FinalOptions, FinalReader, InputStream, ListedPart, Page, PartOptions, ReadStream, Record, Result,
    StoredObject, TempPart, Writer, bindings::portico::storage::storage as wit, options::byte_range, pages::PAGE_SIZE,
    sys,
};
use std::ops::RangeBounds;

pub use wit::StoreInfo;

/// A capability for one scope of a backend. A guest can narrow it and never widen it. Dropping the store ends nothing:
/// streams, readers and writers from it continue.
///
/// Session ids and file ids are 1 to 128 bytes of `A-Z`, `a-z`, `0-9`, `-`, `_`, `.`, `~`, and do not begin with a
/// dot. Any operation may also fail with `Unavailable`, `Denied` and `Internal`, and any that stores something with
/// `NoSpace`. The lists below omit these.
#[derive(Debug)]
pub struct Store(sys::Store);

impl Store {
    /// Opens the store of the scope that the host gave this guest.
    ///
    /// Outside of WebAssembly this is the store of the [`Host`](crate::memory::Host) that runs the guest, and a panic
    /// where there is none.
    #[must_use]
    pub fn open() -> Self {
        Store(sys::open())
    }

    /// Creates a store of a host in memory.
    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn of(store: sys::Store) -> Self {
        Store(store)
    }

    /// Describes this store.
    #[must_use]
    pub fn info(&self) -> StoreInfo {
        self.0.info()
    }

    /// Returns a narrower store: one tenant, one namespace. The call creates nothing. A name is 1 to 64 bytes of `A-Z`,
    /// `a-z`, `0-9`, `-`, `_`; scopes nest to a depth of 8 and to 250 bytes.
    ///
    /// # Errors
    /// `InvalidArgument(Scope)` for another name, a deeper nesting or more bytes.
    pub fn scope(&self, name: &str) -> Result<Store> {
        Ok(Store(self.0.scope(name)?))
    }

    /// Pulls `content` to its end and stores it as a part of a session. The host pulls; no byte enters this guest's
    /// memory. `part_number` is a slot whose meaning the caller decides.
    ///
    /// # Errors `InvalidArgument(SessionId | Expected | Offset | FileId | Content)`; `Conflict` if the number is taken
    /// (see [`IfExists`](crate::IfExists)); `Ended`; `SizeMismatch`; `DigestMismatch`; `TooLarge`; `Stalled` if the
    /// source is idle for too long; `Interrupted` if the source fails, or if [`Store::interrupt`], an assembly or
    /// [`Store::delete_session_parts`] ends this put; `Unavailable` if the existing part was deleted during the
    /// comparison.
    pub fn put_temp_part(
        &self,
        session_id: &str,
        part_number: u32,
        content: InputStream,
        options: PartOptions,
    ) -> Result<TempPart> {
        Ok(self.0.put_temp_part(session_id, part_number, content, &options.into())?.into())
    }

    /// Opens a stream of a part, or of a range of it in bytes. The stream continues to its end even if the part is
    /// deleted.
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

    /// Makes one part of several parts of a session, in the order given, under a number, and deletes the joined parts.
    /// After an error all joined parts still exist; until the call returns, the new part and the joined ones may both
    /// be visible.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId | TempKey | Parts)`; `NotFound` if a part does not exist; `Conflict` if the number is
    /// taken; `TooLarge` beyond [`StoreInfo::max_join_size`], or for parts that the backend would have to copy;
    /// `Interrupted`.
    pub fn join_temp_parts(&self, session_id: &str, part_number: u32, temp_keys: &[String]) -> Result<TempPart> {
        Ok(self.0.join_temp_parts(session_id, part_number, temp_keys)?.into())
    }

    /// Deletes the part of that key. Idempotent: true if this call deleted the part, false if none existed.
    ///
    /// # Errors
    /// `InvalidArgument(TempKey)`.
    pub fn delete_temp_part(&self, temp_key: &str) -> Result<bool> {
        Ok(self.0.delete_temp_part(temp_key)?)
    }

    /// Lists a page of the parts of a session, by ascending part number. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId | Cursor | Limit)`.
    pub fn list_temp_parts(&self, session_id: &str, after: Option<&str>, limit: u32) -> Result<Page<ListedPart>> {
        let page = self.0.list_temp_parts(session_id, after, limit)?;
        Ok(Page { items: page.parts.into_iter().map(ListedPart::from).collect(), next: page.next })
    }

    /// Iterates over all parts of a session, by ascending part number.
    pub fn parts<'s>(&'s self, session_id: &'s str) -> Entries<'s, ListedPart> {
        Entries::new(move |after| self.list_temp_parts(session_id, after, PAGE_SIZE))
    }

    /// Lists a page of the ids of sessions that have parts, in byte order. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(Cursor | Limit)`.
    pub fn list_temp_sessions(&self, after: Option<&str>, limit: u32) -> Result<Page<String>> {
        let page = self.0.list_temp_sessions(after, limit)?;
        Ok(Page { items: page.sessions, next: page.next })
    }

    /// Iterates over the ids of all sessions that have parts, in byte order.
    pub fn sessions(&self) -> Entries<'_, String> {
        Entries::new(|after| self.list_temp_sessions(after, PAGE_SIZE))
    }

    /// Ends the running puts of a session as [`Store::interrupt`] does, then deletes its parts. Idempotent. Returns the
    /// number of parts that this call deleted.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId)`.
    pub fn delete_session_parts(&self, session_id: &str) -> Result<u32> {
        Ok(self.0.delete_session_parts(session_id)?)
    }

    /// Ends the running puts and part writers of a session. Each fails with `Interrupted` and stores nothing, unless
    /// its commit had already begun. Returns when none of them can store anything any more.
    ///
    /// # Errors
    /// `InvalidArgument(SessionId)`.
    pub fn interrupt(&self, session_id: &str) -> Result<()> {
        Ok(self.0.interrupt(session_id)?)
    }

    /// Pulls `content` to its end and stores it as a final object. The host pulls; no byte enters this guest's memory.
    ///
    /// # Errors
    /// `InvalidArgument(FileId | Expected | ContentType | Metadata | Content)`; `Conflict` if the id is taken (see
    /// [`IfExists`](crate::IfExists)); `Gone` if the id was voided or its object deleted; `SizeMismatch`;
    /// `DigestMismatch`; `TooLarge`; `Interrupted` or `Stalled` if the source fails.
    pub fn put_final(&self, file_id: &str, content: InputStream, options: FinalOptions) -> Result<StoredObject> {
        Ok(self.0.put_final(file_id, content, &options.into())?.into())
    }

    /// Makes a final object of temporary parts, in the order given. Publishing the object consumes the parts in the
    /// same step; on failure all parts still exist. An empty list makes an empty object.
    ///
    /// # Errors
    /// `InvalidArgument(FileId | TempKey | Parts | Expected | ContentType | Metadata)`; `NotFound` if a part does not
    /// exist; `Conflict` if the id is taken, or another assembly of these sessions is running; `Gone` as for
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

    /// Opens a stream of a final object, or of a range of it in bytes. The stream continues to its end even if the
    /// object is deleted.
    ///
    /// # Errors `InvalidArgument(Range)`; `NotFound`, also for a bucket or key outside this scope; `Gone`;
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

    /// Returns the receipt of a final object.
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

    /// Deletes a final object. Its id stays taken and reports `Gone`. Idempotent: true if this call deleted the object,
    /// false if none existed or it is outside this scope.
    ///
    /// # Errors
    /// None of its own.
    pub fn delete_final(&self, bucket: &str, key: &str) -> Result<bool> {
        Ok(self.0.delete_final(bucket, key)?)
    }

    /// Lists a page of the ids of the final objects of this scope, in byte order. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(Cursor | Limit)`.
    pub fn list_finals(&self, after: Option<&str>, limit: u32) -> Result<Page<String>> {
        let page = self.0.list_finals(after, limit)?;
        Ok(Page { items: page.file_ids, next: page.next })
    }

    /// Iterates over the receipts of all final objects of this scope, by file id in byte order. An object that is
    /// deleted meanwhile may be left out.
    pub fn finals(&self) -> Entries<'_, StoredObject> {
        Entries::new(|after| {
            let Page { items, next } = self.list_finals(after, PAGE_SIZE)?;
            Ok(Page { items: self.stat_finals(&items)?.into_iter().flatten().collect(), next })
        })
    }

    /// Ensures that no object can be created under a file id any more. True if this call decided that; false if the id
    /// was decided before. The reason is 1 to 64 bytes of the charset of identifiers.
    ///
    /// # Errors
    /// `InvalidArgument(FileId | Reason)`.
    pub fn void_final(&self, file_id: &str, reason: &str) -> Result<bool> {
        Ok(self.0.void_final(file_id, reason)?)
    }

    /// Forgets ids that were voided, or whose objects were deleted, before a time in milliseconds since the Unix epoch.
    /// Such ids report `NotFound` from then on and are free again. Returns the number of ids that this step forgot, and
    /// the cursor of the next step.
    ///
    /// # Errors
    /// `InvalidArgument(Cursor)`.
    pub fn purge_gone(&self, before: u64, after: Option<&str>) -> Result<(u32, Option<String>)> {
        let step = self.0.purge_gone(before, after)?;
        Ok((step.purged, step.next))
    }

    /// Opens a writer for a part whose content this guest generates, or must check before the part is stored.
    ///
    /// # Errors
    /// Those of [`Store::put_temp_part`], except those about the content.
    pub fn create_temp_part(
        &self,
        session_id: &str,
        part_number: u32,
        options: PartOptions,
    ) -> Result<Writer<TempPart>> {
        Ok(Writer::new(self.0.create_temp_part(session_id, part_number, &options.into())?))
    }

    /// Opens a writer for a final object whose content this guest generates, or must check before the object is
    /// published.
    ///
    /// # Errors
    /// Those of [`Store::put_final`], except those about the content.
    pub fn create_final(&self, file_id: &str, options: FinalOptions) -> Result<Writer<StoredObject>> {
        Ok(Writer::new(self.0.create_final(file_id, &options.into())?))
    }

    /// Creates a record and returns its version. A name is 1 to 256 bytes: identifiers joined by single `/`. A value is
    /// at most 64 KiB.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `TooLarge`; `Conflict` if the name is taken.
    pub fn create_record(&self, name: &str, value: &[u8]) -> Result<String> {
        Ok(self.0.create_record(name, value)?)
    }

    /// Returns the current state of a record.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `NotFound`.
    pub fn get_record(&self, name: &str) -> Result<Record> {
        Ok(self.0.get_record(name)?.into())
    }

    /// Replaces a record if `version` is its current one, and returns the new version.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `TooLarge`; `NotFound`; `Conflict` if the record has another version.
    pub fn replace_record(&self, name: &str, version: &str, value: &[u8]) -> Result<String> {
        Ok(self.0.replace_record(name, version, value)?)
    }

    /// Deletes a record; with a version only if that is the current one. Idempotent: true if this call deleted the
    /// record, false if none existed.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName)`; `Conflict` if the record has another version.
    pub fn delete_record(&self, name: &str, version: Option<&str>) -> Result<bool> {
        Ok(self.0.delete_record(name, version)?)
    }

    /// Lists a page of the names of records that begin with `prefix`, in byte order. `limit` is 1 to 1,000.
    ///
    /// # Errors
    /// `InvalidArgument(RecordName | Cursor | Limit)`.
    pub fn list_records(&self, prefix: &str, after: Option<&str>, limit: u32) -> Result<Page<String>> {
        let page = self.0.list_records(prefix, after, limit)?;
        Ok(Page { items: page.names, next: page.next })
    }

    /// Iterates over the names of all records that begin with `prefix`, in byte order.
    pub fn records<'s>(&'s self, prefix: &'s str) -> Entries<'s, String> {
        Entries::new(move |after| self.list_records(prefix, after, PAGE_SIZE))
    }
}

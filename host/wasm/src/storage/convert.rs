//! Conversions between WIT types and backend types, with the checks of arguments.

use super::Result;
use crate::bindings::portico::storage::storage as wit;
use crate::fault::Fault;
use crate::streams::Receipt;
use portico_store::{
    Algorithm, Argument, ByteRange, Cursor, Digest, Error, Expected, FileId, FinalOptions, FinalReceipt, IfExists,
    Info, ListedPart, OtherDigests, Page, PartOptions, PartReceipt, Record, RecordName, SessionId, TempKey, limits,
};
use std::collections::HashSet;

impl From<&Fault> for wit::Error {
    fn from(fault: &Fault) -> Self {
        match fault.error() {
            Error::NotFound => wit::Error::NotFound,
            Error::Gone(reason) => wit::Error::Gone(reason.clone()),
            Error::Conflict => wit::Error::Conflict,
            Error::Ended => wit::Error::Ended,
            Error::InvalidArgument(argument) => wit::Error::InvalidArgument((*argument).into()),
            Error::OutOfRange { size } => wit::Error::OutOfRange(*size),
            &Error::SizeMismatch { expected, actual } => {
                wit::Error::SizeMismatch(wit::SizeMismatch { expected, actual })
            }
            Error::DigestMismatch => wit::Error::DigestMismatch,
            Error::TooLarge { limit } => wit::Error::TooLarge(*limit),
            Error::Interrupted { received } => wit::Error::Interrupted(*received),
            Error::Stalled { received } => wit::Error::Stalled(*received),
            Error::NoSpace => wit::Error::NoSpace,
            Error::Denied(_) => wit::Error::Denied,
            Error::Unavailable { retry_after, .. } => wit::Error::Unavailable(*retry_after),
            Error::Internal(_) => wit::Error::Internal(fault.id().to_owned()),
        }
    }
}

impl From<Argument> for wit::Argument {
    fn from(argument: Argument) -> Self {
        match argument {
            Argument::Scope => wit::Argument::Scope,
            Argument::SessionId => wit::Argument::SessionId,
            Argument::TempKey => wit::Argument::TempKey,
            Argument::FileId => wit::Argument::FileId,
            Argument::Range => wit::Argument::Range,
            Argument::Expected => wit::Argument::Expected,
            Argument::Offset => wit::Argument::Offset,
            Argument::ContentType => wit::Argument::ContentType,
            Argument::Metadata => wit::Argument::Metadata,
            Argument::Parts => wit::Argument::Parts,
            Argument::RecordName => wit::Argument::RecordName,
            Argument::Reason => wit::Argument::Reason,
            Argument::Limit => wit::Argument::Limit,
            Argument::Cursor => wit::Argument::Cursor,
            Argument::Content => wit::Argument::Content,
        }
    }
}

impl TryFrom<wit::Expected> for Expected {
    type Error = Error;

    fn try_from(expected: wit::Expected) -> Result<Self, Error> {
        let invalid = || Error::InvalidArgument(Argument::Expected);
        if expected.size.is_some_and(|size| size > limits::SIZE_MAX) {
            return Err(invalid());
        }
        let sha256 = expected.sha256.map(|bytes| Digest::try_from(bytes.as_slice())).transpose();
        let mut others = OtherDigests::default();
        for digest in expected.others {
            others.add(digest.algorithm.into(), &digest.value)?;
        }
        Ok(Expected { size: expected.size, sha256: sha256.map_err(|_| invalid())?, others })
    }
}

impl From<wit::DigestAlgorithm> for Algorithm {
    fn from(algorithm: wit::DigestAlgorithm) -> Self {
        match algorithm {
            wit::DigestAlgorithm::Md5 => Algorithm::Md5,
            wit::DigestAlgorithm::Sha1 => Algorithm::Sha1,
            wit::DigestAlgorithm::Sha512 => Algorithm::Sha512,
            wit::DigestAlgorithm::Crc32c => Algorithm::Crc32c,
        }
    }
}

impl From<wit::IfExists> for IfExists {
    fn from(if_exists: wit::IfExists) -> Self {
        match if_exists {
            wit::IfExists::Fail => IfExists::Fail,
            wit::IfExists::SameContentOk => IfExists::SameContentOk,
        }
    }
}

impl TryFrom<wit::PartOptions> for PartOptions {
    type Error = Error;

    fn try_from(options: wit::PartOptions) -> Result<Self, Error> {
        Ok(PartOptions {
            expected: options.expected.try_into()?,
            if_exists: options.if_exists.into(),
            offset: options.offset,
            want_sha256: options.want_sha256,
            unless_final: options.unless_final.as_deref().map(FileId::parse).transpose()?,
            limit: options.limit,
            keep_prefix: options.keep_prefix,
            previous: options.previous.as_deref().map(TempKey::parse).transpose()?,
            compute: options.compute.into_iter().map(Algorithm::from).collect(),
        })
    }
}

impl TryFrom<wit::FinalOptions> for FinalOptions {
    type Error = Error;

    fn try_from(options: wit::FinalOptions) -> Result<Self, Error> {
        let options = FinalOptions {
            expected: options.expected.try_into()?,
            if_exists: options.if_exists.into(),
            content_type: options.content_type,
            metadata: options.metadata,
        };
        options.check()?;
        Ok(options)
    }
}

/// Converts the range of a read; `None` is the whole content.
pub(super) fn range(range: Option<wit::ByteRange>) -> ByteRange {
    range.map(|range| ByteRange { start: range.start, end: range.end }).unwrap_or_default()
}

/// A kind of listing. The first byte of a cursor marks its kind, so that cursors of another kind are rejected.
#[derive(Clone, Copy)]
pub(super) enum Listing {
    Parts,
    Sessions,
    Finals,
    Records,
    Gone,
}

impl Listing {
    fn mark(self) -> char {
        match self {
            Listing::Parts => 'p',
            Listing::Sessions => 's',
            Listing::Finals => 'f',
            Listing::Records => 'r',
            Listing::Gone => 'g',
        }
    }

    fn read(self, cursor: &str) -> Result<Cursor, Error> {
        Cursor::parse(cursor.strip_prefix(self.mark()).ok_or(Error::InvalidArgument(Argument::Cursor))?)
    }

    pub(super) fn write(self, next: Option<Cursor>) -> Option<String> {
        next.map(|cursor| format!("{}{cursor}", self.mark()))
    }
}

/// Checks a cursor and a page size.
pub(super) fn page(of: Listing, after: Option<String>, limit: u32) -> Result<(Option<Cursor>, u32), Error> {
    let after = after.map(|cursor| of.read(&cursor)).transpose()?;
    if (1..=limits::PAGE_MAX).contains(&limit) {
        Ok((after, limit))
    } else {
        Err(Error::InvalidArgument(Argument::Limit))
    }
}

/// Checks the parts of an assembly: each once.
pub(super) fn parts(keys: Vec<String>) -> Result<Vec<TempKey>, Error> {
    let invalid = Error::InvalidArgument(Argument::Parts);
    if keys.len() > limits::ASSEMBLY_PARTS_MAX {
        return Err(invalid);
    }
    if keys.iter().collect::<HashSet<_>>().len() < keys.len() {
        return Err(invalid);
    }
    keys.iter().map(|key| TempKey::parse(key)).collect()
}

/// Reads the parts of a join.
pub(super) fn joined(keys: &[String]) -> Result<Vec<TempKey>, Error> {
    if keys.len() > limits::JOIN_PARTS_MAX {
        return Err(Error::InvalidArgument(Argument::Parts));
    }
    keys.iter().map(|key| TempKey::parse(key)).collect()
}

/// Checks the file ids of `stat-finals`.
pub(super) fn files(ids: &[String]) -> Result<Vec<FileId>, Error> {
    if ids.len() > limits::PAGE_MAX as usize {
        return Err(Error::InvalidArgument(Argument::Limit));
    }
    ids.iter().map(|id| FileId::parse(id)).collect()
}

/// Checks that a text is a leading piece of some record's name: a name, or a name with one more letter.
pub(super) fn record_prefix(prefix: &str) -> Result<(), Error> {
    if prefix.is_empty() || RecordName::parse(prefix).is_ok() {
        return Ok(());
    }
    RecordName::parse(&format!("{prefix}a")).map(|_| ())
}

/// Checks the size of a record's value.
pub(super) fn record_value(value: &[u8]) -> Result<(), Error> {
    if value.len() <= limits::RECORD_VALUE_MAX {
        Ok(())
    } else {
        Err(Error::TooLarge { limit: limits::RECORD_VALUE_MAX as u64 })
    }
}

impl From<Info> for wit::StoreInfo {
    fn from(info: Info) -> Self {
        wit::StoreInfo {
            backend: info.backend.to_owned(),
            bucket: info.bucket,
            max_object_size: info.max_object_size,
            max_join_size: info.max_join_size,
        }
    }
}

impl From<PartReceipt> for wit::TempPart {
    fn from(part: PartReceipt) -> Self {
        wit::TempPart {
            temp_key: part.key.to_string(),
            part_number: part.key.number,
            size: part.size,
            sha256: part.sha256.map(|digest| digest.0.to_vec()),
            offset: part.offset,
            replayed: part.replayed,
            is_prefix: part.is_prefix,
        }
    }
}

impl From<FinalReceipt> for wit::StoredObject {
    fn from(object: FinalReceipt) -> Self {
        wit::StoredObject {
            file_id: object.file.to_string(),
            bucket: object.key.bucket,
            key: object.key.key,
            size: object.size,
            sha256: object.sha256.0.to_vec(),
            content_type: object.content_type,
            metadata: object.metadata,
            created_at: object.created_at,
            replayed: object.replayed,
        }
    }
}

impl From<Receipt> for wit::Receipt {
    fn from(receipt: Receipt) -> Self {
        match receipt {
            Receipt::Part(part) => wit::Receipt::TempPart(part.into()),
            Receipt::Final(object) => wit::Receipt::StoredObject(object.into()),
        }
    }
}

impl From<Record> for wit::StoredRecord {
    fn from(record: Record) -> Self {
        wit::StoredRecord { name: record.name.to_string(), version: record.version, value: record.value }
    }
}

impl From<Page<ListedPart>> for wit::PartsPage {
    fn from(page: Page<ListedPart>) -> Self {
        let listed = |part: ListedPart| wit::ListedPart {
            temp_key: part.key.to_string(),
            part_number: part.key.number,
            size: part.size,
            offset: part.offset,
        };
        wit::PartsPage { parts: page.entries.into_iter().map(listed).collect(), next: Listing::Parts.write(page.next) }
    }
}

impl From<Page<SessionId>> for wit::SessionsPage {
    fn from(page: Page<SessionId>) -> Self {
        wit::SessionsPage { sessions: texts(&page.entries), next: Listing::Sessions.write(page.next) }
    }
}

impl From<Page<FileId>> for wit::FinalsPage {
    fn from(page: Page<FileId>) -> Self {
        wit::FinalsPage { file_ids: texts(&page.entries), next: Listing::Finals.write(page.next) }
    }
}

impl From<Page<RecordName>> for wit::RecordsPage {
    fn from(page: Page<RecordName>) -> Self {
        wit::RecordsPage { names: texts(&page.entries), next: Listing::Records.write(page.next) }
    }
}

fn texts<T: ToString>(entries: &[T]) -> Vec<String> {
    entries.iter().map(T::to_string).collect()
}

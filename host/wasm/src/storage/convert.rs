//! Conversions between WIT types and backend types. Each generation of the interface has types of its own, and compiles
//! this file once more against them: `super::wit` is the generation.

use super::wit;
use crate::fault::Fault;
use crate::storage::arguments::Listing;
use crate::streams::Receipt;
use portico_store::{
    Algorithm, Argument, ByteRange, Digest, Error, Expected, FileId, FinalOptions, FinalReceipt, IfExists, Info,
    ListedPart, OtherDigests, Page, PartOptions, PartReceipt, Purged, Record, RecordName, SessionId, TempKey, limits,
};

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

impl From<Purged> for wit::PurgedPage {
    fn from(step: Purged) -> Self {
        wit::PurgedPage { purged: step.purged, next: Listing::Gone.write(step.next) }
    }
}

fn texts<T: ToString>(entries: &[T]) -> Vec<String> {
    entries.iter().map(T::to_string).collect()
}

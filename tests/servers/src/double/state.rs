//! Buckets, objects and unfinished uploads in memory. Whatever decides and changes does both under one lock.

use super::content::Content;
use s3s::dto::{ETag, ETagCondition, Metadata};
use s3s::{S3Result, s3_error};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::SystemTime;

#[derive(Default)]
pub(super) struct State {
    pub(super) buckets: BTreeMap<String, Bucket>,
    pub(super) uploads_made: u64,
}

#[derive(Default)]
pub(super) struct Bucket {
    pub(super) objects: BTreeMap<String, Object>,
    /// By key and id. An id made later is greater.
    pub(super) uploads: BTreeMap<(String, String), Upload>,
}

/// What S3 keeps of the request that made an object.
#[derive(Clone, Default)]
pub(super) struct About {
    pub(super) content_type: Option<String>,
    pub(super) metadata: Option<Metadata>,
}

#[derive(Clone)]
pub(super) struct Object {
    pub(super) content: Arc<Content>,
    pub(super) etag: String,
    pub(super) modified: SystemTime,
    pub(super) about: About,
}

pub(super) struct Upload {
    pub(super) initiated: SystemTime,
    pub(super) about: About,
    pub(super) parts: BTreeMap<i32, Part>,
}

pub(super) struct Part {
    pub(super) content: Arc<Content>,
    pub(super) modified: SystemTime,
}

impl State {
    pub(super) fn bucket(&mut self, name: &str) -> S3Result<&mut Bucket> {
        self.buckets.get_mut(name).ok_or_else(|| s3_error!(NoSuchBucket))
    }

    pub(super) fn object(&mut self, bucket: &str, key: &str) -> S3Result<&Object> {
        self.bucket(bucket)?.objects.get(key).ok_or_else(|| s3_error!(NoSuchKey))
    }

    pub(super) fn upload(&mut self, bucket: &str, key: &str, id: &str) -> S3Result<&mut Upload> {
        let id = (key.to_owned(), id.to_owned());
        self.bucket(bucket)?.uploads.get_mut(&id).ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

/// Whether a write may replace what is there.
pub(super) fn may_write(
    there: Option<&Object>,
    if_match: Option<&ETagCondition>,
    if_none_match: Option<&ETagCondition>,
) -> S3Result<()> {
    match if_none_match {
        Some(ETagCondition::Any) if there.is_some() => return Err(s3_error!(PreconditionFailed)),
        Some(ETagCondition::ETag(_)) => return Err(s3_error!(NotImplemented, "If-None-Match takes only *")),
        _ => {}
    }
    match (if_match, there) {
        (Some(_), None) => Err(s3_error!(NoSuchKey)),
        (Some(_), Some(there)) => matches(there, if_match),
        (None, _) => Ok(()),
    }
}

/// Whether an object is the one that a condition names.
pub(super) fn matches(there: &Object, if_match: Option<&ETagCondition>) -> S3Result<()> {
    match if_match {
        Some(ETagCondition::ETag(etag)) if etag.value() != there.etag => Err(s3_error!(PreconditionFailed)),
        _ => Ok(()),
    }
}

/// The ETag of the content of one request.
pub(super) fn etag_of(content: &Content) -> String {
    hex(&content.md5)
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(super) fn strong(etag: &str) -> Option<ETag> {
    Some(ETag::Strong(etag.to_owned()))
}

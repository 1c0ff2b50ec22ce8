//! Single objects and listings: the SDK's operations as this crate uses them.
//!
//! Nothing here knows the purpose of an object. Content has a known length and a checksum.

use crate::Checksum;
use crate::keys::ObjectKey;
use crate::request::client::Client;
use crate::request::failure::{Failure, Kind};
use crate::request::frames::Frames;
use aws_sdk_s3::operation::get_object::builders::GetObjectFluentBuilder;
use aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder;
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use std::ops::Range;
use std::time::Duration;

/// Most keys in one request of a listing or a deletion (S3).
pub(crate) const KEYS_MAX: usize = 1_000;

/// The condition of a write.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Condition<'a> {
    Always,
    /// The object is absent (`If-None-Match: *`).
    Absent,
    /// The object has this entity tag (`If-Match`).
    Is(&'a str),
}

/// An object in a listing.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) key: String,
    pub(crate) size: u64,
    pub(crate) etag: String,
    /// In milliseconds since the Unix epoch, by the server's clock.
    pub(crate) modified_ms: u64,
}

/// The whole of a small object.
#[derive(Clone, Debug)]
pub(crate) struct Small {
    pub(crate) body: Bytes,
    pub(crate) etag: String,
    pub(crate) modified_ms: u64,
}

/// The body of a response to a read of a range.
pub(crate) struct RangeBody {
    pub(crate) stream: ByteStream,
    /// Offset of the body in the object, in bytes.
    pub(crate) start: u64,
}

pub(crate) fn missing_is_none<T>(result: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(failure) if failure.kind == Kind::Missing => Ok(None),
        Err(failure) => Err(failure),
    }
}

pub(crate) fn conditional(request: PutObjectFluentBuilder, condition: Condition<'_>) -> PutObjectFluentBuilder {
    match condition {
        Condition::Always => request,
        Condition::Absent => request.if_none_match("*"),
        Condition::Is(etag) => request.if_match(etag),
    }
}

/// Checks the entity tag, which every success of S3 that creates or reads an object has.
pub(crate) fn etag(etag: Option<String>, what: impl FnOnce() -> String) -> Result<String, Failure> {
    etag.filter(|etag| !etag.is_empty()).ok_or_else(|| Failure::no_success_of_s3(&what(), "an entity tag"))
}

/// Returns the value of the header `x-amz-checksum-crc32`.
pub(crate) fn crc32(frames: &Frames) -> String {
    use base64::Engine as _;
    let mut digest = crc_fast::Digest::new(crc_fast::CrcAlgorithm::Crc32IsoHdlc);
    frames.iter().for_each(|frame| digest.update(frame));
    base64::engine::general_purpose::STANDARD.encode((digest.finalize() as u32).to_be_bytes())
}

fn ms(time: Option<&aws_sdk_s3::primitives::DateTime>) -> u64 {
    time.and_then(|time| time.to_millis().ok()).and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0)
}

/// Returns the `bytes=FIRST-LAST` of a half-open range that is not empty.
pub(crate) fn range_header(range: &Range<u64>) -> String {
    format!("bytes={}-{}", range.start, range.end - 1)
}

impl Client {
    /// Returns a request body of gathered content.
    pub(crate) fn body(&self, frames: &Frames) -> ByteStream {
        if self.signs { ByteStream::from(frames.joined()) } else { frames.stream() }
    }

    /// Creates an object from gathered content in one request, once. Returns its entity tag.
    pub(crate) async fn put_once(
        &self,
        object: &ObjectKey,
        content: &Frames,
        condition: Condition<'_>,
        content_type: Option<&str>,
    ) -> Result<String, Failure> {
        let size = content.len();
        let request = self
            .s3
            .put_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .content_length(i64::try_from(size).unwrap_or(i64::MAX))
            .set_checksum_crc32((self.checksum == Checksum::Crc32).then(|| crc32(content)))
            .set_content_type(content_type.map(str::to_owned))
            .body(self.body(content));
        let request = conditional(request, condition);
        let sent = async {
            let sent = if self.signs {
                request.send().await
            } else {
                request.customize().disable_payload_signing().send().await
            };
            sent.map_err(|error| Failure::of(format!("PutObject {object}"), error))
        };
        let answer = self.once(self.carrying(size), sent).await?;
        etag(answer.e_tag, || format!("PutObject {object}"))
    }

    /// Creates or replaces an object with gathered content, with retries.
    pub(crate) async fn put(
        &self,
        object: &ObjectKey,
        content: &Frames,
        content_type: Option<&str>,
    ) -> Result<(), Failure> {
        self.step("put")?;
        let limit = self.carrying(content.len());
        let put = self.repeat(limit, |_| self.put_once(object, content, Condition::Always, content_type)).await;
        put.map_err(|failure| failure.with_content(content.len()))?;
        self.step("put done")
    }

    /// Reads an object of at most `limit` bytes.
    pub(crate) async fn get_small(&self, object: &ObjectKey, limit: usize) -> Result<Option<Small>, Failure> {
        let got = self.repeat(self.short(), |_| async {
            let answer = self
                .s3
                .get_object()
                .bucket(&object.bucket)
                .key(&object.key)
                .send()
                .await
                .map_err(|error| Failure::of(format!("GetObject {object}"), error))?;
            let etag = etag(answer.e_tag, || format!("GetObject {object}"))?;
            let size = answer.content_length.and_then(|size| usize::try_from(size).ok()).unwrap_or(usize::MAX);
            if size > limit {
                return Err(Failure::new(Kind::Other, format!("{object} has {size} bytes, over the limit of {limit}")));
            }
            let cut = |cause| Failure::new(Kind::Transient, format!("GetObject {object}: {cause}"));
            let modified_ms = ms(answer.last_modified.as_ref());
            let body = answer.body.collect().await.map_err(cut)?.into_bytes();
            if body.len() != size {
                return Err(Failure::new(
                    Kind::Transient,
                    format!("GetObject {object}: {} of {size} bytes arrived", body.len()),
                ));
            }
            Ok(Small { body, etag, modified_ms })
        });
        missing_is_none(got.await)
    }

    /// Starts to read a range, which is not empty, of an object of `size` bytes. The server may send more than the
    /// range; see [`RangeBody`].
    pub(crate) async fn get_range(
        &self,
        object: &ObjectKey,
        range: &Range<u64>,
        size: u64,
    ) -> Result<RangeBody, Failure> {
        self.repeat(self.short(), |_| async {
            let what = || format!("GetObject {object} {range:?}");
            let answer = self.get_request(object, range).send().await.map_err(|error| Failure::of(what(), error))?;
            etag(answer.e_tag, what)?;
            // `bytes FIRST-LAST/SIZE`, or absent if the server ignored the range.
            let told = answer.content_range.as_deref().and_then(|text| text.strip_prefix("bytes ")?.split_once('/'));
            let whole = match told {
                Some((_, whole)) => whole.trim().parse().ok(),
                None => answer.content_length.and_then(|length| u64::try_from(length).ok()),
            };
            if let Some(whole) = whole.filter(|whole| *whole != size) {
                return Err(Failure::new(
                    Kind::Damaged,
                    format!("{}: the object has {whole} bytes, and {size} were stored", what()),
                ));
            }
            let first = told.and_then(|(range, _)| range.split('-').next()?.trim().parse().ok());
            Ok(RangeBody { stream: answer.body, start: first.unwrap_or(0) })
        })
        .await
    }

    fn get_request(&self, object: &ObjectKey, range: &Range<u64>) -> GetObjectFluentBuilder {
        self.s3.get_object().bucket(&object.bucket).key(&object.key).range(range_header(range))
    }

    /// Returns the size and time of an object.
    pub(crate) async fn head(&self, object: &ObjectKey) -> Result<Option<Listed>, Failure> {
        let got = self.repeat(self.short(), |_| async {
            let what = || format!("HeadObject {object}");
            let answer = match self.s3.head_object().bucket(&object.bucket).key(&object.key).send().await {
                Ok(answer) => answer,
                Err(error) => return Err(self.explain_head(object, Failure::of_head(what(), error)).await),
            };
            Ok(Listed {
                key: object.key.clone(),
                size: answer.content_length.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                etag: etag(answer.e_tag, what)?,
                modified_ms: ms(answer.last_modified.as_ref()),
            })
        });
        missing_is_none(got.await)
    }

    /// Determines whether S3 refused a `HEAD`, whose response has no body. Some servers name requests differently
    /// (moto) or not at all; their response to a `GET` has a body.
    async fn explain_head(&self, object: &ObjectKey, failure: Failure) -> Failure {
        if !failure.foreign.is_some_and(|status| (400..500).contains(&status)) {
            return failure;
        }
        match self.get_request(object, &(0..1)).send().await {
            // An empty object has no such range.
            Err(error) if error.raw_response().is_some_and(|response| response.status().as_u16() == 416) => failure,
            Err(error) => Failure::of(format!("GetObject {object}"), error),
            Ok(_) => failure,
        }
    }

    /// Deletes objects whose keys are never used again. They may be gone already.
    pub(crate) async fn delete(&self, objects: &[ObjectKey]) -> Result<(), Failure> {
        for object in objects.chunk_by(|a, b| a.bucket == b.bucket).flat_map(|same| same.chunks(KEYS_MAX)) {
            self.step("delete")?;
            let deleted = self.repeat(self.long(), |_| self.delete_request(object)).await;
            match deleted {
                // Some servers cannot delete several keys at once, or want another form.
                Err(failure)
                    if object.len() > 1 && matches!(failure.kind, Kind::Unsupported | Kind::Foreign | Kind::Other) =>
                {
                    for only in object.chunks(1) {
                        self.repeat(self.long(), |_| self.delete_request(only)).await?;
                    }
                }
                other => other?,
            }
            self.step("deleted")?;
        }
        Ok(())
    }

    /// Sends the deletion of at most [`KEYS_MAX`] objects of one bucket once.
    pub(crate) async fn delete_once(&self, objects: &[ObjectKey]) -> Result<(), Failure> {
        self.step("delete")?;
        match self.once(self.long(), self.delete_request(objects)).await {
            // The whole request was refused, so nothing was deleted.
            Err(failure) if objects.len() > 1 && matches!(failure.kind, Kind::Unsupported | Kind::Other) => {
                for only in objects.chunks(1) {
                    self.once(self.long(), self.delete_request(only)).await?;
                }
            }
            other => other?,
        }
        self.step("deleted")
    }

    async fn delete_request(&self, objects: &[ObjectKey]) -> Result<(), Failure> {
        let Some(first) = objects.first() else { return Ok(()) };
        if objects.len() == 1 {
            let deleted = self.s3.delete_object().bucket(&first.bucket).key(&first.key).send().await;
            return match deleted.map_err(|error| Failure::of(format!("DeleteObject {first}"), error)) {
                Err(failure) if failure.kind == Kind::Missing => Ok(()),
                other => other.map(drop),
            };
        }
        let key = |object: &ObjectKey| ObjectIdentifier::builder().key(&object.key).build();
        let what = || format!("DeleteObjects {first} and {} more", objects.len() - 1);
        let objects: Vec<_> = objects
            .iter()
            .map(key)
            .collect::<Result<_, _>>()
            .map_err(|error| Failure::new(Kind::Other, format!("{}: {error}", what())))?;
        let delete = Delete::builder().set_objects(Some(objects)).quiet(true).build();
        let delete = delete.map_err(|error| Failure::new(Kind::Other, format!("{}: {error}", what())))?;
        let answer = self
            .s3
            .delete_objects()
            .bucket(&first.bucket)
            .delete(delete)
            .send()
            .await
            .map_err(|error| Failure::of(what(), error))?;
        match answer.errors().iter().find(|error| error.code() != Some("NoSuchKey")) {
            None => Ok(()),
            Some(error) => {
                let code = error.code().unwrap_or("no code");
                let kind = if code == "AccessDenied" { Kind::Denied } else { Kind::Transient };
                Err(Failure::new(kind, format!("{}: {code} for {}", what(), error.key().unwrap_or_default())))
            }
        }
    }

    /// Returns a page of the objects whose keys have a prefix, in the order of keys, after `after`; and whether there
    /// are more.
    pub(crate) async fn list(
        &self,
        prefix: &ObjectKey,
        after: Option<&str>,
        limit: usize,
    ) -> Result<(Vec<Listed>, bool), Failure> {
        self.repeat(self.short(), |_| async {
            let answer = self
                .s3
                .list_objects_v2()
                .bucket(&prefix.bucket)
                .prefix(&prefix.key)
                .set_start_after(after.map(str::to_owned))
                .max_keys(i32::try_from(limit.min(KEYS_MAX)).unwrap_or(i32::MAX))
                .send()
                .await
                .map_err(|error| Failure::of(format!("ListObjectsV2 {prefix}"), error))?;
            let what = || format!("ListObjectsV2 {prefix}");
            let count = answer.contents().len() + answer.common_prefixes().len();
            let is_whole = answer.key_count.is_none_or(|told| usize::try_from(told) == Ok(count));
            let (Some(more), true) = (answer.is_truncated, is_whole) else {
                return Err(Failure::no_success_of_s3(&what(), "all of a page"));
            };
            let listed = answer.contents.unwrap_or_default().into_iter().map(|object| Listed {
                size: object.size.and_then(|size| u64::try_from(size).ok()).unwrap_or(0),
                modified_ms: ms(object.last_modified.as_ref()),
                etag: object.e_tag.unwrap_or_default(),
                key: object.key.unwrap_or_default(),
            });
            Ok((listed.collect(), more))
        })
        .await
    }

    /// Returns the age of an object by the server's clock.
    pub(crate) fn age(&self, modified_ms: u64) -> Duration {
        Duration::from_millis(self.now_ms().saturating_sub(modified_ms))
    }
}

/// Lists all objects whose keys have a prefix, a page at a time.
pub(crate) struct Listing<'a> {
    client: &'a Client,
    prefix: ObjectKey,
    after: Option<String>,
    page: std::vec::IntoIter<Listed>,
    more: bool,
}

impl<'a> Listing<'a> {
    pub(crate) fn new(client: &'a Client, prefix: ObjectKey, after: Option<String>) -> Self {
        Listing { client, prefix, after, page: Vec::new().into_iter(), more: true }
    }

    /// Whether the next entry costs a request.
    pub(crate) fn ends_page(&self) -> bool {
        self.more && self.page.len() == 0
    }

    pub(crate) async fn next(&mut self) -> Result<Option<Listed>, Failure> {
        loop {
            if let Some(listed) = self.page.next() {
                self.after = Some(listed.key.clone());
                return Ok(Some(listed));
            }
            if !self.more {
                return Ok(None);
            }
            let (page, more) = self.client.list(&self.prefix, self.after.as_deref(), KEYS_MAX).await?;
            // A page that is empty or repeats itself would be requested for ever.
            let advances = page.last().is_some_and(|last| self.after.as_ref().is_none_or(|after| last.key > *after));
            self.more = more && advances;
            self.page = page.into_iter();
        }
    }
}

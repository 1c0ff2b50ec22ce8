//! Multipart uploads: the SDK's operations as this crate uses them.
//!
//! Checksums of pieces must be declared when an upload is created (AWS, Garage). Each piece must then have one, the
//! completion must repeat them (AWS, MinIO), and no piece may be a copy (MinIO). So all pieces of an upload have
//! checksums, or none.

use crate::keys::ObjectKey;
use crate::request::client::Client;
use crate::request::failure::{Failure, Kind};
use crate::request::frames::Frames;
use crate::request::objects::{Condition, conditional, crc32, etag, range_header};
use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{ChecksumAlgorithm, CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use std::ops::Range;
use std::time::Instant;

/// Most pieces of one multipart upload (S3).
pub(crate) const PIECES_MAX: u64 = 10_000;

/// An unfinished multipart upload.
#[derive(Clone, Debug)]
pub(crate) struct Unfinished {
    pub(crate) object: ObjectKey,
    pub(crate) id: String,
    /// In milliseconds since the Unix epoch, by the server's clock.
    pub(crate) initiated_ms: u64,
}

/// A piece that the server has stored.
#[derive(Clone, Debug)]
pub(crate) struct Piece {
    /// From 1.
    pub(crate) number: i32,
    pub(crate) etag: String,
    pub(crate) crc32: Option<String>,
}

impl Client {
    /// Creates a multipart upload. Returns its id, and whether an unanswered attempt may have created another one.
    pub(crate) async fn create_upload(
        &self,
        object: &ObjectKey,
        content_type: Option<&str>,
        with_checksums: bool,
    ) -> Result<(String, bool), Failure> {
        self.step("create upload")?;
        let algorithm = with_checksums.then_some(ChecksumAlgorithm::Crc32);
        let created = self
            .repeat(self.short(), |attempts| {
                let algorithm = algorithm.clone();
                async move {
                    let answer = self
                        .s3
                        .create_multipart_upload()
                        .bucket(&object.bucket)
                        .key(&object.key)
                        .set_checksum_algorithm(algorithm)
                        .set_content_type(content_type.map(str::to_owned))
                        .send()
                        .await
                        .map_err(|error| Failure::of(format!("CreateMultipartUpload {object}"), error))?;
                    let id = answer.upload_id.filter(|id| !id.is_empty());
                    let what = || format!("CreateMultipartUpload {object}");
                    let id = id.ok_or_else(|| Failure::no_success_of_s3(&what(), "an id"))?;
                    Ok((id, attempts > 0))
                }
            })
            .await?;
        self.step("create upload done")?;
        Ok(created)
    }

    /// Sends a piece, with retries.
    pub(crate) async fn upload_piece(
        &self,
        object: &ObjectKey,
        id: &str,
        number: i32,
        content: &Frames,
        with_checksum: bool,
    ) -> Result<Piece, Failure> {
        self.step("piece")?;
        let crc32 = with_checksum.then(|| crc32(content));
        let piece = self.repeat(self.carrying(content.len()), |_| {
            self.piece_once(object, id, number, content.len(), self.body(content), crc32.clone())
        });
        let piece = piece.await.map_err(|failure| failure.with_content(content.len()))?;
        self.step("piece done")?;
        Ok(piece)
    }

    /// Sends a piece once. Its content may arrive during the request.
    pub(crate) async fn piece_once(
        &self,
        object: &ObjectKey,
        id: &str,
        number: i32,
        size: u64,
        body: ByteStream,
        crc32: Option<String>,
    ) -> Result<Piece, Failure> {
        let request = self
            .s3
            .upload_part()
            .bucket(&object.bucket)
            .key(&object.key)
            .upload_id(id)
            .part_number(number)
            .content_length(i64::try_from(size).unwrap_or(i64::MAX))
            .set_checksum_crc32(crc32.clone())
            .body(body);
        let sent =
            if self.signs { request.send().await } else { request.customize().disable_payload_signing().send().await };
        let what = || format!("UploadPart {number} of {object}");
        let answer = sent.map_err(|error| Failure::of(what(), error).with_content(size))?;
        Ok(Piece { number, etag: etag(answer.e_tag, what)?, crc32 })
    }

    /// Creates an object once, from content that arrives during the request. Returns its entity tag.
    pub(crate) async fn put_straight(
        &self,
        object: &ObjectKey,
        size: u64,
        body: ByteStream,
        content_type: Option<&str>,
        condition: Condition<'_>,
    ) -> Result<String, Failure> {
        let request = self
            .s3
            .put_object()
            .bucket(&object.bucket)
            .key(&object.key)
            .content_length(i64::try_from(size).unwrap_or(i64::MAX))
            .set_content_type(content_type.map(str::to_owned))
            .body(body);
        let sent = conditional(request, condition).customize().disable_payload_signing().send().await;
        let what = || format!("PutObject {object}");
        let answer = sent.map_err(|error| Failure::of(what(), error).with_content(size))?;
        etag(answer.e_tag, what)
    }

    /// Copies a range of another object into a piece, within the server.
    pub(crate) async fn copy_piece(
        &self,
        object: &ObjectKey,
        id: &str,
        number: i32,
        source: &ObjectKey,
        range: &Range<u64>,
    ) -> Result<Piece, Failure> {
        self.step("copy")?;
        // Most bytes of our keys need no escaping; servers differ about the others.
        let from: String = format!("{}/{}", source.bucket, source.key)
            .bytes()
            .map(|byte| match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' | b'/' => {
                    char::from(byte).to_string()
                }
                other => format!("%{other:02X}"),
            })
            .collect();
        let piece = self.repeat(self.long(), |_| async {
            let what = || format!("UploadPartCopy {source} {range:?} to {object}");
            let answer = self
                .s3
                .upload_part_copy()
                .bucket(&object.bucket)
                .key(&object.key)
                .upload_id(id)
                .part_number(number)
                .copy_source(&from)
                .copy_source_range(range_header(range))
                .send()
                .await
                .map_err(|error| Failure::of(what(), error))?;
            let etag = etag(answer.copy_part_result.and_then(|copied| copied.e_tag), what)?;
            Ok(Piece { number, etag, crc32: None })
        });
        let piece = piece.await?;
        self.step("copied")?;
        Ok(piece)
    }

    /// Completes an object, which must have `size` bytes.
    ///
    /// Nobody else uses the key, so an existing object is ours. Returns whether the server confirmed the completion:
    /// without a confirmation it may keep the upload beside the object.
    pub(crate) async fn complete_upload(
        &self,
        object: &ObjectKey,
        id: &str,
        pieces: &[Piece],
        size: u64,
    ) -> Result<bool, Failure> {
        self.step("complete")?;
        let parts = pieces.iter().map(|piece| {
            CompletedPart::builder()
                .part_number(piece.number)
                .e_tag(&piece.etag)
                .set_checksum_crc32(piece.crc32.clone())
                .build()
        });
        let parts = CompletedMultipartUpload::builder().set_parts(Some(parts.collect())).build();
        let began = Instant::now();
        let mut attempts = 0;
        let (was_told, there) = loop {
            let parts = parts.clone();
            let request = self.s3.complete_multipart_upload().bucket(&object.bucket).key(&object.key);
            let sent = async {
                let sent = request.upload_id(id).multipart_upload(parts).send().await;
                sent.map_err(|error| Failure::of(format!("CompleteMultipartUpload {object}"), error))
            };
            let answer = self.once(self.long(), sent).await;
            // Any response, also a success, is believed only if the object exists; its size must be what was sent.
            let there = self.head(object).await?;
            let failure = match (answer, there) {
                (answer, Some(there)) => break (answer.is_ok(), there),
                (Ok(_), None) => Failure::new(Kind::Transient, format!("{object} was completed and does not exist")),
                (Err(failure), None) => failure,
            };
            attempts += 1;
            let Some(pause) = self.pause(&failure, attempts, began) else { return Err(failure) };
            tokio::time::sleep(pause).await;
        };
        if there.size != size {
            let what = format!("{object} has {} bytes in the store, and {size} were sent", there.size);
            return Err(Failure::new(Kind::Pieces, what));
        }
        self.step("complete done")?;
        Ok(was_told)
    }

    /// Aborts a multipart upload, which may be gone already.
    pub(crate) async fn abort_upload(&self, object: &ObjectKey, id: &str) -> Result<(), Failure> {
        self.step("abort")?;
        let aborted = self.repeat(self.short(), |_| async {
            let request = self.s3.abort_multipart_upload().bucket(&object.bucket).key(&object.key).upload_id(id);
            let sent = request.send().await;
            sent.map_err(|error| Failure::of(format!("AbortMultipartUpload {object}"), error))
        });
        match aborted.await {
            Err(failure) if !matches!(failure.kind, Kind::NoUpload | Kind::Missing) => Err(failure),
            _ => self.step("aborted"),
        }
    }

    /// Lists unfinished multipart uploads of keys with a prefix.
    pub(crate) async fn unfinished(&self, prefix: &ObjectKey) -> Result<Vec<Unfinished>, Failure> {
        let mut found = Vec::new();
        let mut after: Option<(String, String)> = None;
        loop {
            let (key, id) = after.clone().unzip();
            let answer = self
                .repeat(self.short(), |_| async {
                    self.s3
                        .list_multipart_uploads()
                        .bucket(&prefix.bucket)
                        .prefix(&prefix.key)
                        .set_key_marker(key.clone())
                        .set_upload_id_marker(id.clone())
                        .send()
                        .await
                        .map_err(|error| Failure::of(format!("ListMultipartUploads {prefix}"), error))
                })
                .await?;
            for upload in answer.uploads() {
                let (Some(key), Some(id)) = (upload.key(), upload.upload_id()) else { continue };
                let initiated = upload.initiated().and_then(|time| time.to_millis().ok());
                found.push(Unfinished {
                    object: ObjectKey { bucket: prefix.bucket.clone(), key: key.to_owned() },
                    id: id.to_owned(),
                    initiated_ms: initiated.and_then(|ms| u64::try_from(ms).ok()).unwrap_or(0),
                });
            }
            let next =
                answer.next_key_marker().map(str::to_owned).zip(answer.next_upload_id_marker().map(str::to_owned));
            if answer.is_truncated() != Some(true) || next.is_none() || next == after {
                return Ok(found);
            }
            after = next;
        }
    }

    /// Returns the time of an upload's newest piece; `None` without pieces or without the upload.
    pub(crate) async fn newest_piece(&self, upload: &Unfinished) -> Result<Option<u64>, Failure> {
        let mut newest = None;
        let mut after: Option<String> = None;
        loop {
            let request = |_| async {
                self.s3
                    .list_parts()
                    .bucket(&upload.object.bucket)
                    .key(&upload.object.key)
                    .upload_id(&upload.id)
                    .set_part_number_marker(after.clone())
                    .send()
                    .await
                    .map_err(|error| Failure::of(format!("ListParts {}", upload.object), error))
            };
            let answer = match self.repeat(self.short(), request).await {
                Err(failure) if matches!(failure.kind, Kind::NoUpload | Kind::Missing) => return Ok(newest),
                other => other?,
            };
            let times = answer.parts().iter().filter_map(|part| part.last_modified()?.to_millis().ok());
            newest = newest.max(times.filter_map(|ms| u64::try_from(ms).ok()).max());
            let next = answer.next_part_number_marker().map(str::to_owned);
            if answer.is_truncated() != Some(true) || next.is_none() || next == after {
                return Ok(newest);
            }
            after = next;
        }
    }

    /// Sends an object with a wrong checksum, to test whether the server verifies checksums.
    pub(crate) async fn put_with_wrong_checksum(&self, object: &ObjectKey, content: &Frames) -> Result<(), Failure> {
        let put = async {
            let request = self.s3.put_object().bucket(&object.bucket).key(&object.key).body(self.body(content));
            let request = request.checksum_crc32(crc32(&Frames::from(Bytes::from_static(b"other content"))));
            let request = request.content_length(i64::try_from(content.len()).unwrap_or(i64::MAX));
            let sent = request.customize().disable_payload_signing().send().await;
            sent.map(drop).map_err(|error| Failure::of(format!("PutObject {object}"), error))
        };
        self.once(self.short(), put).await
    }

    /// Creates an object if the condition holds; returns `None` if it does not.
    pub(crate) async fn put_if(
        &self,
        object: &ObjectKey,
        content: &Frames,
        condition: Condition<'_>,
    ) -> Result<Option<String>, Failure> {
        match self.put_once(object, content, condition, None).await {
            Ok(etag) => Ok(Some(etag)),
            Err(failure) if matches!(failure.kind, Kind::Precondition | Kind::Racing) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

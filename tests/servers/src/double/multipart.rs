//! Multipart uploads.

use super::Double;
use super::checksums::{Promised, base64};
use super::content::Content;
use super::state::{About, Object, Part, Upload, etag_of, hex, matches, may_write, strong};
use s3s::crypto::{Checksum as _, Md5};
use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput, CompleteMultipartUploadOutput,
    CompletedPart, CopyPartResult, CopySource, CreateMultipartUploadInput, CreateMultipartUploadOutput,
    UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Smallest part but the last.
const PART_MIN: u64 = 5 << 20;

/// Greatest number of a part.
const NUMBER_MAX: i32 = 10_000;

impl Double {
    pub(super) fn create_upload(&self, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
        let mut state = self.state();
        state.uploads_made += 1;
        let id = format!("upload-{:016x}", state.uploads_made);
        let about = About { content_type: input.content_type, metadata: input.metadata };
        let upload = Upload { initiated: self.clock.now(), about, parts: BTreeMap::new() };
        state.bucket(&input.bucket)?.uploads.insert((input.key.clone(), id.clone()), upload);
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    pub(super) async fn upload(&self, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let promised = Promised::of(&request);
        let checksum_crc32 = promised.crc32();
        let input = request.input;
        self.state().upload(&input.bucket, &input.key, &input.upload_id)?;
        let content = self.receive(input.body, promised).await?;
        let etag = etag_of(&content);
        self.add_part(&input.bucket, &input.key, &input.upload_id, input.part_number, content)?;
        Ok(UploadPartOutput { e_tag: strong(&etag), checksum_crc32, ..Default::default() })
    }

    fn add_part(&self, bucket: &str, key: &str, id: &str, number: i32, content: Content) -> S3Result<()> {
        if !(1..=NUMBER_MAX).contains(&number) {
            return Err(s3_error!(InvalidArgument, "part numbers are 1 to {NUMBER_MAX}"));
        }
        let part = Part { content: Arc::new(content), modified: self.clock.now() };
        self.state().upload(bucket, key, id)?.parts.insert(number, part);
        Ok(())
    }

    pub(super) fn copy_part(&self, input: UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
        if self.lies().copy_not_implemented {
            return Err(s3_error!(NotImplemented));
        }
        let CopySource::Bucket { bucket, key, .. } = &input.copy_source else {
            return Err(s3_error!(NotImplemented, "no access points here"));
        };
        let source = self.state().object(bucket, key)?.clone();
        matches(&source, self.if_match(input.copy_source_if_match.as_ref()))?;
        let size = source.content.size;
        let range = match input.copy_source_range.as_deref().filter(|_| !self.lies().copy_ignores_range) {
            _ if self.lies().copy_stores_nothing => 0..0,
            None => 0..size,
            Some(text) => within(text, size)
                .ok_or_else(|| s3_error!(InvalidArgument, "the range {text} is not in a source of {size} bytes"))?,
        };
        let content = source.content.slice(range)?;
        let result = CopyPartResult {
            e_tag: strong(&etag_of(&content)),
            last_modified: Some(self.clock.now().into()),
            ..Default::default()
        };
        self.add_part(&input.bucket, &input.key, &input.upload_id, input.part_number, content)?;
        Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
    }

    pub(super) fn complete(&self, input: CompleteMultipartUploadInput) -> S3Result<CompleteMultipartUploadOutput> {
        let wanted = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        let mut state = self.state();
        let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
        let contents = self.choose(upload, &wanted)?;
        let contents: Vec<_> = contents.iter().map(|content| &**content).collect();
        let mut md5 = Md5::new();
        contents.iter().for_each(|content| md5.update(&content.md5));
        let md5 = md5.finalize();
        let content = Content::join(&contents, md5);
        if input.mpu_object_size.is_some_and(|size| size != content.size as i64) {
            return Err(s3_error!(InvalidRequest, "the parts have {} bytes", content.size));
        }
        let etag = format!("{}-{}", hex(&md5), contents.len());
        let object = Object {
            content: Arc::new(content),
            etag: etag.clone(),
            modified: self.clock.now(),
            about: upload.about.clone(),
        };
        let bucket = state.bucket(&input.bucket)?;
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        may_write(bucket.objects.get(&input.key), self.if_match(if_match), self.if_none_match(if_none_match))?;
        bucket.objects.insert(input.key.clone(), object);
        if self.lies().keeps_uploads {
            return Err(s3_error!(InternalError));
        }
        bucket.uploads.remove(&(input.key.clone(), input.upload_id));
        if self.lies().loses_uploads {
            return Err(s3_error!(NoSuchUpload));
        }
        Ok(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: strong(&etag),
            ..Default::default()
        })
    }

    /// The parts that a completion names.
    fn choose(&self, upload: &Upload, wanted: &[CompletedPart]) -> S3Result<Vec<Arc<Content>>> {
        if wanted.is_empty() {
            return Err(s3_error!(MalformedXML));
        }
        if !wanted.is_sorted_by(|a, b| a.part_number < b.part_number) {
            return Err(s3_error!(InvalidPartOrder));
        }
        let mut contents = Vec::new();
        for part in wanted {
            let there = part.part_number.and_then(|number| upload.parts.get(&number));
            let there = there.ok_or_else(|| s3_error!(InvalidPart))?;
            let same_etag = part.e_tag.as_ref().is_some_and(|etag| etag.value() == etag_of(&there.content));
            let crc32 = base64(&there.content.crc32);
            if !same_etag || part.checksum_crc32.as_ref().is_some_and(|named| *named != crc32) {
                return Err(s3_error!(InvalidPart));
            }
            contents.push(there.content.clone());
        }
        let (_, all_but_last) = contents.split_last().expect("at least one");
        if all_but_last.iter().any(|content| content.size < PART_MIN) && !self.lies().copy_stores_nothing {
            return Err(s3_error!(EntityTooSmall));
        }
        Ok(contents)
    }

    pub(super) fn abort(&self, input: AbortMultipartUploadInput) -> S3Result<AbortMultipartUploadOutput> {
        let mut state = self.state();
        let removed = state.bucket(&input.bucket)?.uploads.remove(&(input.key, input.upload_id));
        removed.map(|_| AbortMultipartUploadOutput::default()).ok_or_else(|| s3_error!(NoSuchUpload))
    }
}

/// Reads `bytes=FIRST-LAST`, which must lie within.
fn within(text: &str, size: u64) -> Option<std::ops::Range<u64>> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let (first, last) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && last < size).then_some(first..last + 1)
}

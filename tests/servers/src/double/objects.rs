//! Buckets and whole objects.

use super::Double;
use super::checksums::Promised;
use super::content::Content;
use super::lies;
use super::state::{About, Object, etag_of, matches, may_write, strong};
use s3s::dto::*;
use s3s::{S3Request, S3Result, s3_error};
use std::sync::Arc;

impl Double {
    pub(super) fn create(&self, input: CreateBucketInput) -> S3Result<CreateBucketOutput> {
        let mut state = self.state();
        if state.buckets.contains_key(&input.bucket) {
            return Err(s3_error!(BucketAlreadyOwnedByYou));
        }
        state.buckets.insert(input.bucket, Default::default());
        Ok(CreateBucketOutput::default())
    }

    pub(super) async fn put(&self, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let promised = Promised::of(&request);
        let checksum_crc32 = promised.crc32();
        let input = request.input;
        let mut content = self.receive(input.body, promised).await?;
        if self.lies().truncates_objects && content.size > 0 {
            content = content.slice(0..content.size - 1)?;
        }
        let object = Object {
            etag: etag_of(&content),
            content: Arc::new(content),
            modified: self.clock.now(),
            about: About { content_type: input.content_type, metadata: input.metadata },
        };
        let e_tag = strong(&object.etag);
        let (if_match, if_none_match) = (input.if_match.as_ref(), input.if_none_match.as_ref());
        let lies = self.lies();
        let gap = lies.if_match_gap.filter(|_| if_match.is_some());
        if let Some(time) = gap.or(lies.if_none_match_gap.filter(|_| if_none_match.is_some())) {
            self.may_write(&input.bucket, &input.key, if_match, if_none_match)?;
            lies::gap(time).await;
            self.write(&input.bucket, input.key, object, None, None)?;
        } else {
            self.write(&input.bucket, input.key, object, if_match, if_none_match)?;
        }
        Ok(PutObjectOutput { e_tag, checksum_crc32, ..Default::default() })
    }

    pub(super) async fn receive(&self, body: Option<StreamingBlob>, promised: Promised) -> S3Result<Content> {
        let promised = (!self.lies().checksum_not_verified).then_some(promised);
        Content::receive(&self.folder, body, promised).await
    }

    fn may_write(
        &self,
        bucket: &str,
        key: &str,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let mut state = self.state();
        let there = state.bucket(bucket)?.objects.get(key);
        may_write(there, self.if_match(if_match), self.if_none_match(if_none_match))
    }

    fn write(
        &self,
        bucket: &str,
        key: String,
        object: Object,
        if_match: Option<&ETagCondition>,
        if_none_match: Option<&ETagCondition>,
    ) -> S3Result<()> {
        let mut state = self.state();
        let objects = &mut state.bucket(bucket)?.objects;
        may_write(objects.get(&key), self.if_match(if_match), self.if_none_match(if_none_match))?;
        objects.insert(key, object);
        Ok(())
    }

    pub(super) fn if_match<'a>(&self, condition: Option<&'a ETagCondition>) -> Option<&'a ETagCondition> {
        condition.filter(|_| !self.lies().ignores_if_match)
    }

    pub(super) fn if_none_match<'a>(&self, condition: Option<&'a ETagCondition>) -> Option<&'a ETagCondition> {
        condition.filter(|_| !self.lies().ignores_if_none_match)
    }

    pub(super) fn get(&self, input: GetObjectInput) -> S3Result<GetObjectOutput> {
        let object = self.state().object(&input.bucket, &input.key)?.clone();
        matches(&object, self.if_match(input.if_match.as_ref()))?;
        let size = object.content.size;
        let asked = input.range.filter(|_| !self.lies().range_ignored);
        let range = asked.map_or(Ok(0..size), |range| range.check(size))?;
        Ok(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(object.content.body(range.clone())),
            content_length: Some((range.end - range.start) as i64),
            content_range: asked.map(|_| format!("bytes {}-{}/{size}", range.start, range.end - 1)),
            content_type: object.about.content_type,
            e_tag: strong(&object.etag),
            last_modified: Some(object.modified.into()),
            metadata: object.about.metadata,
            ..Default::default()
        })
    }

    pub(super) fn head(&self, input: HeadObjectInput) -> S3Result<HeadObjectOutput> {
        let object = self.state().object(&input.bucket, &input.key)?.clone();
        matches(&object, self.if_match(input.if_match.as_ref()))?;
        Ok(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(object.content.size as i64),
            content_type: object.about.content_type,
            e_tag: strong(&object.etag),
            last_modified: Some(object.modified.into()),
            metadata: object.about.metadata,
            ..Default::default()
        })
    }

    pub(super) fn delete(&self, input: DeleteObjectInput) -> S3Result<DeleteObjectOutput> {
        let mut state = self.state();
        let objects = &mut state.bucket(&input.bucket)?.objects;
        if input.if_match.is_some() {
            may_write(objects.get(&input.key), self.if_match(input.if_match.as_ref()), None)?;
        }
        objects.remove(&input.key);
        Ok(DeleteObjectOutput::default())
    }

    pub(super) fn delete_many(&self, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        let wanted = input.delete.objects;
        if wanted.is_empty() || wanted.len() > 1000 {
            return Err(s3_error!(MalformedXML));
        }
        let mut state = self.state();
        let objects = &mut state.bucket(&input.bucket)?.objects;
        for object in &wanted {
            objects.remove(&object.key);
        }
        let quiet = input.delete.quiet == Some(true);
        let deleted = wanted.into_iter().map(|object| DeletedObject { key: Some(object.key), ..Default::default() });
        Ok(DeleteObjectsOutput { deleted: (!quiet).then(|| deleted.collect()), ..Default::default() })
    }
}

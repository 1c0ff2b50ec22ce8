//! Pages of objects, of unfinished uploads and of parts.

use super::Double;
use super::state::{etag_of, hex, strong};
use s3s::dto::*;
use s3s::{S3Result, s3_error};
use std::ops::Bound;

/// Most entries of a page.
const PAGE: i32 = 1000;

/// Most entries of a page of a server that lies about it.
const SMALL_PAGE: i32 = 7;

impl Double {
    fn page(&self, asked: Option<i32>) -> usize {
        let most = if self.lies().small_pages { SMALL_PAGE } else { PAGE };
        asked.unwrap_or(PAGE).clamp(0, most) as usize
    }

    pub(super) fn list(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let page = self.page(input.max_keys);
        let prefix = input.prefix.clone().unwrap_or_default();
        let token = input.continuation_token.as_deref().map(from_token).transpose()?;
        let after = token.or_else(|| input.start_after.clone()).unwrap_or_default();
        let from = if after < prefix { Bound::Included(prefix.as_str()) } else { Bound::Excluded(after.as_str()) };
        let mut state = self.state();
        let objects = state.bucket(&input.bucket)?.objects.range::<str, _>((from, Bound::Unbounded));
        let (mut contents, mut folders, mut last, mut more) =
            (Vec::new(), Vec::<CommonPrefix>::new(), after.clone(), false);
        for (key, object) in objects.take_while(|(key, _)| key.starts_with(&prefix)) {
            let folder = input.delimiter.as_deref().and_then(|delimiter| {
                key[prefix.len()..].find(delimiter).map(|at| &key[..prefix.len() + at + delimiter.len()])
            });
            if folder.is_some_and(|folder| folder == last) {
                continue;
            }
            if contents.len() + folders.len() == page {
                more = page > 0;
                break;
            }
            last = folder.unwrap_or(key).to_owned();
            match folder {
                Some(folder) => folders.push(CommonPrefix { prefix: Some(folder.to_owned()) }),
                None => contents.push(Object {
                    key: Some(key.clone()),
                    e_tag: strong(&object.etag),
                    last_modified: Some(object.modified.into()),
                    size: Some(object.content.size as i64),
                    ..Default::default()
                }),
            }
        }
        Ok(ListObjectsV2Output {
            name: Some(input.bucket),
            key_count: Some((contents.len() + folders.len()) as i32),
            max_keys: Some(input.max_keys.unwrap_or(PAGE)),
            is_truncated: Some(more),
            next_continuation_token: more.then(|| hex(last.as_bytes())),
            contents: Some(contents),
            common_prefixes: (!folders.is_empty()).then_some(folders),
            continuation_token: input.continuation_token,
            delimiter: input.delimiter,
            prefix: input.prefix,
            start_after: input.start_after,
            ..Default::default()
        })
    }

    pub(super) fn list_uploads(&self, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
        if self.lies().no_list_uploads {
            return Err(s3_error!(NotImplemented));
        }
        let page = self.page(input.max_uploads);
        let prefix = input.prefix.clone().unwrap_or_default();
        let mut state = self.state();
        let mut uploads = state.bucket(&input.bucket)?.uploads.iter().filter(|((key, id), _)| {
            let beyond = match (&input.key_marker, &input.upload_id_marker) {
                (Some(marker), Some(id_marker)) => (key, id) > (marker, id_marker),
                (Some(marker), None) => key > marker,
                (None, _) => true,
            };
            key.starts_with(&prefix) && beyond
        });
        let listed: Vec<_> = uploads
            .by_ref()
            .take(page)
            .map(|((key, id), upload)| MultipartUpload {
                key: Some(key.clone()),
                upload_id: Some(id.clone()),
                initiated: Some(upload.initiated.into()),
                ..Default::default()
            })
            .collect();
        let more = uploads.next().is_some() && page > 0;
        let last = listed.last().filter(|_| more);
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            is_truncated: Some(more),
            next_key_marker: last.and_then(|upload| upload.key.clone()),
            next_upload_id_marker: last.and_then(|upload| upload.upload_id.clone()),
            uploads: Some(listed),
            key_marker: input.key_marker,
            max_uploads: Some(input.max_uploads.unwrap_or(PAGE)),
            prefix: input.prefix,
            upload_id_marker: input.upload_id_marker,
            ..Default::default()
        })
    }

    pub(super) fn list_parts_of(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let page = self.page(input.max_parts);
        let mut state = self.state();
        let upload = state.upload(&input.bucket, &input.key, &input.upload_id)?;
        let mut parts = upload.parts.range(input.part_number_marker.unwrap_or(0) + 1..);
        let listed: Vec<_> = parts
            .by_ref()
            .take(page)
            .map(|(number, part)| Part {
                part_number: Some(*number),
                e_tag: strong(&etag_of(&part.content)),
                last_modified: Some(part.modified.into()),
                size: Some(part.content.size as i64),
                ..Default::default()
            })
            .collect();
        let more = parts.next().is_some() && page > 0;
        Ok(ListPartsOutput {
            is_truncated: Some(more),
            next_part_number_marker: listed.last().filter(|_| more).and_then(|part| part.part_number),
            parts: Some(listed),
            bucket: Some(input.bucket),
            key: Some(input.key),
            max_parts: Some(input.max_parts.unwrap_or(PAGE)),
            part_number_marker: input.part_number_marker,
            upload_id: Some(input.upload_id),
            ..Default::default()
        })
    }
}

/// The key that a token continues after.
fn from_token(token: &str) -> S3Result<String> {
    let bytes = (0..token.len()).step_by(2).map(|at| u8::from_str_radix(token.get(at..at + 2)?, 16).ok());
    let bytes = bytes.collect::<Option<Vec<_>>>().and_then(|bytes| String::from_utf8(bytes).ok());
    bytes.ok_or_else(|| s3_error!(InvalidArgument, "not a continuation token"))
}

//! What any program can do with a bucket: list it, read it, empty a prefix of it.

use crate::stores::BoxError;
use aws_sdk_s3::Client;
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use portico_s3::Location;
use portico_store::{Digest, Sha256};
use tokio::task::JoinSet;

/// Requests at once.
const AT_ONCE: usize = 16;

/// The keys below a location, each without the prefix and with the size that the listing tells, in order.
pub(super) async fn list(client: &Client, location: &Location) -> Result<Vec<(String, u64)>, BoxError> {
    let mut keys = Vec::new();
    let listing = client.list_objects_v2().bucket(&location.bucket).prefix(&location.prefix);
    let mut pages = listing.into_paginator().send();
    while let Some(page) = pages.next().await {
        for object in page?.contents() {
            let (key, size) = (object.key().unwrap_or_default(), object.size().unwrap_or_default());
            let key = key.strip_prefix(&location.prefix).ok_or("a key that was not asked for is listed")?;
            keys.push((key.to_owned(), size.try_into()?));
        }
    }
    Ok(keys)
}

/// Unfinished multipart uploads below a location: keys without the prefix, and ids. All of the bucket are listed, because
/// MinIO takes the prefix of this listing for a whole key.
pub(super) async fn uploads(client: &Client, location: &Location) -> Result<Vec<(String, String)>, BoxError> {
    let mut uploads = Vec::new();
    let (mut key_marker, mut id_marker) = (None, None);
    loop {
        let listing = client.list_multipart_uploads().bucket(&location.bucket);
        let page = listing.set_key_marker(key_marker).set_upload_id_marker(id_marker).send().await?;
        for upload in page.uploads() {
            let (key, id) = (upload.key().unwrap_or_default(), upload.upload_id().unwrap_or_default());
            if let Some(key) = key.strip_prefix(&location.prefix) {
                uploads.push((key.to_owned(), id.to_owned()));
            }
        }
        if page.is_truncated() != Some(true) {
            return Ok(uploads);
        }
        (key_marker, id_marker) = (page.next_key_marker, page.next_upload_id_marker);
    }
}

/// The bytes of an object.
pub(super) async fn read(client: &Client, location: &Location, key: &str) -> Result<Vec<u8>, BoxError> {
    let object = client.get_object().bucket(&location.bucket).key(format!("{}{key}", location.prefix)).send().await?;
    Ok(object.body.collect().await?.to_vec())
}

/// The size and digest of the bytes of an object.
pub(super) async fn digest(client: &Client, location: &Location, key: &str) -> Result<(u64, Digest), BoxError> {
    let object = client.get_object().bucket(&location.bucket).key(format!("{}{key}", location.prefix)).send().await?;
    let (mut body, mut size, mut sha256) = (object.body, 0, Sha256::new());
    while let Some(bytes) = body.try_next().await? {
        sha256.update(&bytes);
        size += bytes.len() as u64;
    }
    Ok((size, sha256.finish()))
}

/// Does something with each key, several at once. The answers are in the order of the keys.
pub(super) async fn each<T, F>(keys: Vec<String>, one: impl Fn(String) -> F) -> Result<Vec<(String, T)>, BoxError>
where
    T: Send + 'static,
    F: Future<Output = Result<T, BoxError>> + Send + 'static,
{
    let mut running = JoinSet::new();
    let mut answers = Vec::new();
    for key in keys {
        if running.len() == AT_ONCE
            && let Some(ended) = running.join_next().await
        {
            answers.push(ended??);
        }
        let answer = one(key.clone());
        running.spawn(async move { Ok::<_, BoxError>((key, answer.await?)) });
    }
    while let Some(ended) = running.join_next().await {
        answers.push(ended??);
    }
    answers.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(answers)
}

/// Removes all that is below a location.
pub(super) async fn remove(client: &Client, location: &Location) -> Result<(), BoxError> {
    for (key, upload) in uploads(client, location).await? {
        let key = format!("{}{key}", location.prefix);
        client.abort_multipart_upload().bucket(&location.bucket).key(key).upload_id(upload).send().await?;
    }
    for keys in list(client, location).await?.chunks(1_000) {
        let mut delete = Delete::builder().quiet(true);
        for (key, _) in keys {
            delete = delete.objects(ObjectIdentifier::builder().key(format!("{}{key}", location.prefix)).build()?);
        }
        let deleted = client.delete_objects().bucket(&location.bucket).delete(delete.build()?).send().await?;
        if let Some(error) = deleted.errors().first() {
            return Err(format!("{} stays: {error:?}", error.key().unwrap_or_default()).into());
        }
    }
    Ok(())
}

//! Listings of objects and of unfinished uploads.

use crate::support::{Place, bytes, is, refusal};
use std::sync::Arc;

pub(crate) async fn pages_of_a_thousand(place: Place) {
    let place = Arc::new(place);
    let keys: Vec<_> = (0..1003).map(|number| format!("p/{number:04}")).collect();
    let puts = keys.chunks(68).map(|keys| {
        let (place, keys) = (place.clone(), keys.to_vec());
        tokio::spawn(async move {
            for key in keys {
                place.put(&key, b"1").await;
            }
        })
    });
    for put in puts.collect::<Vec<_>>() {
        put.await.unwrap();
    }
    place.put("q", b"1").await;
    let list = || place.client.list_objects_v2().bucket(&place.bucket).prefix("p/");
    let names = |page: &aws_sdk_s3::operation::list_objects_v2::ListObjectsV2Output| -> Vec<String> {
        page.contents().iter().map(|object| object.key().unwrap().to_owned()).collect()
    };
    let first = list().send().await.unwrap();
    assert_eq!(first.is_truncated(), Some(true));
    assert_eq!(names(&first), keys[..1000]);
    let second = list().continuation_token(first.next_continuation_token().unwrap()).send().await.unwrap();
    assert_eq!(second.is_truncated(), Some(false));
    assert_eq!(second.next_continuation_token(), None);
    assert_eq!(names(&second), keys[1000..]);
    let after = list().start_after("p/0997").max_keys(3).send().await.unwrap();
    assert_eq!(names(&after), keys[998..1001]);
    assert_eq!(after.is_truncated(), Some(true));
    let last = list().start_after("p/0999").max_keys(3).send().await.unwrap();
    assert_eq!((names(&last), last.is_truncated()), (keys[1000..].to_vec(), Some(false)));
}

pub(crate) async fn order_and_odd_keys(place: Place) {
    let mut keys =
        ["o/b/c", "o/b!", "o/b(1)", "o/b*", "o/b-", "o/b.x", "o/b0", "o/bc", "o/B", "o/_", "o/~ +%&=", "p/x"];
    for key in keys {
        place.put(key, key.as_bytes()).await;
    }
    for key in keys {
        assert_eq!(place.get(key).await, key);
    }
    keys.sort_unstable();
    assert_eq!(place.keys("").await, keys);
    assert_eq!(place.keys("o/b").await.len(), 8);
    assert_eq!(place.keys("o/b/").await, ["o/b/c"]);
    assert!(place.keys("x").await.is_empty());
}

/// A listing that begins after a write was answered tells of that write: the size, and whether there is anything.
pub(crate) async fn writes_are_listed_at_once(place: Place) {
    let place = Arc::new(place);
    let writers = (0..8).map(|writer| {
        let place = place.clone();
        tokio::spawn(async move {
            let prefix = format!("w/{writer}/");
            let listed = async || {
                let list = place.client.list_objects_v2().bucket(&place.bucket).prefix(&prefix).send().await.unwrap();
                list.contents().iter().map(|object| (object.size, object.e_tag.clone())).collect::<Vec<_>>()
            };
            for round in 0..10_u8 {
                for size in [300, 100, 900] {
                    let etag = place.put_bytes(&format!("{prefix}key"), bytes(round, size)).await;
                    assert_eq!(listed().await, [(Some(size as i64), Some(etag))], "round {round}");
                }
                let delete = place.client.delete_object().bucket(&place.bucket).key(format!("{prefix}key"));
                delete.send().await.unwrap();
                assert_eq!(listed().await, [], "round {round}");
            }
        })
    });
    for writer in writers.collect::<Vec<_>>() {
        writer.await.unwrap();
    }
}

pub(crate) async fn delimiter(place: Place) {
    for key in ["a/1", "a/2", "b", "c/d/e"] {
        place.put(key, b"1").await;
    }
    let list = || place.client.list_objects_v2().bucket(&place.bucket).delimiter("/");
    let listed = list().send().await.unwrap();
    let folders: Vec<_> = listed.common_prefixes().iter().map(|folder| folder.prefix().unwrap()).collect();
    assert_eq!(folders, ["a/", "c/"]);
    assert_eq!(listed.contents().iter().map(|object| object.key().unwrap()).collect::<Vec<_>>(), ["b"]);
    let mut pages = Vec::new();
    let mut token = None;
    loop {
        let page = list().max_keys(1).set_continuation_token(token).send().await.unwrap();
        pages.extend(page.contents().iter().map(|object| object.key().unwrap().to_owned()));
        pages.extend(page.common_prefixes().iter().map(|folder| folder.prefix().unwrap().to_owned()));
        token = page.next_continuation_token;
        if token.is_none() {
            break;
        }
    }
    assert_eq!(pages, ["a/", "b", "c/"]);
}

/// MinIO lists uploads by a key in full or by no prefix, and answers an abort of what is not there with success.
pub(crate) async fn uploads_and_aborts(place: Place) {
    let Place { client, bucket, .. } = &place;
    let mut ids = Vec::new();
    for key in ["u/a", "u/a", "u/b", "v"] {
        ids.push((key.to_owned(), place.create(key).await));
    }
    let list = async |prefix: &str| -> Vec<(String, String)> {
        let listed = client.list_multipart_uploads().bucket(bucket).prefix(prefix).send().await.unwrap();
        assert!(listed.uploads().iter().all(|upload| upload.initiated().is_some()));
        let uploads = listed.uploads.unwrap_or_default().into_iter();
        uploads.map(|upload| (upload.key.unwrap(), upload.upload_id.unwrap())).collect()
    };
    assert_eq!(list("").await, ids);
    assert_eq!(list("u/b").await, ids[2..3]);
    assert_eq!(list("u/a").await, ids[..2]);
    if place.server.name() != "minio" {
        assert_eq!(list("u/").await, ids[..3]);
    }
    let abort = |key: &str, id: &str| client.abort_multipart_upload().bucket(bucket).key(key).upload_id(id).send();
    abort(&ids[0].0, &ids[0].1).await.unwrap();
    assert_eq!(list("").await, ids[1..]);
    let again = abort(&ids[0].0, &ids[0].1).await;
    if place.server.name() != "minio" {
        assert_eq!(refusal(again), is(404, "NoSuchUpload"));
    }
}

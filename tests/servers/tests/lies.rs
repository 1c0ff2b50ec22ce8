//! Each lie is told, and the clock of the double can be put forward.

mod support;

use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;
use portico_test_servers::{Lies, Server};
use std::time::{Duration, SystemTime};
use support::{PART_MIN, Place, bytes, is, listed, refusal};

async fn lying(tell: impl FnOnce(&mut Lies)) -> Place {
    let mut lies = Lies::default();
    tell(&mut lies);
    Place::new(Server::lying(lies).await).await
}

/// Copies a source into an upload of `k`, and gives the part.
async fn copy(place: &Place, id: &str, number: i32, range: Option<&str>) -> CompletedPart {
    let copy = place.client.upload_part_copy().bucket(&place.bucket).key("k").upload_id(id).part_number(number);
    let copy = copy.copy_source(format!("{}/source", place.bucket)).set_copy_source_range(range.map(str::to_owned));
    let etag = copy.send().await.unwrap().copy_part_result.unwrap().e_tag.unwrap();
    CompletedPart::builder().part_number(number).e_tag(etag).build()
}

#[tokio::test]
async fn ignores_if_none_match() {
    let place = lying(|lies| lies.ignores_if_none_match = true).await;
    place.put("k", b"old").await;
    let put = place.client.put_object().bucket(&place.bucket).key("k").if_none_match("*");
    put.body(b"new".to_vec().into()).send().await.unwrap();
    assert_eq!(place.get("k").await, "new");
    let id = place.create("k").await;
    let parts = [place.part("k", &id, 1, Bytes::from_static(b"newer")).await];
    let complete = place.client.complete_multipart_upload().bucket(&place.bucket).key("k").upload_id(&id);
    complete.if_none_match("*").multipart_upload(listed(&parts)).send().await.unwrap();
    assert_eq!(place.get("k").await, "newer");
}

#[tokio::test]
async fn ignores_if_match() {
    let place = lying(|lies| lies.ignores_if_match = true).await;
    place.put("k", b"old").await;
    for key in ["k", "absent"] {
        let put = place.client.put_object().bucket(&place.bucket).key(key).if_match("\"0\"");
        put.body(b"new".to_vec().into()).send().await.unwrap();
        assert_eq!(place.get(key).await, "new");
    }
    place.client.get_object().bucket(&place.bucket).key("k").if_match("\"0\"").send().await.unwrap();
    let id = place.create("k").await;
    let copy = place.client.upload_part_copy().bucket(&place.bucket).key("k").upload_id(&id).part_number(1);
    copy.copy_source(format!("{}/k", place.bucket)).copy_source_if_match("\"0\"").send().await.unwrap();
}

#[tokio::test]
async fn copy_stores_nothing() {
    let place = lying(|lies| lies.copy_stores_nothing = true).await;
    place.put_bytes("source", bytes(1, PART_MIN)).await;
    let id = place.create("k").await;
    let parts = [copy(&place, &id, 1, None).await, place.part("k", &id, 2, Bytes::from_static(b"end")).await];
    let complete = place.client.complete_multipart_upload().bucket(&place.bucket).key("k").upload_id(&id);
    complete.multipart_upload(listed(&parts)).send().await.unwrap();
    assert_eq!(place.get("k").await, "end");
}

#[tokio::test]
async fn copy_not_implemented() {
    let place = lying(|lies| lies.copy_not_implemented = true).await;
    place.put("source", b"1").await;
    let id = place.create("k").await;
    let copy = place.client.upload_part_copy().bucket(&place.bucket).key("k").upload_id(&id).part_number(1);
    let copy = copy.copy_source(format!("{}/source", place.bucket));
    assert_eq!(refusal(copy.send().await), is(501, "NotImplemented"));
}

#[tokio::test]
async fn copy_ignores_range() {
    let place = lying(|lies| lies.copy_ignores_range = true).await;
    place.put("source", b"12345").await;
    let id = place.create("k").await;
    let parts = [copy(&place, &id, 1, Some("bytes=1-2")).await];
    let complete = place.client.complete_multipart_upload().bucket(&place.bucket).key("k").upload_id(&id);
    complete.multipart_upload(listed(&parts)).send().await.unwrap();
    assert_eq!(place.get("k").await, "12345");
}

#[tokio::test]
async fn checksum_not_verified() {
    let place = lying(|lies| lies.checksum_not_verified = true).await;
    let put = place.client.put_object().bucket(&place.bucket).key("k").checksum_crc32("AAAAAA==");
    put.body(b"hello".to_vec().into()).send().await.unwrap();
    assert_eq!(place.get("k").await, "hello");
}

#[tokio::test]
async fn range_ignored() {
    let place = lying(|lies| lies.range_ignored = true).await;
    place.put("k", b"hello").await;
    let got = place.client.get_object().bucket(&place.bucket).key("k").range("bytes=1-2").send().await.unwrap();
    assert_eq!(got.content_range, None);
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), "hello");
}

#[tokio::test]
async fn truncates_objects() {
    let place = lying(|lies| lies.truncates_objects = true).await;
    place.put("k", b"hello").await;
    place.put("empty", b"").await;
    assert_eq!((place.get("k").await, place.get("empty").await), ("hell".into(), "".into()));
}

#[tokio::test]
async fn loses_uploads() {
    let place = lying(|lies| lies.loses_uploads = true).await;
    let id = place.create("k").await;
    let parts = [place.part("k", &id, 1, Bytes::from_static(b"there")).await];
    let complete = place.client.complete_multipart_upload().bucket(&place.bucket).key("k").upload_id(&id);
    assert_eq!(refusal(complete.multipart_upload(listed(&parts)).send().await), is(404, "NoSuchUpload"));
    assert_eq!(place.get("k").await, "there");
}

#[tokio::test]
async fn keeps_uploads() {
    let place = lying(|lies| lies.keeps_uploads = true).await;
    let id = place.create("k").await;
    let parts = [place.part("k", &id, 1, Bytes::from_static(b"there")).await];
    let complete = place.client.complete_multipart_upload().bucket(&place.bucket).key("k").upload_id(&id);
    assert_eq!(refusal(complete.multipart_upload(listed(&parts)).send().await), is(500, "InternalError"));
    assert_eq!(place.get("k").await, "there");
    let uploads = place.client.list_multipart_uploads().bucket(&place.bucket).send().await.unwrap();
    assert_eq!(uploads.uploads().len(), 1);
}

#[tokio::test]
async fn no_list_uploads() {
    let place = lying(|lies| lies.no_list_uploads = true).await;
    let list = place.client.list_multipart_uploads().bucket(&place.bucket);
    assert_eq!(refusal(list.send().await), is(501, "NotImplemented"));
}

#[tokio::test]
async fn small_pages() {
    let place = lying(|lies| lies.small_pages = true).await;
    for key in ["1", "2", "3", "4", "5", "6", "7", "8", "9"] {
        place.put(key, b"1").await;
        place.create(key).await;
    }
    let list = place.client.list_objects_v2().bucket(&place.bucket).max_keys(1000);
    let page = list.clone().send().await.unwrap();
    assert_eq!((page.contents().len(), page.is_truncated()), (7, Some(true)));
    let rest = list.continuation_token(page.next_continuation_token().unwrap()).send().await.unwrap();
    assert_eq!((rest.contents().len(), rest.is_truncated()), (2, Some(false)));
    let list = place.client.list_multipart_uploads().bucket(&place.bucket);
    let page = list.clone().send().await.unwrap();
    assert_eq!((page.uploads().len(), page.is_truncated()), (7, Some(true)));
    let list = list.key_marker(page.next_key_marker().unwrap()).upload_id_marker(page.next_upload_id_marker().unwrap());
    let rest = list.send().await.unwrap();
    assert_eq!((rest.uploads().len(), rest.is_truncated()), (2, Some(false)));
}

#[tokio::test]
async fn the_clock_can_be_put_forward() {
    let place = Place::new(Server::s3s().await).await;
    let head = async |key: &str| {
        let head = place.client.head_object().bucket(&place.bucket).key(key).send().await.unwrap();
        SystemTime::try_from(head.last_modified.unwrap()).unwrap()
    };
    place.put("before", b"1").await;
    let before = head("before").await;
    place.server.advance(Duration::from_secs(3600));
    place.put("after", b"1").await;
    place.create("upload").await;
    assert_eq!(head("before").await, before);
    let ahead = head("after").await.duration_since(before).unwrap().as_secs();
    assert!((3600..3660).contains(&ahead), "{ahead}");
    let uploads = place.client.list_multipart_uploads().bucket(&place.bucket).send().await.unwrap();
    let initiated = SystemTime::try_from(uploads.uploads()[0].initiated.unwrap()).unwrap();
    assert!(initiated >= head("after").await);
    let date = support::date(&place).await;
    assert!(date >= initiated && date.duration_since(initiated).unwrap().as_secs() < 60);
}

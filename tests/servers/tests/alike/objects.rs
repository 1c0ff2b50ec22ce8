//! Whole objects: what is answered, conditions, ranges, deletes.

use crate::support::{Place, bytes, is, refusal};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use std::sync::Arc;

pub(crate) async fn an_object_is_the_same_wherever_it_is_asked_for(place: Place) {
    let Place { client, bucket, .. } = &place;
    let put = client.put_object().bucket(bucket).key("a/b").content_type("text/x").metadata("kind", "one");
    let etag = put.body(b"hello".to_vec().into()).send().await.unwrap().e_tag.unwrap();
    let head = client.head_object().bucket(bucket).key("a/b").send().await.unwrap();
    let got = client.get_object().bucket(bucket).key("a/b").send().await.unwrap();
    let listed = client.list_objects_v2().bucket(bucket).send().await.unwrap().contents.unwrap();
    assert_eq!(head.e_tag.as_ref(), Some(&etag));
    assert_eq!(got.e_tag.as_ref(), Some(&etag));
    assert_eq!(listed[0].e_tag.as_ref(), Some(&etag));
    assert_eq!((listed.len(), listed[0].key.as_deref(), listed[0].size), (1, Some("a/b"), Some(5)));
    assert_eq!((head.content_length, got.content_length), (Some(5), Some(5)));
    assert_eq!((head.content_type.as_deref(), got.content_type.as_deref()), (Some("text/x"), Some("text/x")));
    assert_eq!(head.metadata.unwrap()["kind"], "one");
    assert_eq!(got.metadata.unwrap()["kind"], "one");
    assert_eq!(head.last_modified, got.last_modified);
    assert_eq!(head.last_modified.unwrap().secs(), listed[0].last_modified.unwrap().secs());
    assert_eq!(&got.body.collect().await.unwrap().into_bytes()[..], b"hello");
    assert_ne!(place.put("a/b", b"hellp").await, etag);
    place.put("empty", b"").await;
    assert!(place.get("empty").await.is_empty());
}

pub(crate) async fn put_if_none_match(place: Place) {
    let put = |body: &[u8]| {
        place.client.put_object().bucket(&place.bucket).key("k").if_none_match("*").body(body.to_vec().into()).send()
    };
    put(b"first").await.unwrap();
    assert_eq!(refusal(put(b"second").await), is(412, "PreconditionFailed"));
    assert_eq!(place.get("k").await, "first");
}

pub(crate) async fn put_if_match(place: Place) {
    let put = |key: &str, etag: &str| {
        place.client.put_object().bucket(&place.bucket).key(key).if_match(etag).body(b"new".to_vec().into()).send()
    };
    let etag = place.put("k", b"old").await;
    assert_eq!(refusal(put("absent", &etag).await), is(404, "NoSuchKey"));
    assert!(!place.exists("absent").await);
    let next = put("k", &etag).await.unwrap().e_tag.unwrap();
    assert_eq!(place.get("k").await, "new");
    place.put("k", b"third").await;
    for stale in [&etag, &next] {
        assert_eq!(refusal(put("k", stale).await), is(412, "PreconditionFailed"));
    }
    assert_eq!(place.get("k").await, "third");
}

/// Sends puts at once and gives the body of the one that succeeded.
async fn race(place: &Place, if_match: Option<String>) -> String {
    let puts = (0..16).map(|racer| {
        let put = place.client.put_object().bucket(&place.bucket).key("k").body(format!("{racer}").into_bytes().into());
        let put = if if_match.is_some() { put.set_if_match(if_match.clone()) } else { put.if_none_match("*") };
        tokio::spawn(async move { (racer, put.send().await) })
    });
    let mut winners = Vec::new();
    for put in puts.collect::<Vec<_>>() {
        match put.await.unwrap() {
            (racer, Ok(_)) => winners.push(racer.to_string()),
            (_, refused) => assert!(matches!(refusal(refused).0, 409 | 412)),
        }
    }
    assert_eq!(winners.len(), 1);
    winners.remove(0)
}

pub(crate) async fn one_of_many_creates_wins(place: Place) {
    let place = Arc::new(place);
    let winner = race(&place, None).await;
    assert_eq!(place.get("k").await, winner);
}

pub(crate) async fn one_of_many_replacements_wins(place: Place) {
    let etag = place.put("k", b"old").await;
    let winner = race(&place, Some(etag)).await;
    assert_eq!(place.get("k").await, winner);
}

pub(crate) async fn reads_if_match(place: Place) {
    let Place { client, bucket, .. } = &place;
    let old = place.put("k", b"old").await;
    let new = place.put("k", b"new").await;
    let get = |etag: &str| client.get_object().bucket(bucket).key("k").if_match(etag).send();
    let head = |etag: &str| client.head_object().bucket(bucket).key("k").if_match(etag).send();
    assert_eq!(refusal(get(&old).await), is(412, "PreconditionFailed"));
    assert_eq!(refusal(head(&old).await).0, 412);
    get(&new).await.unwrap();
    head(&new).await.unwrap();
}

pub(crate) async fn ranges(place: Place) {
    let content = bytes(1, 3 << 20);
    place.put_bytes("k", content.clone()).await;
    let get = |range: &str| place.client.get_object().bucket(&place.bucket).key("k").range(range).send();
    let size = content.len();
    for (range, first, end) in [
        ("bytes=0-0".to_owned(), 0, 1),
        ("bytes=6-600000".to_owned(), 6, 600_001),
        (format!("bytes={}-", size - 3), size - 3, size),
        ("bytes=-5".to_owned(), size - 5, size),
        ("bytes=1000000-99999999".to_owned(), 1_000_000, size),
    ] {
        let got = get(&range).await.unwrap();
        assert_eq!(got.content_range.unwrap(), format!("bytes {first}-{}/{size}", end - 1));
        assert_eq!(got.content_length, Some((end - first) as i64));
        assert!(got.body.collect().await.unwrap().into_bytes() == content[first..end], "{range}");
    }
    assert_eq!(refusal(get(&format!("bytes={size}-")).await), is(416, "InvalidRange"));
}

pub(crate) async fn deletes(place: Place) {
    let Place { client, bucket, .. } = &place;
    place.put("k", b"1").await;
    for _ in 0..2 {
        client.delete_object().bucket(bucket).key("k").send().await.unwrap();
        assert_eq!(refusal(client.get_object().bucket(bucket).key("k").send().await), is(404, "NoSuchKey"));
        assert!(!place.exists("k").await);
    }
}

pub(crate) async fn deletes_of_many(place: Place) {
    for key in ["a", "b!", "c/d"] {
        place.put(key, b"1").await;
    }
    let objects = ["a", "c/d", "absent"].map(|key| ObjectIdentifier::builder().key(key).build().unwrap());
    let delete = Delete::builder().set_objects(Some(objects.to_vec())).build().unwrap();
    let answer = place.client.delete_objects().bucket(&place.bucket).delete(delete).send().await.unwrap();
    assert_eq!(answer.deleted().len(), 3);
    assert!(answer.errors().is_empty());
    assert_eq!(place.keys("").await, ["b!"]);
}

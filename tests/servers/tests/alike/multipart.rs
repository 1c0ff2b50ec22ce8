//! Multipart uploads and copies into them.

use crate::support::{PART_MIN, Place, bytes, is, listed, refusal};
use aws_sdk_s3::types::CompletedPart;
use bytes::Bytes;

pub(crate) async fn parts_with_gaps_and_again(place: Place) {
    let Place { client, bucket, .. } = &place;
    let id = place.create("k").await;
    let (first, second, last) = (bytes(1, PART_MIN), bytes(2, PART_MIN + 3), bytes(3, 10));
    let mut parts = vec![place.part("k", &id, 1, first.clone()).await];
    place.part("k", &id, 7, bytes(9, 7)).await;
    parts.push(place.part("k", &id, 7, second.clone()).await);
    place.part("k", &id, 8, bytes(8, 8)).await;
    parts.push(place.part("k", &id, 9000, last.clone()).await);
    let list = || client.list_parts().bucket(bucket).key("k").upload_id(&id);
    let found = list().send().await.unwrap();
    let numbers: Vec<_> =
        found.parts().iter().map(|part| (part.part_number().unwrap(), part.size().unwrap())).collect();
    assert_eq!(numbers, [(1, PART_MIN as i64), (7, PART_MIN as i64 + 3), (8, 8), (9000, 10)]);
    assert!(found.parts().iter().all(|part| part.last_modified().is_some()));
    assert_eq!(found.parts()[1].e_tag(), parts[1].e_tag());
    let page = list().max_parts(2).part_number_marker("1").send().await.unwrap();
    assert_eq!((page.parts().len(), page.is_truncated()), (2, Some(true)));
    assert_eq!(page.next_part_number_marker(), Some("8"));
    assert!(!place.exists("k").await);

    let complete = client.complete_multipart_upload().bucket(bucket).key("k").upload_id(&id);
    let etag = complete.multipart_upload(listed(&parts)).send().await.unwrap().e_tag.unwrap();
    let head = client.head_object().bucket(bucket).key("k").send().await.unwrap();
    assert_eq!(head.e_tag.as_ref(), Some(&etag));
    assert!(etag.ends_with("-3\""), "{etag}");
    assert!(place.get("k").await == [first, second, last].concat());
    let range = format!("bytes={}-{}", PART_MIN - 2, PART_MIN + 1);
    let got = client.get_object().bucket(bucket).key("k").range(range).send().await.unwrap();
    let expected = [bytes(1, PART_MIN).slice(PART_MIN - 2..), bytes(2, 2)].concat();
    assert_eq!(got.body.collect().await.unwrap().into_bytes(), expected);
}

pub(crate) async fn unknown_uploads(place: Place) {
    let Place { client, bucket, .. } = &place;
    let id = place.create("k").await;
    let parts = [place.part("k", &id, 1, Bytes::from_static(b"x")).await];
    client.abort_multipart_upload().bucket(bucket).key("k").upload_id(&id).send().await.unwrap();
    let part = client.upload_part().bucket(bucket).key("k").upload_id(&id).part_number(1).body(b"x".to_vec().into());
    assert_eq!(refusal(part.send().await), is(404, "NoSuchUpload"));
    let complete = client.complete_multipart_upload().bucket(bucket).key("k").upload_id(&id);
    assert_eq!(refusal(complete.multipart_upload(listed(&parts)).send().await), is(404, "NoSuchUpload"));
    let list = client.list_parts().bucket(bucket).key("k").upload_id(&id);
    assert_eq!(refusal(list.send().await), is(404, "NoSuchUpload"));
    place.put("source", b"x").await;
    let copy = client.upload_part_copy().bucket(bucket).key("k").upload_id(&id).part_number(1);
    let copy = copy.copy_source(format!("{bucket}/source"));
    assert_eq!(refusal(copy.send().await), is(404, "NoSuchUpload"));
    assert!(!place.exists("k").await);
}

pub(crate) async fn completions_refused(place: Place) {
    let id = place.create("k").await;
    let small = place.part("k", &id, 1, Bytes::from_static(b"small")).await;
    let last = place.part("k", &id, 2, Bytes::from_static(b"last")).await;
    let complete = |parts: &[CompletedPart]| {
        let complete = place.client.complete_multipart_upload().bucket(&place.bucket).key("k").upload_id(&id);
        complete.multipart_upload(listed(parts)).send()
    };
    let other = CompletedPart::builder().part_number(1).e_tag(last.e_tag().unwrap()).build();
    let absent = CompletedPart::builder().part_number(3).e_tag(last.e_tag().unwrap()).build();
    assert_eq!(refusal(complete(&[small.clone(), last.clone()]).await), is(400, "EntityTooSmall"));
    assert_eq!(refusal(complete(&[other]).await), is(400, "InvalidPart"));
    assert_eq!(refusal(complete(&[absent]).await), is(400, "InvalidPart"));
    assert_eq!(refusal(complete(&[last, small.clone()]).await), is(400, "InvalidPartOrder"));
    assert!(!place.exists("k").await);
    complete(&[small]).await.unwrap();
    assert_eq!(place.get("k").await, "small");
}

pub(crate) async fn completions_on_conditions(place: Place) {
    let Place { client, bucket, .. } = &place;
    let id = place.create("k").await;
    let parts = [place.part("k", &id, 1, Bytes::from_static(b"multipart")).await];
    let complete = || {
        let complete = client.complete_multipart_upload().bucket(bucket).key("k").upload_id(&id);
        complete.multipart_upload(listed(&parts))
    };
    assert_eq!(refusal(complete().if_match("\"0123\"").send().await), is(404, "NoSuchKey"));
    let stale = place.put("k", b"stale").await;
    let there = place.put("k", b"there").await;
    assert_eq!(refusal(complete().if_none_match("*").send().await), is(412, "PreconditionFailed"));
    assert_eq!(refusal(complete().if_match(&stale).send().await), is(412, "PreconditionFailed"));
    assert_eq!(place.get("k").await, "there");
    complete().if_match(&there).send().await.unwrap();
    assert_eq!(place.get("k").await, "multipart");
    client.delete_object().bucket(bucket).key("k").send().await.unwrap();
    let id = place.create("k").await;
    let parts = [place.part("k", &id, 1, Bytes::from_static(b"again")).await];
    let complete = client.complete_multipart_upload().bucket(bucket).key("k").upload_id(&id);
    complete.multipart_upload(listed(&parts)).if_none_match("*").send().await.unwrap();
    assert_eq!(place.get("k").await, "again");
}

pub(crate) async fn copies(place: Place) {
    let Place { client, bucket, .. } = &place;
    let source = bytes(4, PART_MIN + 100);
    let etag = place.put_bytes("s/(1)!", source.clone()).await;
    let id = place.create("k").await;
    let copy = |number, range: Option<&str>| {
        let copy = client.upload_part_copy().bucket(bucket).key("k").upload_id(&id).part_number(number);
        let copy = copy.copy_source(format!("{bucket}/s/%281%29%21")).copy_source_if_match(&etag);
        copy.set_copy_source_range(range.map(str::to_owned)).send()
    };
    let range = format!("bytes=50-{}", PART_MIN + 49);
    let mut parts = Vec::new();
    for (number, range) in [(1, None), (2, Some(&*range)), (3, Some("bytes=7-7"))] {
        let copied = copy(number, range).await.unwrap().copy_part_result.unwrap();
        parts.push(CompletedPart::builder().part_number(number).e_tag(copied.e_tag.unwrap()).build());
    }
    let complete = client.complete_multipart_upload().bucket(bucket).key("k").upload_id(&id);
    complete.multipart_upload(listed(&parts)).send().await.unwrap();
    assert!(place.get("k").await == [&source[..], &source[50..PART_MIN + 50], &source[7..8]].concat());
}

pub(crate) async fn copies_refused(place: Place) {
    let Place { client, bucket, .. } = &place;
    let stale = place.put("source", b"stale").await;
    let etag = place.put("source", b"there").await;
    let id = place.create("k").await;
    let copy = |key: &str, etag: &str, range: &str| {
        let copy = client.upload_part_copy().bucket(bucket).key("k").upload_id(&id).part_number(1);
        let copy = copy.copy_source(format!("{bucket}/{key}")).copy_source_if_match(etag);
        copy.copy_source_range(range).send()
    };
    assert_eq!(refusal(copy("source", &stale, "bytes=0-1").await), is(412, "PreconditionFailed"));
    assert_eq!(refusal(copy("absent", &etag, "bytes=0-1").await), is(404, "NoSuchKey"));
    assert!((400..500).contains(&refusal(copy("source", &etag, "bytes=0-5").await).0));
    let parts = client.list_parts().bucket(bucket).key("k").upload_id(&id).send().await.unwrap();
    assert!(parts.parts().is_empty());
}

//! What a request brings with it: checksums, a body that comes to its end, a signature.

use crate::support::{Place, date, is, refusal};
use aws_sdk_s3::config::{Credentials, RequestChecksumCalculation};
use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::Bytes;
use http_body::Frame;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

/// CRC-32 of `hello`, and of something else.
const HELLO: &str = "NhCmhg==";
const OTHER: &str = "AAAAAA==";

/// The code of a wrong checksum; MinIO has one of its own.
fn bad_digest(place: &Place) -> (u16, String) {
    is(400, if place.server.name() == "minio" { "XAmzContentChecksumMismatch" } else { "BadDigest" })
}

pub(crate) async fn wrong_checksums(place: Place) {
    let Place { client, bucket, .. } = &place;
    let put = client.put_object().bucket(bucket).key("k").checksum_crc32(OTHER).body(b"hello".to_vec().into());
    assert_eq!(refusal(put.send().await), bad_digest(&place));
    assert!(!place.exists("k").await);
    let id = place.create("k").await;
    let part = client.upload_part().bucket(bucket).key("k").upload_id(&id).part_number(1).checksum_crc32(OTHER);
    assert_eq!(refusal(part.body(b"hello".to_vec().into()).send().await), bad_digest(&place));
    let parts = client.list_parts().bucket(bucket).key("k").upload_id(&id).send().await.unwrap();
    assert!(parts.parts().is_empty());
    let put = client.put_object().bucket(bucket).key("k").content_md5("AAAAAAAAAAAAAAAAAAAAAA==");
    assert_eq!(refusal(put.body(b"hello".to_vec().into()).send().await), is(400, "BadDigest"));
    assert!(!place.exists("k").await);
}

pub(crate) async fn right_checksums(place: Place) {
    let Place { client, bucket, .. } = &place;
    let put = client.put_object().bucket(bucket).key("k").checksum_crc32(HELLO).body(b"hello".to_vec().into());
    assert_eq!(put.send().await.unwrap().checksum_crc32.as_deref(), Some(HELLO));
    assert_eq!(place.get("k").await, "hello");
    let id = place.create("m").await;
    let part = client.upload_part().bucket(bucket).key("m").upload_id(&id).part_number(1).checksum_crc32(HELLO);
    let part = part.body(b"hello".to_vec().into()).send().await.unwrap();
    assert_eq!(part.checksum_crc32.as_deref(), Some(HELLO));
}

/// As the SDK sends streams where nothing else is said: in signed chunks, with a checksum after them.
pub(crate) async fn checksums_in_trailers(place: Place) {
    let calculation = RequestChecksumCalculation::WhenSupported;
    let config = place.client.config().to_builder().request_checksum_calculation(calculation).build();
    let client = aws_sdk_s3::Client::from_conf(config);
    let body = Pieces(vec![Ok(Bytes::from_static(b"lo")), Ok(Bytes::from_static(b"hel"))]);
    let put = client.put_object().bucket(&place.bucket).key("k").content_length(5).body(body.into());
    put.send().await.unwrap();
    assert_eq!(place.get("k").await, "hello");
}

pub(crate) async fn bodies_that_break_off(place: Place) {
    let body = Pieces(vec![Err(io::Error::other("gone")), Ok(Bytes::from_static(b"hel"))]);
    let put = place.client.put_object().bucket(&place.bucket).key("k").content_length(5).body(body.into());
    assert!(put.send().await.is_err());
    assert!(!place.exists("k").await);
}

/// A body in pieces, the last of the list first.
struct Pieces(Vec<io::Result<Bytes>>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        Poll::Ready(self.0.pop().map(|piece| piece.map(Frame::data)))
    }
}

impl From<Pieces> for ByteStream {
    fn from(pieces: Pieces) -> Self {
        ByteStream::new(SdkBody::from_body_1_x(pieces))
    }
}

pub(crate) async fn dates(place: Place) {
    place.put("k", b"1").await;
    let head = place.client.head_object().bucket(&place.bucket).key("k").send().await.unwrap();
    let modified = SystemTime::try_from(head.last_modified.unwrap()).unwrap();
    let age = date(&place).await.duration_since(modified).expect("nothing is newer than now");
    assert!(age.as_secs() < 60);
}

pub(crate) async fn strangers(place: Place) {
    let access_key = place.server.access_key();
    for (access_key, code) in [(access_key, "SignatureDoesNotMatch"), ("nobody", "InvalidAccessKeyId")] {
        let credentials = Credentials::new(access_key, "wrong-secret-key", None, None, "test");
        let config = place.client.config().to_builder().credentials_provider(credentials).build();
        let list = aws_sdk_s3::Client::from_conf(config).list_objects_v2().bucket(&place.bucket);
        assert_eq!(refusal(list.send().await), is(403, code));
    }
}

pub(crate) async fn missing_buckets(place: Place) {
    let Place { client, .. } = &place;
    let bucket = format!("{}-x", place.bucket);
    assert_eq!(refusal(client.head_bucket().bucket(&bucket).send().await).0, 404);
    assert_eq!(refusal(client.get_object().bucket(&bucket).key("k").send().await), is(404, "NoSuchBucket"));
    let put = client.put_object().bucket(&bucket).key("k").body(b"1".to_vec().into());
    assert_eq!(refusal(put.send().await), is(404, "NoSuchBucket"));
    assert_eq!(refusal(client.list_objects_v2().bucket(&bucket).send().await), is(404, "NoSuchBucket"));
    client.head_bucket().bucket(&place.bucket).send().await.unwrap();
}

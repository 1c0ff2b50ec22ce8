//! What the tests of servers share: short requests, and what was answered in place of success.
#![allow(dead_code, reason = "each test program uses some of it")]

use aws_sdk_s3::Client;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use bytes::Bytes;
use portico_test_servers::Server;
use std::time::SystemTime;

/// Smallest part but the last.
pub(crate) const PART_MIN: usize = 5 << 20;

/// A server, a bucket of it, and a client.
pub(crate) struct Place {
    pub(crate) server: Server,
    pub(crate) bucket: String,
    pub(crate) client: Client,
}

impl Place {
    pub(crate) async fn new(server: Server) -> Self {
        let bucket = server.bucket().await;
        let client = server.client();
        Place { server, bucket, client }
    }

    /// Puts, and gives the ETag.
    pub(crate) async fn put(&self, key: &str, body: &'static [u8]) -> String {
        self.put_bytes(key, Bytes::from_static(body)).await
    }

    pub(crate) async fn put_bytes(&self, key: &str, body: Bytes) -> String {
        let put = self.client.put_object().bucket(&self.bucket).key(key).body(body.into());
        put.send().await.expect("a put").e_tag.expect("an ETag")
    }

    pub(crate) async fn get(&self, key: &str) -> Bytes {
        let got = self.client.get_object().bucket(&self.bucket).key(key).send().await.expect("an object");
        got.body.collect().await.expect("its content").into_bytes()
    }

    pub(crate) async fn exists(&self, key: &str) -> bool {
        match self.client.head_object().bucket(&self.bucket).key(key).send().await {
            Ok(_) => true,
            error => {
                assert_eq!(refusal(error).0, 404);
                false
            }
        }
    }

    pub(crate) async fn keys(&self, prefix: &str) -> Vec<String> {
        let list = self.client.list_objects_v2().bucket(&self.bucket).prefix(prefix);
        let listed = list.send().await.expect("a listing").contents.unwrap_or_default();
        listed.into_iter().map(|object| object.key.expect("a key")).collect()
    }

    pub(crate) async fn create(&self, key: &str) -> String {
        let create = self.client.create_multipart_upload().bucket(&self.bucket).key(key);
        create.send().await.expect("an upload").upload_id.expect("an id")
    }

    pub(crate) async fn part(&self, key: &str, id: &str, number: i32, body: Bytes) -> CompletedPart {
        let part = self.client.upload_part().bucket(&self.bucket).key(key).upload_id(id).part_number(number);
        let etag = part.body(body.into()).send().await.expect("a part").e_tag.expect("an ETag");
        CompletedPart::builder().part_number(number).e_tag(etag).build()
    }
}

/// The list that a completion sends.
pub(crate) fn listed(parts: &[CompletedPart]) -> CompletedMultipartUpload {
    CompletedMultipartUpload::builder().set_parts(Some(parts.to_vec())).build()
}

/// A body of a size whose bytes depend on a seed and on their place.
pub(crate) fn bytes(seed: u8, size: usize) -> Bytes {
    (0..size).map(|at| (at as u32).wrapping_mul(2_654_435_761).to_be_bytes()[0] ^ seed).collect()
}

/// Status and code of an answer that is no success; the code of an answer without a body is empty.
///
/// # Panics
/// For a success, and where there was no answer.
pub(crate) fn refusal<T, E: ProvideErrorMetadata + std::fmt::Debug>(
    result: Result<T, SdkError<E, HttpResponse>>,
) -> (u16, String) {
    let error = result.err().expect("a refusal");
    let status = error.raw_response().unwrap_or_else(|| panic!("an answer: {error:?}")).status().as_u16();
    let code = error.as_service_error().and_then(|error| error.meta().code()).unwrap_or_default();
    (status, code.to_owned())
}

/// As [`refusal`] has them.
pub(crate) fn is(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}

/// The server's clock, as its answers have it.
pub(crate) async fn date(place: &Place) -> SystemTime {
    let error = place.client.head_object().bucket(&place.bucket).key("absent").send().await.unwrap_err();
    let date = error.raw_response().expect("an answer").headers().get("date").expect("a date").to_owned();
    httpdate::parse_http_date(&date).expect("a date")
}

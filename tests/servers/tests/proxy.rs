//! The proxy passes all on as it is, and does each fault.

mod support;

use aws_sdk_s3::Client;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use portico_test_servers::{Fault, FaultProxy, Server};
use std::time::{Duration, Instant};
use support::{Place, bytes, is, listed, refusal};

/// A server, a proxy before it, and a client through it.
async fn proxied() -> (Place, FaultProxy, Client) {
    let place = Place::new(Server::s3s().await).await;
    let proxy = FaultProxy::start(&place.server).await;
    let client = Client::from_conf(place.client.config().to_builder().endpoint_url(proxy.endpoint()).build());
    (place, proxy, client)
}

/// Puts `hello` at a key, through a client.
async fn put(place: &Place, client: &Client, key: &str) -> Result<(), String> {
    let put = client.put_object().bucket(&place.bucket).key(key).body(b"hello".to_vec().into()).send().await;
    put.map(drop).map_err(|error| match error.raw_response() {
        Some(_) => refusal::<(), _>(Err(error)).1,
        None => "none".to_owned(),
    })
}

#[tokio::test]
async fn everything_passes() {
    let (place, proxy, client) = proxied().await;
    let content = bytes(1, 6 << 20);
    let bucket = &place.bucket;
    let id = client.create_multipart_upload().bucket(bucket).key("k").send().await.unwrap().upload_id.unwrap();
    let part = client.upload_part().bucket(bucket).key("k").upload_id(&id).part_number(1);
    let etag = part.body(content.clone().into()).send().await.unwrap().e_tag.unwrap();
    let part = aws_sdk_s3::types::CompletedPart::builder().part_number(1).e_tag(etag).build();
    let complete = client.complete_multipart_upload().bucket(bucket).key("k").upload_id(&id);
    complete.multipart_upload(listed(&[part])).send().await.unwrap();
    let got = client.get_object().bucket(bucket).key("k").send().await.unwrap();
    assert!(got.body.collect().await.unwrap().into_bytes() == content);
    let head = client.head_object().bucket(bucket).key("k").send().await.unwrap();
    assert_eq!(head.content_length, Some(6 << 20));
    assert_eq!(refusal(client.get_object().bucket(bucket).key("absent").send().await), is(404, "NoSuchKey"));
    client.list_objects_v2().bucket(bucket).prefix("x").send().await.unwrap();
    let seen: Vec<_> = proxy.seen().into_iter().map(|line| line.replace(bucket, "BUCKET")).collect();
    assert_eq!(
        seen,
        [
            "POST /BUCKET/k?uploads",
            "PUT /BUCKET/k?x-id&partNumber&uploadId",
            "POST /BUCKET/k?uploadId",
            "GET /BUCKET/k?x-id",
            "HEAD /BUCKET/k",
            "GET /BUCKET/absent?x-id",
            "GET /BUCKET/?list-type&prefix",
        ]
    );
}

#[tokio::test]
async fn the_nth_alone_is_hit() {
    let (place, proxy, client) = proxied().await;
    put(&place, &client, "0").await.unwrap();
    proxy.plan(2, Fault::Error500);
    put(&place, &client, "1").await.unwrap();
    assert_eq!(put(&place, &client, "2").await, Err("InternalError".to_owned()));
    put(&place, &client, "3").await.unwrap();
    assert_eq!(place.keys("").await, ["0", "1", "3"]);
}

#[tokio::test]
async fn all_from_the_nth_on_are_hit() {
    let (place, proxy, client) = proxied().await;
    proxy.plan_all(2, Fault::SlowDown503);
    put(&place, &client, "1").await.unwrap();
    for _ in 0..3 {
        assert_eq!(put(&place, &client, "2").await, Err("SlowDown".to_owned()));
    }
    proxy.clear();
    put(&place, &client, "3").await.unwrap();
    assert_eq!(place.keys("").await, ["1", "3"]);
    assert_eq!(proxy.seen().len(), 5);
}

#[tokio::test]
async fn only_what_the_filter_passes_counts() {
    let (place, proxy, client) = proxied().await;
    proxy.only(|line| line.contains("/b"));
    proxy.plan(1, Fault::Error500);
    put(&place, &client, "a").await.unwrap();
    assert!(put(&place, &client, "b").await.is_err());
    put(&place, &client, "b").await.unwrap();
}

#[tokio::test]
async fn resets_before_and_after() {
    let (place, proxy, client) = proxied().await;
    proxy.plan(1, Fault::ResetBefore);
    assert_eq!(put(&place, &client, "before").await, Err("none".to_owned()));
    assert!(!place.exists("before").await);
    proxy.plan(1, Fault::ResetAfter);
    assert_eq!(put(&place, &client, "after").await, Err("none".to_owned()));
    assert!(place.exists("after").await);
    proxy.plan(1, Fault::ErrorAfter500);
    assert_eq!(put(&place, &client, "error").await, Err("InternalError".to_owned()));
    assert!(place.exists("error").await);
}

#[tokio::test]
async fn answers_are_cut_in_the_middle() {
    let (place, proxy, client) = proxied().await;
    let content = bytes(2, 1 << 20);
    place.put_bytes("k", content.clone()).await;
    proxy.plan(1, Fault::CutHalf);
    let mut got = client.get_object().bucket(&place.bucket).key("k").send().await.unwrap();
    assert_eq!(got.content_length, Some(1 << 20));
    let mut read = Vec::new();
    let end = loop {
        match got.body.next().await {
            Some(Ok(bytes)) => read.extend_from_slice(&bytes),
            end => break end,
        }
    };
    assert!(matches!(end, Some(Err(_))), "an error ends it");
    assert!(!read.is_empty() && content.starts_with(&read) && read.len() <= content.len() / 2, "{}", read.len());
    proxy.plan(1, Fault::CutHalf);
    assert!(client.list_objects_v2().bucket(&place.bucket).send().await.is_err());
    proxy.plan(1, Fault::CutHalf);
    assert_eq!(put(&place, &client, "put").await, Err("none".to_owned()));
    assert!(place.exists("put").await);
    proxy.plan(1, Fault::CutHalf);
    assert!(client.head_object().bucket(&place.bucket).key("k").send().await.is_err());
    put(&place, &client, "next").await.unwrap();
}

#[tokio::test]
async fn a_delayed_request_is_done_without_its_client() {
    let (place, proxy, client) = proxied().await;
    let delay = Duration::from_millis(300);
    proxy.plan_all(1, Fault::Delay(delay));
    let begun = Instant::now();
    put(&place, &client, "waits").await.unwrap();
    assert!(begun.elapsed() >= delay);
    let short = TimeoutConfig::builder().operation_timeout(delay / 3).build();
    let client = Client::from_conf(client.config().to_builder().timeout_config(short).build());
    assert_eq!(put(&place, &client, "leaves").await, Err("none".to_owned()));
    assert!(!place.exists("leaves").await);
    while !place.exists("leaves").await {
        assert!(begun.elapsed() < Duration::from_secs(30));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn dropping_the_proxy_closes_its_connections() {
    let (place, proxy, client) = proxied().await;
    put(&place, &client, "k").await.unwrap();
    drop(proxy);
    let begun = Instant::now();
    while put(&place, &client, "k").await.is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(30));
    }
}

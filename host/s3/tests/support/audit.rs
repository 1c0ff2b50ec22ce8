//! Looks for garbage in a bucket with a plain client that knows only the layout of the keys.

use aws_sdk_s3::Client;
use std::collections::BTreeMap;

/// An object, and its contents if it is a slot.
struct Found {
    size: i64,
    slot: Option<serde_json::Value>,
}

/// Returns the garbage below `store/` in a bucket, and receipts whose data is missing. Free slots, marks and scratch
/// objects count as garbage, because a sweep removes them.
pub(crate) async fn left(client: &Client, bucket: &str) -> Vec<String> {
    let objects = objects(client, bucket).await;
    let mut left = Vec::new();
    let mut wanted: BTreeMap<String, i64> = BTreeMap::new();
    for (key, found) in &objects {
        let rest = key.strip_prefix("store/").unwrap_or(key);
        let (kind, name) = rest.split_once('/').unwrap_or((rest, ""));
        let state = found.slot.as_ref().and_then(|slot| slot["state"].as_str());
        match (kind, state) {
            ("format" | "owner", _) | ("record", Some("live")) | ("receipt", Some("gone")) => {}
            ("receipt" | "part", Some("live")) => {
                let slot = found.slot.as_ref().expect("it has a state");
                let data = if kind == "receipt" { "final" } else { "temp" };
                let token = slot["data"].as_str().expect("the token of its data");
                wanted.insert(format!("store/{data}/{name}!{token}"), slot["size"].as_i64().expect("its size"));
            }
            ("final" | "temp", _) => {}
            (_, state) => left.push(format!("{key} ({state:?}, {} bytes)", found.size)),
        }
    }
    for (key, found) in &objects {
        let is_data = key.starts_with("store/final/") || key.starts_with("store/temp/");
        match wanted.remove(key) {
            Some(size) if size == found.size => {}
            Some(size) => left.push(format!("{key} has {} bytes, and its receipt says {size}", found.size)),
            None if is_data => left.push(format!("{key} has no receipt")),
            None => {}
        }
    }
    left.extend(wanted.into_keys().map(|key| format!("{key} is missing, and has a receipt")));
    left.extend(uploads(client, bucket).await);
    left
}

async fn objects(client: &Client, bucket: &str) -> BTreeMap<String, Found> {
    let mut objects = BTreeMap::new();
    let mut after: Option<String> = None;
    loop {
        let page = client.list_objects_v2().bucket(bucket).set_start_after(after.clone()).send().await.expect("a page");
        for listed in page.contents() {
            let key = listed.key().expect("a key").to_owned();
            let is_slot = ["receipt/", "part/", "record/"].iter().any(|kind| key.starts_with(&format!("store/{kind}")));
            let slot = if is_slot { Some(slot(client, bucket, &key).await) } else { None };
            after = Some(key.clone());
            objects.insert(key, Found { size: listed.size().unwrap_or(-1), slot });
        }
        if page.is_truncated() != Some(true) {
            return objects;
        }
    }
}

async fn slot(client: &Client, bucket: &str, key: &str) -> serde_json::Value {
    let got = client.get_object().bucket(bucket).key(key).send().await.expect("a slot");
    let body = got.body.collect().await.expect("a slot").into_bytes();
    let line = body.split(|&byte| byte == b'\n').next().expect("a line");
    serde_json::from_slice(line).expect("JSON")
}

async fn uploads(client: &Client, bucket: &str) -> Vec<String> {
    match client.list_multipart_uploads().bucket(bucket).send().await {
        Ok(page) => page.uploads().iter().map(|upload| format!("an upload of {:?}", upload.key())).collect(),
        Err(error) => vec![format!("uploads can't be listed: {error}")],
    }
}

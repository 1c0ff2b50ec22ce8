//! Compares the contents of the bucket with what the store reports.

use aws_sdk_s3::Client;
use portico_model::Truth;
use portico_s3::{S3Options, S3Store};
use portico_test_servers::Server;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

/// Sweeps after which nothing may remain: one marks, the next removes, one more removes the remains of that.
const SWEEPS: usize = 3;

fn line(error: impl Display + std::fmt::Debug) -> String {
    format!("{error}: {error:?}")
}

/// Sweeps until all garbage is removed.
pub(crate) async fn sweep(server: &Server, options: &S3Options) -> Result<(), String> {
    let store = S3Store::open(options.clone()).await.map_err(line)?;
    for _ in 0..SWEEPS {
        server.advance(options.grace + Duration::from_secs(60));
        let swept = portico_store::Backend::sweep(&store).await.map_err(line)?;
        if !swept.foreign.is_empty() {
            return Err(format!("a sweep found foreign objects: {:?}", swept.foreign));
        }
    }
    store.settle().await;
    Ok(())
}

/// Returns unexpected objects and missing ones. After sweeps only existing things may remain; before, also garbage of
/// dead hosts.
pub(crate) async fn audit(
    server: &Server,
    options: &S3Options,
    truth: &Truth,
    swept: bool,
) -> Result<Vec<String>, String> {
    let (client, bucket, prefix) = (server.client(), &options.location.bucket, &options.location.prefix);
    let mut wrong = Vec::new();
    let (mut slots, mut data) = (expected_slots(truth), expected_data(prefix, truth));
    for (key, size) in list(&client, bucket, prefix).await? {
        let kind = key.split('/').next().unwrap_or_default();
        match kind {
            "receipt" | "part" | "record" => {
                let body = read(&client, bucket, &format!("{prefix}{key}")).await?;
                let head = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
                let slot: Value = serde_json::from_slice(head).map_err(|error| format!("{key}: {error}"))?;
                let state = slot["state"].as_str().unwrap_or_default();
                let is_left = matches!(state, "free" | "sealed") && !swept;
                match (state, slots.remove(&key)) {
                    ("live", Some(token)) if token.as_ref().is_none_or(|token| slot["data"] == *token) => {}
                    ("gone", None) if kind == "receipt" => {}
                    (_, None) if is_left => {}
                    (state, expected) => wrong.push(format!("{key} is {state}, and exists: {expected:?}: {slot}")),
                }
                if size != body.len() || (state == "live") != (size >= 256) {
                    wrong.push(format!("{key} is {state} and has {size} bytes"));
                }
            }
            "final" | "temp" => match data.remove(&key) {
                Some(content) if read(&client, bucket, &format!("{prefix}{key}")).await? == content => {}
                Some(_) => wrong.push(format!("{key} is not what its receipt says")),
                None if swept => wrong.push(format!("{key} has no receipt, and sweeps leave it")),
                None => {}
            },
            "format" if key == "format" => {}
            "mark" | "probe" if !swept => {}
            _ => wrong.push(format!("{key} is there")),
        }
    }
    wrong.extend(slots.keys().map(|key| format!("{key} is not there")));
    wrong.extend(data.keys().map(|key| format!("{key} is not there")));
    if swept {
        let uploads = client.list_multipart_uploads().bucket(bucket).send().await.map_err(line)?;
        wrong.extend(uploads.uploads().iter().map(|upload| format!("sweeps leave the upload {:?}", upload.key())));
    }
    Ok(wrong)
}

/// Returns the keys of the slots of existing things, with the tokens of their data.
fn expected_slots(truth: &Truth) -> BTreeMap<String, Option<String>> {
    let parts = truth.parts.iter().map(|((scope, session, number), (part, _))| {
        (format!("part/{scope}/{session}!{number:010}"), Some(part.key.token.to_string()))
    });
    let finals = truth.finals.iter().map(|((scope, file), (receipt, _))| {
        (format!("receipt/{scope}/{file}"), receipt.key.key.rsplit_once('!').map(|(_, token)| token.to_owned()))
    });
    let records = truth.records.keys().map(|(scope, name)| {
        let name = name.as_str().replace('-', "(").replace('.', ")").replace('/', "*");
        (format!("record/{scope}/{name}"), None)
    });
    parts.chain(finals).chain(records).collect()
}

/// Returns the keys of the data of existing things, with their content.
fn expected_data<'a>(prefix: &str, truth: &'a Truth) -> BTreeMap<String, &'a [u8]> {
    let parts = truth.parts.iter().map(|((scope, session, number), (part, content))| {
        (format!("temp/{scope}/{session}!{number:010}!{}", part.key.token), content.as_slice())
    });
    let finals = truth.finals.values().map(|(receipt, content)| {
        let key = &receipt.key.key;
        (key.strip_prefix(prefix).unwrap_or(key).to_owned(), content.as_slice())
    });
    parts.chain(finals).collect()
}

async fn list(client: &Client, bucket: &str, prefix: &str) -> Result<Vec<(String, usize)>, String> {
    let mut pages = client.list_objects_v2().bucket(bucket).prefix(prefix).into_paginator().send();
    let mut keys = Vec::new();
    while let Some(page) = pages.next().await {
        for object in page.map_err(line)?.contents() {
            let key = object.key().and_then(|key| key.strip_prefix(prefix)).unwrap_or_default();
            keys.push((key.to_owned(), usize::try_from(object.size().unwrap_or(-1)).map_err(line)?));
        }
    }
    Ok(keys)
}

async fn read(client: &Client, bucket: &str, key: &str) -> Result<Vec<u8>, String> {
    let object = client.get_object().bucket(bucket).key(key).send().await.map_err(|error| format!("{key}: {error}"))?;
    Ok(object.body.collect().await.map_err(line)?.to_vec())
}

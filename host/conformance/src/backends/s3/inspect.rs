//! Reads a store's bucket directly: its slots, and the data that they refer to.
//!
//! A slot begins with a line of JSON. In a live slot of an object or part, `data` is the token of the data. The key of the data
//! is the slot's key with another first segment, then `!` and the token.

use super::bucket;
use crate::stores::{BoxError, Found, FoundObject, FoundPart};
use aws_sdk_s3::Client;
use portico_s3::Location;
use portico_store::{Digest, Scope};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Least size of a live slot, in bytes. All other slots are smaller.
const LIVE_MIN: u64 = 256;

/// The members of a slot that matter here.
#[derive(Deserialize)]
struct SlotLine {
    portico: u32,
    state: String,
    token: String,
    data: Option<String>,
    size: Option<u64>,
    sha256: Option<String>,
}

/// The data by key: size and digest.
type FoundData = BTreeMap<String, (u64, Digest)>;

/// Reads everything below the locations of a store.
pub(super) async fn inspect(client: &Client, locations: &[&Location]) -> Result<Found, BoxError> {
    let mut found = Found::default();
    for location in locations {
        let listed = bucket::list(client, location).await?;
        let (mut slots, mut data) = (Vec::new(), Vec::new());
        for (key, _) in &listed {
            match key.split_once('/').unwrap_or((key, "")) {
                ("receipt" | "part" | "record", _) => slots.push(key.clone()),
                ("final" | "temp", _) => data.push(key.clone()),
                ("format" | "owner", "") => {}
                _ => found.faults.push(format!("{key} is of no known kind")),
            }
        }
        for (key, _) in bucket::uploads(client, location).await? {
            found.faults.push(format!("{key} has an unfinished upload"));
        }
        let sizes: BTreeMap<&String, u64> = listed.iter().map(|(key, size)| (key, *size)).collect();
        let own = |key: String| (client.clone(), (*location).clone(), key);
        let slots = bucket::each(slots, |key| {
            let (client, location, key) = own(key);
            async move { bucket::read(&client, &location, &key).await }
        });
        let slots = slots.await?;
        let data = bucket::each(data, |key| {
            let (client, location, key) = own(key);
            async move { bucket::digest(&client, &location, &key).await }
        });
        let mut data: FoundData = data.await?.into_iter().collect();
        for (key, (size, _)) in &data {
            if sizes[key] != *size {
                found.faults.push(format!("{key} is listed with {} bytes and has {size}", sizes[key]));
            }
        }
        for (key, body) in slots {
            if let Err(fault) = slot(location, &key, &body, sizes[&key], &mut data, &mut found) {
                found.faults.push(format!("{key}: {fault}"));
            }
        }
        found.faults.extend(data.keys().map(|key| format!("{key} has no slot")));
    }
    Ok(found)
}

/// Checks one slot.
fn slot(
    location: &Location,
    key: &str,
    body: &[u8],
    listed: u64,
    data: &mut FoundData,
    found: &mut Found,
) -> Result<(), BoxError> {
    let (kind, rest) = key.split_once('/').ok_or("not the key of a slot")?;
    let (scope, name) = rest.split_once('/').ok_or("not the key of a slot")?;
    let scope = Scope::from_written(scope).ok_or("invalid scope")?;
    let line = body.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let slot: SlotLine = serde_json::from_slice(line)?;
    if slot.portico != 1 || slot.token.is_empty() {
        return Err("not a slot of this version".into());
    }
    let live = match (kind, slot.state.as_str()) {
        (_, "live") => true,
        (_, "free" | "sealed") | ("receipt", "gone") => false,
        (_, state) => return Err(format!("unknown state {state}").into()),
    };
    if listed != body.len() as u64 || live != (listed >= LIVE_MIN) {
        return Err(format!("a slot that is {} has {} bytes, listed as {listed}", slot.state, body.len()).into());
    }
    found.scopes.insert(scope.clone());
    let of = match kind {
        "receipt" => "final",
        "part" => "temp",
        _ => return Ok(()),
    };
    if !live {
        return Ok(());
    }
    let token = slot.data.ok_or("it names no data")?;
    let data_key = format!("{of}/{rest}!{token}");
    let (size, sha256) = data.remove(&data_key).ok_or_else(|| format!("{data_key} does not exist"))?;
    if slot.size != Some(size) || slot.sha256.is_some_and(|there| there != sha256.to_hex()) {
        found.faults.push(format!("{data_key} differs from its slot"));
    }
    if kind == "receipt" {
        let key = format!("{}{data_key}", location.prefix);
        found.objects.push(FoundObject::new(scope, &location.bucket, key, size, sha256));
    } else {
        let (session, number) = name.split_once('!').ok_or("not the key of a part")?;
        let key = format!("{session}/{}/{token}", number.parse::<u32>()?);
        found.parts.push(FoundPart::new(scope, key, size, sha256));
    }
    Ok(())
}

//! Compares the content of a store after a case with the claims of the instances.
//!
//! Invariant: a store is looked at four times: by the listings of each host, directly in the storage, by the listings after
//! reopening, and directly again after a sweep. All four looks must agree with the claims and with each other.

use crate::board::Claims;
use crate::source;
use crate::stores::{BoxError, Found, FoundObject, FoundPart, TestStore};
use portico_store::{
    Backend, FinalReceipt, ListedPart, Record, Result, Scope, SessionId, Sha256, all_pages, list_final_receipts,
};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Entries per page of a listing.
const PAGE: u32 = 100;

/// The claims of the instances, with the digests of the claimed content.
pub(crate) struct Claimed {
    scopes: BTreeSet<Scope>,
    objects: Vec<(String, String, SizeAndDigest)>,
    parts: Vec<(Scope, String, SizeAndDigest)>,
    faults: Vec<String>,
}

/// Size in bytes, and SHA-256 in hexadecimal.
type SizeAndDigest = (u64, String);

impl Claimed {
    pub(crate) fn new(claims: Claims) -> Self {
        let mut claimed = Claimed {
            scopes: BTreeSet::from([Scope::root()]),
            objects: Vec::new(),
            parts: Vec::new(),
            faults: Vec::new(),
        };
        for claim in claims.objects {
            claimed.objects.push((claim.bucket, claim.key, content(&claim.content)));
        }
        for claim in claims.parts {
            match claim.scope.iter().try_fold(Scope::root(), |scope, name| scope.narrow(name)) {
                Ok(scope) => claimed.parts.push((scope, claim.temp_key, content(&claim.content))),
                Err(error) => claimed.faults.push(format!("a claim in {:?}: {error}", claim.scope)),
            }
        }
        claimed
    }
}

fn content(pieces: &[crate::bindings::portico::conformance::fixture::Piece]) -> SizeAndDigest {
    let mut sha256 = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    for piece in pieces {
        let mut done = 0;
        while done < piece.size {
            let count = usize::try_from(piece.size - done).unwrap_or(usize::MAX).min(buffer.len());
            source::fill(piece.seed, piece.start + done, &mut buffer[..count]);
            sha256.update(&buffer[..count]);
            done += count as u64;
        }
    }
    (pieces.iter().map(|piece| piece.size).sum(), sha256.finish().to_hex())
}

/// Audits a store, and closes its hosts. Returns the faults.
pub(crate) async fn audit(
    test_store: &dyn TestStore,
    hosts: Vec<Arc<dyn Backend>>,
    claimed: &Claimed,
) -> Result<Vec<String>, BoxError> {
    let mut faults = claimed.faults.clone();
    let before = listings(&*hosts[0], &claimed.scopes).await?;
    for other in &hosts[1..] {
        let there = listings(&**other, &claimed.scopes).await?;
        if there != before {
            faults.push(format!("one host lists {before:?}, another {there:?}"));
        }
    }
    drop(hosts);
    let found = sorted(test_store.inspect().await?);
    faults.extend(found.faults.iter().cloned());
    compare(&found, claimed, &mut faults);

    let store = test_store.open().await?;
    let after = listings(&*store, &claimed.scopes).await?;
    for (scope, there) in &before {
        if after.get(scope) != Some(there) {
            faults.push(format!("after reopening, {scope} lists {:?}, before {there:?}", after.get(scope)));
        }
    }
    compare_listings(&found, &listings(&*store, &found.scopes).await?, &mut faults);
    let swept = store.sweep().await?;
    if swept.removed > 0 || !swept.foreign.is_empty() {
        faults.push(format!("a sweep found leftovers: {swept:?}"));
    }
    drop(store);
    let again = sorted(test_store.inspect().await?);
    if again != found {
        faults.push(format!("after reopening and a sweep the storage holds {again:?}, before {found:?}"));
    }
    Ok(faults)
}

fn sorted(mut found: Found) -> Found {
    found.objects.sort();
    found.parts.sort();
    found
}

/// Compares the storage with the claims.
fn compare(found: &Found, claimed: &Claimed, faults: &mut Vec<String>) {
    let mut objects: Vec<&FoundObject> = found.objects.iter().collect();
    for (bucket, key, content) in &claimed.objects {
        match objects.iter().position(|there| there.bucket == *bucket && there.key == *key) {
            Some(at) => {
                let there = objects.swap_remove(at);
                check(format_args!("object {bucket} {key}"), (there.size, &there.sha256), content, faults);
            }
            None => faults.push(format!("object {bucket} {key} is missing, or was claimed twice")),
        }
    }
    faults.extend(objects.iter().map(|there| format!("an object is not claimed: {there:?}")));

    let mut parts: Vec<&FoundPart> = found.parts.iter().collect();
    for (scope, temp_key, content) in &claimed.parts {
        match parts.iter().position(|there| there.scope == *scope && there.temp_key == *temp_key) {
            Some(at) => {
                let there = parts.swap_remove(at);
                check(format_args!("part {temp_key} in {scope}"), (there.size, &there.sha256), content, faults);
            }
            None => faults.push(format!("part {temp_key} in {scope} is missing, or was claimed twice")),
        }
    }
    faults.extend(parts.iter().map(|there| format!("a part is not claimed: {there:?}")));
}

fn check(
    what: std::fmt::Arguments<'_>,
    (size, sha256): (u64, &str),
    content: &SizeAndDigest,
    faults: &mut Vec<String>,
) {
    if size != content.0 {
        faults.push(format!("{what} has {size} bytes instead of {}", content.0));
    } else if sha256 != content.1 {
        faults.push(format!("{what} has other content than claimed"));
    }
}

/// Compares the storage with the listings.
fn compare_listings(found: &Found, listings: &BTreeMap<Scope, Listing>, faults: &mut Vec<String>) {
    let mut objects = Vec::new();
    let mut parts = Vec::new();
    for (scope, listing) in listings {
        for object in &listing.objects {
            let (bucket, key) = (&object.key.bucket, &object.key.key);
            objects.push(FoundObject::new(scope.clone(), bucket, key, object.size, object.sha256));
        }
        for part in &listing.parts {
            parts.push((scope.clone(), part.key.to_string(), part.size));
        }
    }
    objects.sort();
    parts.sort();
    let there: Vec<_> = found.parts.iter().map(|part| (part.scope.clone(), part.temp_key.clone(), part.size)).collect();
    if objects != found.objects {
        faults.push(format!("the listings have the objects {objects:?}, the storage {:?}", found.objects));
    }
    if parts != there {
        faults.push(format!("the listings have the parts {parts:?}, the storage {there:?}"));
    }
}

/// All listings of a scope.
#[derive(Debug, PartialEq, Eq)]
struct Listing {
    objects: Vec<FinalReceipt>,
    parts: Vec<ListedPart>,
    records: Vec<Record>,
}

async fn listings(store: &dyn Backend, scopes: &BTreeSet<Scope>) -> Result<BTreeMap<Scope, Listing>> {
    let mut listings = BTreeMap::new();
    for scope in scopes {
        let objects = all_pages(async |after| list_final_receipts(store, scope, after.as_ref(), PAGE).await).await?;
        let sessions: Vec<SessionId> =
            all_pages(async |after| store.list_sessions(scope, after.as_ref(), PAGE).await).await?;
        let mut parts = Vec::new();
        for session in &sessions {
            let listed = all_pages(async |after| store.list_parts(scope, session, after.as_ref(), PAGE).await).await?;
            // A listing may leave offsets out.
            parts.extend(listed.into_iter().map(|part| ListedPart { offset: None, ..part }));
        }
        let names = all_pages(async |after| store.list_records(scope, "", after.as_ref(), PAGE).await).await?;
        let mut records = Vec::new();
        for name in &names {
            records.push(store.get_record(scope, name).await?);
        }
        listings.insert(scope.clone(), Listing { objects, parts, records });
    }
    Ok(listings)
}

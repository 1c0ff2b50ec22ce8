//! Probes the capabilities of a server with scratch objects when a store is opened.

use crate::keys::{Keys, ObjectKey};
use crate::open::race::{Race, is_won_by_one};
use crate::request::client::Client;
use crate::request::failure::{Failure, Kind};
use crate::request::frames::Frames;
use crate::request::multipart::Piece;
use crate::request::objects::Condition;
use bytes::Bytes;
use portico_store::Token;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

/// The capabilities of a server, as the probe found them.
#[derive(Debug)]
pub struct Capabilities {
    findings: Vec<Finding>,
    copies: AtomicBool,
    pub(crate) uploads: Uploads,
}

/// One capability that a server has or lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the capability.
    pub name: &'static str,
    /// Whether the server has the capability.
    pub works: bool,
    /// The observation, and the fallback.
    pub note: String,
}

/// How unfinished multipart uploads can be listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uploads {
    /// By a prefix of their keys.
    ByPrefix,
    /// Only for the whole bucket.
    WholeBucket,
    /// Not at all.
    Never,
}

impl Capabilities {
    /// Capabilities of a server that was not probed.
    pub(crate) fn unknown() -> Self {
        Capabilities { findings: Vec::new(), copies: false.into(), uploads: Uploads::Never }
    }

    /// Returns all findings.
    pub fn report(&self) -> Vec<Finding> {
        self.findings.clone()
    }

    pub(crate) fn copies(&self) -> bool {
        self.copies.load(Ordering::Relaxed)
    }

    /// Records that a copy was confirmed and did not happen.
    pub(crate) fn stop_copying(&self) {
        self.copies.store(false, Ordering::Relaxed);
    }
}

/// Results of the probe.
pub(crate) struct Probe {
    pub(crate) capabilities: Capabilities,
    /// Whether conditional writes are reliable.
    pub(crate) conditions: bool,
    /// Whether a stored object has the content that was sent.
    pub(crate) whole: bool,
}

fn text(content: &'static str) -> Frames {
    Frames::from(Bytes::from_static(content.as_bytes()))
}

pub(crate) async fn probe(client: &Arc<Client>, keys: &Keys) -> Result<Probe, Failure> {
    let token = Token::random().map_err(|error| Failure::new(Kind::Other, error.to_string()))?;
    let object = |name: &str| keys.probe(&token, name);
    let looked = looks(client, keys, &object).await;
    let scratch = ["content", "replaced", "checked", "copied"].map(&object);
    let raced = [Race::Create, Race::Replace].into_iter().flat_map(Race::keys).map(|name| object(&name));
    let scratch: Vec<ObjectKey> = scratch.into_iter().chain(raced).collect();
    let cleared = client.delete(&scratch).await;
    let Looked { findings, whole, conditions, copies, uploads } = looked?;
    if let Err(failure) = cleared {
        tracing::warn!(error = %failure, "cannot remove scratch objects of the probe; a sweep removes them later");
    }
    Ok(Probe { capabilities: Capabilities { findings, copies: copies.into(), uploads }, conditions, whole })
}

struct Looked {
    findings: Vec<Finding>,
    whole: bool,
    conditions: bool,
    copies: bool,
    uploads: Uploads,
}

async fn looks(
    client: &Arc<Client>,
    keys: &Keys,
    object: &(impl Fn(&str) -> ObjectKey + Sync),
) -> Result<Looked, Failure> {
    let content = text("0123456789");
    client.put(&object("content"), &content, None).await?;
    let there = client.get_small(&object("content"), 100).await?.map(|there| there.body);
    let whole = there.as_ref().is_some_and(|there| *there == content.joined());
    let size = there.map_or(0, |there| there.len() as u64);
    let (create_only, replace, range, checksum, (copy, uploads)) = tokio::try_join!(
        is_won_by_one(client, Race::Create, object),
        async {
            let replaces = patiently(client, |attempt| replace(client, object("replaced"), attempt)).await?;
            Ok(replaces && is_won_by_one(client, Race::Replace, object).await?)
        },
        range(client, object("content"), size),
        patiently(client, |_| checksum(client, object("checked"))),
        async { copy(client, keys, &object("content"), &object("copied")).await },
    )?;
    let finding = |name, works, yes: &str, no: &str| Finding {
        name,
        works,
        note: if works { yes.to_owned() } else { no.to_owned() },
    };
    let fallback = "ignored: only one process can use the store, with single_runner";
    let findings = vec![
        finding(
            "whole objects",
            whole,
            "an object has the content that was sent",
            "altered: the server cannot be used",
        ),
        finding("create-only writes", create_only, "exactly one writer won each race", fallback),
        finding(
            "compare-and-swap",
            replace,
            "exactly one writer won each race; a stale entity tag was refused",
            fallback,
        ),
        finding("ranges", range, "a range was returned", "ignored: the bytes before a range are read and dropped"),
        finding("checksums", checksum, "a wrong CRC-32 was refused", "not verified: only sizes are checked"),
        finding("copies", copy, "a range was copied", "refused: parts are assembled through this host"),
        finding(
            "listing of unfinished uploads",
            uploads != Uploads::Never,
            if uploads == Uploads::ByPrefix { "by prefix" } else { "only of the whole bucket" },
            "refused: a lifecycle rule has to remove the uploads of killed processes",
        ),
    ];
    Ok(Looked { findings, whole, conditions: create_only && replace, copies: copy, uploads })
}

/// Repeats a look while the server is busy.
async fn patiently<T, F>(client: &Client, mut look: impl FnMut(u32) -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>>,
{
    let began = Instant::now();
    let mut attempts = 0;
    loop {
        let failure = match look(attempts).await {
            Err(failure) if matches!(failure.kind, Kind::Racing | Kind::Throttled | Kind::Transient) => failure,
            seen => return seen,
        };
        attempts += 1;
        let Some(pause) = client.pause(&failure, attempts, began) else { return Err(failure) };
        tokio::time::sleep(pause).await;
    }
}

/// Tests that `If-Match` accepts the current entity tag and refuses another, also for an absent key. Each attempt has
/// its own content, so that a late request of an earlier attempt matches no entity tag.
async fn replace(client: &Client, object: ObjectKey, attempt: u32) -> Result<bool, Failure> {
    let put = async |text: &str, condition: Condition<'_>| {
        let content = Frames::from(Bytes::from(format!("{text} of attempt {attempt}")));
        client.put_once(&object, &content, condition, None).await
    };
    let refused = |put: Result<String, Failure>| match put {
        Ok(_) => Ok(false),
        Err(failure) if matches!(failure.kind, Kind::Precondition | Kind::Missing) => Ok(true),
        Err(failure) if matches!(failure.kind, Kind::Unsupported | Kind::Other) => Ok(false),
        Err(failure) => Err(failure),
    };
    let first = put("first", Condition::Always).await?;
    match put("second", Condition::Is(&first)).await {
        Ok(_) => {}
        Err(failure) if matches!(failure.kind, Kind::Precondition | Kind::Missing) => return Ok(false),
        Err(failure) if matches!(failure.kind, Kind::Unsupported | Kind::Other) => return Ok(false),
        Err(failure) => return Err(failure),
    }
    let stale = refused(put("third", Condition::Is(&first)).await)?;
    let kept = client.get_small(&object, 100).await?;
    let kept = kept.is_some_and(|there| there.body == format!("second of attempt {attempt}"));
    client.delete(std::slice::from_ref(&object)).await?;
    let absent = refused(put("fourth", Condition::Is(&first)).await)?;
    Ok(stale && kept && absent)
}

async fn range(client: &Client, object: ObjectKey, size: u64) -> Result<bool, Failure> {
    let content = client.get_range(&object, &(6..9), size).await?;
    let bytes = content.stream.collect().await.map_err(|error| Failure::new(Kind::Transient, error.to_string()))?;
    Ok(content.start == 6 && bytes.into_bytes() == "678")
}

async fn checksum(client: &Client, object: ObjectKey) -> Result<bool, Failure> {
    match client.put_with_wrong_checksum(&object, &text("content")).await {
        Ok(()) => Ok(false),
        Err(failure) if matches!(failure.kind, Kind::Damaged | Kind::Other) => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// Copies one range in a multipart upload, and lists the upload before completing it.
async fn copy(
    client: &Client,
    keys: &Keys,
    source: &ObjectKey,
    target: &ObjectKey,
) -> Result<(bool, Uploads), Failure> {
    let (id, _) = client.create_upload(target, None, false).await?;
    let looked = look_at_upload(client, keys, source, target, &id).await;
    match looked {
        Ok((true, uploads)) => Ok((true, uploads)),
        other => {
            client.abort_upload(target, &id).await?;
            other
        }
    }
}

async fn look_at_upload(
    client: &Client,
    keys: &Keys,
    source: &ObjectKey,
    target: &ObjectKey,
    id: &str,
) -> Result<(bool, Uploads), Failure> {
    // A listing is of use only with the time of the newest piece.
    let is_listed = |prefix: ObjectKey| async move {
        let listed = async {
            match client.unfinished(&prefix).await?.iter().find(|found| found.id == id) {
                Some(found) => client.newest_piece(found).await.map(|_| true),
                None => Ok(false),
            }
        };
        match listed.await {
            Err(failure) if matches!(failure.kind, Kind::Unsupported | Kind::Other) => Ok(false),
            listed => listed,
        }
    };
    let uploads = if is_listed(keys.probes()).await? {
        Uploads::ByPrefix
    } else if is_listed(ObjectKey { key: String::new(), ..target.clone() }).await? {
        Uploads::WholeBucket
    } else {
        Uploads::Never
    };
    let cannot = |failure: &Failure| {
        matches!(failure.kind, Kind::Unsupported | Kind::Other | Kind::Pieces | Kind::Missing | Kind::NoUpload)
    };
    let copied: Piece = match client.copy_piece(target, id, 1, source, &(2..7)).await {
        Ok(piece) => piece,
        Err(failure) if cannot(&failure) => return Ok((false, uploads)),
        Err(failure) => return Err(failure),
    };
    match client.complete_upload(target, id, &[copied], 5).await {
        Ok(_) => Ok((client.get_small(target, 100).await?.is_some_and(|there| there.body == "23456"), uploads)),
        Err(failure) if cannot(&failure) => Ok((false, uploads)),
        Err(failure) => Err(failure),
    }
}

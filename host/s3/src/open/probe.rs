//! What a server is able to: found out against scratch objects when a store is opened.

use crate::keys::{Keys, Place};
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

/// What a server was found to be able to.
#[derive(Debug)]
pub struct Capabilities {
    findings: Vec<Finding>,
    copies: AtomicBool,
    pub(crate) uploads: Uploads,
}

/// One thing that a server can do or can't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// What it is.
    pub name: &'static str,
    /// Whether the server does it.
    pub works: bool,
    /// What was seen, and what is done instead.
    pub note: String,
}

/// How unfinished multipart uploads are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Uploads {
    /// By a prefix of their keys.
    ByPrefix,
    /// Only all of a bucket at once.
    WholeBucket,
    /// Not at all.
    Never,
}

impl Capabilities {
    /// Those of a server that was not looked at.
    pub(crate) fn unknown() -> Self {
        Capabilities { findings: Vec::new(), copies: false.into(), uploads: Uploads::Never }
    }

    /// All that was looked at.
    pub fn report(&self) -> Vec<Finding> {
        self.findings.clone()
    }

    pub(crate) fn copies(&self) -> bool {
        self.copies.load(Ordering::Relaxed)
    }

    /// It has said that it copied, and had not.
    pub(crate) fn stop_copying(&self) {
        self.copies.store(false, Ordering::Relaxed);
    }
}

/// What the probe found.
pub(crate) struct Probe {
    pub(crate) capabilities: Capabilities,
    /// Whether writes may rest on conditions.
    pub(crate) conditions: bool,
    /// Whether an object that was stored is there as it was sent.
    pub(crate) whole: bool,
}

fn text(content: &'static str) -> Frames {
    Frames::from(Bytes::from_static(content.as_bytes()))
}

pub(crate) async fn probe(client: &Arc<Client>, keys: &Keys) -> Result<Probe, Failure> {
    let token = Token::random().map_err(|error| Failure::new(Kind::Other, error.to_string()))?;
    let place = |name: &str| keys.probe(&token, name);
    let looked = looks(client, keys, &place).await;
    let scratch = ["content", "replaced", "checked", "copied"].map(&place);
    let raced = [Race::Create, Race::Replace].into_iter().flat_map(Race::keys).map(|name| place(&name));
    let scratch: Vec<Place> = scratch.into_iter().chain(raced).collect();
    let cleared = client.delete(&scratch).await;
    let Looked { findings, whole, conditions, copies, uploads } = looked?;
    if let Err(failure) = cleared {
        tracing::warn!(error = %failure, "scratch objects of the probe are left behind; a sweep removes them");
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

async fn looks(client: &Arc<Client>, keys: &Keys, place: &(impl Fn(&str) -> Place + Sync)) -> Result<Looked, Failure> {
    let content = text("0123456789");
    client.put(&place("content"), &content, None).await?;
    let there = client.get_small(&place("content"), 100).await?.map(|there| there.body);
    let whole = there.as_ref().is_some_and(|there| *there == content.joined());
    let size = there.map_or(0, |there| there.len() as u64);
    let (create_only, replace, range, checksum, (copy, uploads)) = tokio::try_join!(
        is_won_by_one(client, Race::Create, place),
        async {
            let replaces = patiently(client, |attempt| replace(client, place("replaced"), attempt)).await?;
            Ok(replaces && is_won_by_one(client, Race::Replace, place).await?)
        },
        range(client, place("content"), size),
        patiently(client, |_| checksum(client, place("checked"))),
        async { copy(client, keys, &place("content"), &place("copied")).await },
    )?;
    let finding = |name, works, yes: &str, no: &str| Finding {
        name,
        works,
        note: if works { yes.to_owned() } else { no.to_owned() },
    };
    let alone = "ignored: usable by one process alone, with single_runner";
    let findings = vec![
        finding("whole objects", whole, "what was stored is there as it was sent", "not kept: it can't be used"),
        finding("create-only writes", create_only, "one of racing writers won, each time", alone),
        finding(
            "compare-and-swap",
            replace,
            "one of racing writers won, each time; a stale entity tag was refused",
            alone,
        ),
        finding("ranges", range, "a range was answered", "ignored: what comes before is read and thrown away"),
        finding("checksums", checksum, "a wrong CRC-32 was refused", "not compared: only lengths are checked"),
        finding("copies", copy, "a range was copied", "not done: parts are assembled through this host"),
        finding(
            "listing of unfinished uploads",
            uploads != Uploads::Never,
            if uploads == Uploads::ByPrefix { "by prefix" } else { "only of the whole bucket" },
            "not done: a lifecycle rule has to remove what killed processes leave",
        ),
    ];
    Ok(Looked { findings, whole, conditions: create_only && replace, copies: copy, uploads })
}

/// Looks again at what a busy server did not let through.
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

/// `If-Match` must take the entity tag that is there and refuse another one, also where nothing is. Each attempt has content
/// of its own, so that a request of an earlier one, which comes late, finds no entity tag of its own.
async fn replace(client: &Client, place: Place, attempt: u32) -> Result<bool, Failure> {
    let put = async |text: &str, condition: Condition<'_>| {
        let content = Frames::from(Bytes::from(format!("{text} of attempt {attempt}")));
        client.put_once(&place, &content, condition, None).await
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
    let kept = client.get_small(&place, 100).await?;
    let kept = kept.is_some_and(|there| there.body == format!("second of attempt {attempt}"));
    client.delete(std::slice::from_ref(&place)).await?;
    let absent = refused(put("fourth", Condition::Is(&first)).await)?;
    Ok(stale && kept && absent)
}

async fn range(client: &Client, place: Place, size: u64) -> Result<bool, Failure> {
    let content = client.get_range(&place, &(6..9), size).await?;
    let bytes = content.stream.collect().await.map_err(|error| Failure::new(Kind::Transient, error.to_string()))?;
    Ok(content.start == 6 && bytes.into_bytes() == "678")
}

async fn checksum(client: &Client, place: Place) -> Result<bool, Failure> {
    match client.put_with_wrong_checksum(&place, &text("content")).await {
        Ok(()) => Ok(false),
        Err(failure) if matches!(failure.kind, Kind::Damaged | Kind::Other) => Ok(true),
        Err(failure) => Err(failure),
    }
}

/// A multipart upload of one copied range, which is looked for before it is completed.
async fn copy(client: &Client, keys: &Keys, source: &Place, target: &Place) -> Result<(bool, Uploads), Failure> {
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
    source: &Place,
    target: &Place,
    id: &str,
) -> Result<(bool, Uploads), Failure> {
    // It is of use only if it is told, too, when the newest piece came.
    let is_listed = |prefix: Place| async move {
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
    } else if is_listed(Place { key: String::new(), ..target.clone() }).await? {
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

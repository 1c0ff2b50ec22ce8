//! Compares each receipt with its data, while other processes may use the store.
//!
//! Receipts and data are listed side by side, in the same order. Invariants: nothing is written; a difference in the
//! listings is looked at again after its receipt was read again, because the store may be in use.

use crate::content::reading;
use crate::each::each;
use crate::keys::{DataKind, ObjectKey, parse_data, parse_part, parse_scoped, parse_temp};
use crate::limits;
use crate::open::opening::open_to_read;
use crate::request::objects::{Listed, Listing};
use crate::shared::Inner;
use crate::slots::receipt::SlotContent;
use crate::slots::slot::{LIVE_MIN, Slot, State, WIDTH};
use crate::{OpenError, S3Options};
use portico_store::verify::{Depth, DifferenceKind, Findings, PAGE, Verified};
use portico_store::{Digest, Error, Result, Scope, SessionId, TempKey};
use std::sync::Arc;

/// Compares each receipt of a store with its data.
///
/// # Errors
/// [`OpenError`] if the store cannot be read.
pub(crate) async fn verify(
    options: &S3Options,
    depth: Depth,
    mut findings: Findings<'_>,
) -> Result<Verified, OpenError> {
    let inner = &open_to_read(options.clone()).await?;
    for kind in [DataKind::Final, DataKind::Part] {
        let compared = compare_all(inner, kind, depth, &mut findings).await;
        compared.map_err(|error| inner.client.cannot_use(&inner.keys.main, error))?;
    }
    Ok(findings.report())
}

/// The data that a receipt promises.
struct ExpectedData {
    slot: ObjectKey,
    data: ObjectKey,
    /// The number of a part.
    part: Option<u32>,
    size: u64,
    digest: Hash,
}

/// The digest that content must have.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Hash {
    Sha256(Digest),
    Blake3(Digest),
}

async fn compare_all(inner: &Arc<Inner>, kind: DataKind, depth: Depth, findings: &mut Findings<'_>) -> Result<()> {
    let (data, slots) = inner.keys.data_and_slots(kind);
    let mut all_slots = Listing::new(&inner.client, slots, None);
    let mut all_data =
        DataListing { kind, listing: Listing::new(&inner.client, data.clone(), None), prefix: data, ahead: None };
    loop {
        let page = next_live(&mut all_slots).await?;
        if page.is_empty() || findings.is_stopped() {
            break;
        }
        let bucket = all_data.prefix.bucket.clone();
        let objects = page.into_iter().map(|listed| ObjectKey { bucket: bucket.clone(), key: listed.key }).collect();
        let mut whole = Vec::new();
        for (object, slot) in read_slots(inner, objects).await? {
            match receipt(inner, kind, &object, slot) {
                // The receipt is gone since it was listed.
                Ok(None) => {}
                Ok(Some(receipt)) => match all_data.find(&receipt.data.key, findings).await? {
                    Some(size) if size == receipt.size => whole.push(receipt),
                    _ => look_again(inner, kind, receipt, &mut whole, findings).await?,
                },
                Err(error) => findings.differs(&object.key, None, unreadable(&error)),
            }
        }
        compare_content(inner, kind, depth, whole, findings).await?;
    }
    if findings.is_stopped() { Ok(()) } else { all_data.skip(None, findings).await }
}

/// Returns the next live slots.
async fn next_live(slots: &mut Listing<'_>) -> Result<Vec<Listed>> {
    let mut page = Vec::new();
    while page.len() < PAGE as usize
        && let Some(listed) = slots.next().await?
    {
        if listed.size >= LIVE_MIN {
            page.push(listed);
        }
    }
    Ok(page)
}

type Read = Result<Option<Slot>>;

/// Reads slots, [`WIDTH`] at a time. Returns them in order, with the error of each object that is no slot.
async fn read_slots(inner: &Arc<Inner>, objects: Vec<ObjectKey>) -> Result<Vec<(ObjectKey, Read)>> {
    let slots = each(WIDTH, objects, |object| {
        let inner = inner.clone();
        async move {
            let slot = inner.slots.get(&object).await.map_err(Error::from);
            Ok((object, slot))
        }
    });
    let mut read = Vec::new();
    for (object, slot) in slots.await? {
        match slot {
            Err(error @ (Error::Unavailable { .. } | Error::Denied(_))) => return Err(error),
            slot => read.push((object, slot)),
        }
    }
    Ok(read)
}

/// Returns the data that a slot's receipt promises; `None` if the slot holds none any more.
fn receipt(inner: &Inner, kind: DataKind, object: &ObjectKey, slot: Read) -> Result<Option<ExpectedData>> {
    let Some(Slot { state: State::Live(content, _), .. }) = slot? else { return Ok(None) };
    let wrong = |what: &str| Error::internal(format!("the receipt has no valid {what}"));
    let hash = |text: &str| Digest::from_hex(text).ok_or_else(|| wrong("digest"));
    let receipt = match (kind, content) {
        (DataKind::Final, SlotContent::Final(there)) => {
            let (scope, rest) = scoped(&object.key, &inner.keys.all_receipts())?;
            let file = portico_store::FileId::parse(rest)?;
            let data = inner.keys.final_data(&scope, &file, &there.token()?);
            let digest = Hash::Sha256(hash(&there.sha256)?);
            ExpectedData { slot: object.clone(), data, part: None, size: there.size, digest }
        }
        (DataKind::Part, SlotContent::Part(there)) => {
            let (scope, rest) = scoped(&object.key, &inner.keys.all_parts())?;
            let (session, number) = part_of(rest)?;
            let data = inner.keys.temp_data(&scope, &TempKey { session, number, token: there.token()? });
            let digest = Hash::Blake3(hash(&there.blake3)?);
            ExpectedData { slot: object.clone(), data, part: Some(number), size: there.size, digest }
        }
        _ => return Err(wrong("content of its kind")),
    };
    Ok(Some(receipt))
}

fn scoped<'a>(key: &'a str, prefix: &ObjectKey) -> Result<(Scope, &'a str)> {
    parse_scoped(key, &prefix.key).ok_or_else(|| Error::internal("its key does not belong to a store"))
}

fn part_of(rest: &str) -> Result<(SessionId, u32)> {
    parse_part(rest).ok_or_else(|| Error::internal("its key does not belong to a store"))
}

/// Reads a receipt again that differs from the listings, and then looks at its data.
async fn look_again(
    inner: &Arc<Inner>,
    kind: DataKind,
    seen: ExpectedData,
    whole: &mut Vec<ExpectedData>,
    findings: &mut Findings<'_>,
) -> Result<()> {
    let now = receipt(inner, kind, &seen.slot, inner.slots.get(&seen.slot).await.map_err(Error::from))?;
    let Some(now) = now else { return Ok(()) };
    match inner.client.head(&now.data).await? {
        Some(there) if there.size == now.size => whole.push(now),
        there => {
            // The data may have gone with its receipt between the two requests.
            let still = receipt(inner, kind, &now.slot, inner.slots.get(&now.slot).await.map_err(Error::from))?;
            if still.is_some_and(|still| still.data == now.data) {
                findings.differs(
                    &now.data.key,
                    now.part,
                    match there {
                        Some(there) => DifferenceKind::Size { expected: now.size, found: there.size },
                        None => DifferenceKind::Missing { size: now.size },
                    },
                );
                findings.compared(kind == DataKind::Part, now.size);
            }
        }
    }
    Ok(())
}

/// Compares the digests of existing data.
async fn compare_content(
    inner: &Arc<Inner>,
    kind: DataKind,
    depth: Depth,
    whole: Vec<ExpectedData>,
    findings: &mut Findings<'_>,
) -> Result<()> {
    if depth == Depth::Sizes {
        whole.iter().for_each(|receipt| findings.compared(kind == DataKind::Part, receipt.size));
        return Ok(());
    }
    // A few at a time, so that findings are reported soon.
    let mut whole = whole.into_iter().peekable();
    while whole.peek().is_some() && !findings.is_stopped() {
        let some = whole.by_ref().take(limits::VERIFY_READS).collect();
        let read = each(limits::VERIFY_READS, some, |receipt: ExpectedData| {
            let inner = inner.clone();
            async move {
                let same = is_same(&inner, &receipt).await;
                Ok((receipt, same))
            }
        });
        for (seen, same) in read.await? {
            findings.compared(kind == DataKind::Part, seen.size);
            let difference = match same {
                Ok(true) => continue,
                Ok(false) => DifferenceKind::Content,
                Err(error @ Error::Unavailable { .. }) => return Err(error),
                Err(Error::NotFound) => DifferenceKind::Missing { size: seen.size },
                Err(error) => unreadable(&error),
            };
            let now = receipt(inner, kind, &seen.slot, inner.slots.get(&seen.slot).await.map_err(Error::from))?;
            if now.is_some_and(|now| now.data == seen.data) {
                findings.differs(&seen.data.key, seen.part, difference);
            }
        }
    }
    Ok(())
}

async fn is_same(inner: &Arc<Inner>, receipt: &ExpectedData) -> Result<bool> {
    Ok(match receipt.digest {
        Hash::Sha256(expected) => reading::digest(inner, &receipt.data, receipt.size).await? == expected,
        Hash::Blake3(expected) => reading::blake3(inner, &receipt.data, receipt.size).await? == expected,
    })
}

fn unreadable(error: &Error) -> DifferenceKind {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    DifferenceKind::Unreadable(causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

/// A listing of data.
struct DataListing<'a> {
    kind: DataKind,
    prefix: ObjectKey,
    listing: Listing<'a>,
    /// The first listed object after the latest key that was looked for.
    ahead: Option<Listed>,
}

impl DataListing<'_> {
    /// Returns the size of data, if listed. Callers ask for keys in order.
    async fn find(&mut self, key: &str, findings: &mut Findings<'_>) -> Result<Option<u64>> {
        self.skip(Some(key), findings).await?;
        let found = self.ahead.take_if(|listed| listed.key == key);
        Ok(found.map(|listed| listed.size))
    }

    /// Passes the data listed before a key, or to the end. None of them has a receipt.
    async fn skip(&mut self, until: Option<&str>, findings: &mut Findings<'_>) -> Result<()> {
        loop {
            if self.ahead.is_none() {
                self.ahead = self.listing.next().await?;
            }
            let before = |listed: &mut Listed| until.is_none_or(|until| listed.key.as_str() < until);
            let Some(passed) = self.ahead.take_if(before) else { return Ok(()) };
            let rest = parse_scoped(&passed.key, &self.prefix.key).map(|(_, rest)| rest);
            let is_ours = match self.kind {
                DataKind::Final => rest.and_then(parse_data).is_some(),
                DataKind::Part => rest.and_then(parse_temp).is_some(),
            };
            if is_ours {
                findings.unfinished();
            } else {
                findings.differs(&passed.key, None, DifferenceKind::Unknown);
            }
        }
    }
}

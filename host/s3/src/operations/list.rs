//! Listings. Invariant: a listing in the order of keys is in the order of names, and the size of a slot tells whether
//! it is live.

use crate::each::each;
use crate::keys::{ObjectKey, parse_part};
use crate::operations::put_final;
use crate::request::objects::{KEYS_MAX, Listed, Listing};
use crate::shared::Inner;
use crate::slots::found::read_part_slot;
use crate::slots::receipt::SlotContent;
use crate::slots::slot::{LIVE_MIN, Slot, State, WIDTH, live};
use portico_store::{
    Argument, Cursor, Error, FileId, FinalReceipt, ListedPart, Page, RecordName, Result, Scope, SessionId, TempKey,
    Token,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most parts of a page whose slots are read at once. Two more listings cost as many requests.
const READ_MAX: usize = 2;

/// Returns the next slots of parts in a session, live and free, at most [`KEYS_MAX`]; and the number to continue after,
/// if there may be more.
pub(crate) async fn part_slots(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    after: Option<u32>,
) -> Result<(Vec<(u32, Slot)>, Option<u32>)> {
    let prefix = inner.keys.session_parts(scope, session);
    let after = after.map(|number| inner.keys.part(scope, session, number).key);
    let (listed, more) = inner.client.list(&prefix, after.as_deref(), KEYS_MAX).await?;
    let number = |listed: &Listed| number_of(&prefix, listed);
    let last = listed.last().and_then(number);
    let slots = slots(inner, &prefix.bucket, listed).await?;
    let slots = slots
        .into_iter()
        .filter(|(_, slot)| matches!(slot.state, State::Live(SlotContent::Part(_), _) | State::Free))
        .filter_map(|(listed, slot)| Some((number(&listed)?, slot)))
        .collect();
    Ok((slots, last.filter(|_| more)))
}

/// Returns the number of a part from the key of its slot.
fn number_of(prefix: &ObjectKey, listed: &Listed) -> Option<u32> {
    listed.key.strip_prefix(&prefix.key)?.parse().ok()
}

/// Returns a cached slot if a listing shows it unchanged.
fn known(inner: &Inner, bucket: &str, listed: &Listed) -> Option<Slot> {
    let object = ObjectKey { bucket: bucket.to_owned(), key: listed.key.clone() };
    inner.cache.get(&object).filter(|slot| !slot.etag.is_empty() && slot.etag == listed.etag)
}

/// Reads the slots of a listing, [`WIDTH`] at a time. Leaves out slots that are gone.
async fn slots(inner: &Arc<Inner>, bucket: &str, listed: Vec<Listed>) -> Result<Vec<(Listed, Slot)>> {
    let bucket = bucket.to_owned();
    let read = each(WIDTH, listed, |listed| {
        let (inner, bucket) = (inner.clone(), bucket.clone());
        async move {
            let slot = match known(&inner, &bucket, &listed) {
                Some(slot) => Some(slot),
                None => read_part_slot(&inner, &ObjectKey { bucket, key: listed.key.clone() }).await?,
            };
            Ok(slot.map(|slot| (listed, slot)))
        }
    });
    Ok(read.await?.into_iter().flatten().collect())
}

/// Returns the next live slots below a prefix, at most `limit`; and whether there may be more.
async fn live_slots(
    inner: &Arc<Inner>,
    prefix: &ObjectKey,
    after: Option<String>,
    limit: u32,
) -> Result<(Vec<Listed>, bool)> {
    let mut listing = Listing::new(&inner.client, prefix.clone(), after);
    let mut found = Vec::new();
    while let Some(listed) = listing.next().await? {
        if listed.size < LIVE_MIN {
            continue;
        }
        if found.len() == limit as usize {
            return Ok((found, true));
        }
        found.push(listed);
    }
    Ok((found, false))
}

/// Lists parts without reading their slots, where the keys suffice.
///
/// Three listings of one range of numbers follow each other: slots, data, slots again. A slot that is live with the
/// same entity tag in both listings of slots existed throughout, because each write of a slot has its own token. So its
/// data existed while data was listed. If the number has only one data object, it belongs to the part: its key has the
/// token and its listing the size. The slot of any other number is read.
pub(crate) async fn parts(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<ListedPart>> {
    let after = after.map(|cursor| cursor.as_str().parse::<u32>()).transpose();
    let after = after.map_err(|_| Error::InvalidArgument(Argument::Cursor))?;
    let prefix = inner.keys.session_parts(scope, session);
    let mut after = after.map(|number| inner.keys.part(scope, session, number).key);
    let mut entries: Vec<ListedPart> = Vec::new();
    // Parts that were deleted since they were listed make room for later ones: a page with a successor is full.
    loop {
        let wanted = limit - u32::try_from(entries.len()).unwrap_or(limit);
        let (listed, more) = live_slots(inner, &prefix, after, wanted).await?;
        after = listed.last().map(|listed| listed.key.clone());
        entries.extend(parts_of(inner, scope, session, listed).await?);
        if !more || entries.len() == limit as usize {
            let next = cursor(more, entries.last().map(|part| part.key.number.to_string()))?;
            return Ok(Page { entries, next });
        }
    }
}

/// Returns the parts of listed slots in order, without parts that were deleted since.
async fn parts_of(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    listed: Vec<Listed>,
) -> Result<Vec<ListedPart>> {
    let prefix = inner.keys.session_parts(scope, session);
    let unseen: Vec<&Listed> = listed.iter().filter(|listed| known(inner, &prefix.bucket, listed).is_none()).collect();
    let mut parts = match unseen.len() {
        0..=READ_MAX => BTreeMap::new(),
        _ => plain_parts(inner, scope, session, &unseen).await?,
    };
    let is_open = |listed: &Listed| number_of(&prefix, listed).is_some_and(|number| !parts.contains_key(&number));
    let open = listed.into_iter().filter(is_open).collect();
    for (listed, slot) in slots(inner, &prefix.bucket, open).await? {
        if let (Some(number), Some(part)) = (number_of(&prefix, &listed), live(Some(slot))) {
            let key = TempKey { session: session.clone(), number, token: part.token()? };
            parts.insert(number, ListedPart { key, size: part.size, offset: part.offset });
        }
    }
    Ok(parts.into_values().collect())
}

/// Returns, by number, the parts of listed slots that two more listings determine.
async fn plain_parts(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    before: &[&Listed],
) -> Result<BTreeMap<u32, ListedPart>> {
    let prefix = inner.keys.session_parts(scope, session);
    let end = |listed: Option<&&Listed>| listed.and_then(|listed| number_of(&prefix, listed));
    let (Some(first), Some(last)) = (end(before.first()), end(before.last())) else { return Ok(BTreeMap::new()) };

    let data_prefix = inner.keys.session_data(scope, session);
    let mut listing = Listing::new(&inner.client, data_prefix.clone(), Some(format!("{}{first:010}", data_prefix.key)));
    // A number with several data objects has none here.
    let mut data: BTreeMap<u32, Option<ListedPart>> = BTreeMap::new();
    while let Some(Listed { key, size, .. }) = listing.next().await? {
        let rest = key.strip_prefix(&data_prefix.key).and_then(|rest| rest.split_once('!'));
        let Some((Ok(number), Ok(token))) = rest.map(|(number, token)| (number.parse(), Token::parse(token))) else {
            continue;
        };
        if number > last {
            break;
        }
        let part = ListedPart { key: TempKey { session: session.clone(), number, token }, size, offset: None };
        data.entry(number).and_modify(|several| *several = None).or_insert(Some(part));
        if number == last && listing.ends_page() {
            // Looking for more data of this number would cost a request, as reading its slot does.
            data.remove(&last);
            break;
        }
    }

    let start = first.checked_sub(1).map(|number| inner.keys.part(scope, session, number).key);
    let mut listing = Listing::new(&inner.client, prefix.clone(), start);
    let mut after = HashMap::new();
    while let Some(listed) = listing.next().await? {
        let is_last = number_of(&prefix, &listed).is_none_or(|number| number >= last);
        after.insert(listed.key, listed.etag);
        if is_last {
            break;
        }
    }
    let unchanged = before.iter().filter(|slot| !slot.etag.is_empty() && after.get(&slot.key) == Some(&slot.etag));
    let numbers = unchanged.filter_map(|slot| number_of(&prefix, slot));
    Ok(numbers.filter_map(|number| Some((number, data.remove(&number)??))).collect())
}

pub(crate) async fn sessions(
    inner: &Arc<Inner>,
    scope: &Scope,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<SessionId>> {
    let prefix = inner.keys.parts(scope);
    // The end of all parts of a session: `"` is the byte after `!`.
    let beyond = |session: &str| format!("{}{session}\"", prefix.key);
    let mut after = after.map(|cursor| beyond(cursor.as_str()));
    let mut entries: Vec<SessionId> = Vec::new();
    loop {
        let (listed, more) = inner.client.list(&prefix, after.as_deref(), KEYS_MAX).await?;
        let last = listed.last().map(|listed| listed.key.clone());
        for listed in listed {
            let part = listed.key.strip_prefix(&prefix.key).and_then(parse_part);
            let Some((session, _)) = part.filter(|_| listed.size >= LIVE_MIN) else { continue };
            if entries.last() == Some(&session) {
                continue;
            }
            if entries.len() == limit as usize {
                let next = cursor(true, entries.last().map(ToString::to_string))?;
                return Ok(Page { entries, next });
            }
            entries.push(session);
        }
        let (Some(last), true) = (last, more) else { return Ok(Page { entries, next: None }) };
        // The rest of a known session that fills a page need not be listed.
        let session = last.strip_prefix(&prefix.key).and_then(parse_part).map(|(session, _)| session);
        after = match session {
            Some(session) if entries.last() == Some(&session) => Some(beyond(session.as_str())),
            _ => Some(last),
        };
    }
}

pub(crate) async fn finals(
    inner: &Arc<Inner>,
    scope: &Scope,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<FileId>> {
    let prefix = inner.keys.receipts(scope);
    let after = after.map(|cursor| format!("{}{cursor}", prefix.key));
    let (listed, more) = live_slots(inner, &prefix, after, limit).await?;
    let id = |listed: &Listed| listed.key.strip_prefix(&prefix.key).and_then(|id| FileId::parse(id).ok());
    let entries: Vec<FileId> = listed.iter().filter_map(id).collect();
    let next = cursor(more, entries.last().map(ToString::to_string))?;
    Ok(Page { entries, next })
}

/// Reads the receipts of final objects, [`WIDTH`] at a time.
pub(crate) async fn receipts(inner: &Arc<Inner>, scope: &Scope, files: &[FileId]) -> Result<Vec<Option<FinalReceipt>>> {
    each(WIDTH, files.to_vec(), |file| {
        let (inner, scope) = (inner.clone(), scope.clone());
        async move {
            match put_final::stat(&inner, &scope, &file).await {
                Ok(receipt) => Ok(Some(receipt)),
                Err(Error::NotFound | Error::Gone(_)) => Ok(None),
                Err(error) => Err(error),
            }
        }
    })
    .await
}

pub(crate) async fn records(
    inner: &Arc<Inner>,
    scope: &Scope,
    prefix: &str,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<RecordName>> {
    let prefix = inner.keys.records_from(scope, prefix);
    let after = after.map(|cursor| inner.keys.records_after(scope, cursor));
    let (listed, more) = live_slots(inner, &prefix, after, limit).await?;
    let entries: Vec<RecordName> =
        listed.iter().filter_map(|listed| inner.keys.parse_record(scope, &listed.key)).collect();
    let next = cursor(more, entries.last().map(ToString::to_string))?;
    Ok(Page { entries, next })
}

fn cursor(more: bool, last: Option<String>) -> Result<Option<Cursor>> {
    last.filter(|_| more).map(|last| Cursor::parse(&last)).transpose()
}

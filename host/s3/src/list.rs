//! Listings: of keys in their order, which is the order of names; of live slots only, which their size tells.

use crate::keys::{Place, parse_part};
use crate::objects::{KEYS_MAX, Listed, Listing};
use crate::put_final;
use crate::put_part::live;
use crate::receipt::Content;
use crate::slot::{LIVE_MIN, Slot, State, WIDTH};
use crate::store::Inner;
use portico_store::{
    Argument, Cursor, Error, FileId, FinalReceipt, ListedPart, Page, RecordName, Result, Scope, SessionId, TempKey,
    Token,
};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Parts of a page whose slots are read at once. Two more listings cost no more requests than that.
const READ_MAX: usize = 2;

/// The slots of parts that come next in a session, live and free, at most [`KEYS_MAX`] of them; and the number after
/// which to go on, if there may be more.
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
        .filter(|(_, slot)| matches!(slot.state, State::Live(Content::Part(_), _) | State::Free))
        .filter_map(|(listed, slot)| Some((number(&listed)?, slot)))
        .collect();
    Ok((slots, last.filter(|_| more)))
}

/// The number of a part by the key of its slot.
fn number_of(prefix: &Place, listed: &Listed) -> Option<u32> {
    listed.key.strip_prefix(&prefix.key)?.parse().ok()
}

/// A slot that this process has seen, if it is unchanged in a listing.
fn known(inner: &Inner, bucket: &str, listed: &Listed) -> Option<Slot> {
    let place = Place { bucket: bucket.to_owned(), key: listed.key.clone() };
    inner.cache.get(&place).filter(|slot| !slot.etag.is_empty() && slot.etag == listed.etag)
}

/// Reads the slots of a listing, [`WIDTH`] at a time. What is not there any more is left out.
async fn slots(inner: &Arc<Inner>, bucket: &str, listed: Vec<Listed>) -> Result<Vec<(Listed, Slot)>> {
    let mut read = Vec::with_capacity(listed.len());
    let mut running = JoinSet::new();
    let mut listed = listed.into_iter().enumerate();
    loop {
        while running.len() < WIDTH {
            let Some((at, listed)) = listed.next() else { break };
            if let Some(slot) = known(inner, bucket, &listed) {
                read.push((at, (listed, slot)));
                continue;
            }
            let place = Place { bucket: bucket.to_owned(), key: listed.key.clone() };
            let inner = inner.clone();
            running.spawn(async move {
                let slot = inner.slots.get(&place).await?;
                if let Some(slot) = &slot
                    && matches!(slot.state, State::Live(Content::Part(_), _))
                {
                    inner.cache.put(&place, slot);
                }
                Ok::<_, Error>(slot.map(|slot| (at, (listed, slot))))
            });
        }
        match running.join_next().await {
            Some(slot) => read.extend(slot.map_err(Error::internal)??),
            None => break,
        }
    }
    read.sort_by_key(|(at, _)| *at);
    Ok(read.into_iter().map(|(_, slot)| slot).collect())
}

/// The live slots that come next below a prefix, at most `limit`; and whether there may be more.
async fn live_slots(
    inner: &Arc<Inner>,
    prefix: &Place,
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

/// Lists parts without reading their slots, where the keys tell all.
///
/// Three listings of one range of numbers follow each other: slots, data, slots again. A slot that is live with the same
/// entity tag in both listings of slots existed throughout, because each write of a slot has a token of its own. So its
/// data existed while data was listed. If the number has one data object only, that is the part's: its key has the token
/// and its listing the size. The slot of any other number is read.
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
    // Parts that were deleted since they were listed make room for later ones: a page with more after it is full.
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

/// The parts of slots that were listed, in their order, without those that have been deleted since.
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
            parts.insert(number, ListedPart { key, size: part.size });
        }
    }
    Ok(parts.into_values().collect())
}

/// The parts, by number, that two more listings tell of slots which were listed before.
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
        let part = ListedPart { key: TempKey { session: session.clone(), number, token }, size };
        data.entry(number).and_modify(|several| *several = None).or_insert(Some(part));
        if number == last && listing.ends_page() {
            // Whether this number has more would cost a request, as reading its slot does.
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
    // What comes after all the parts of a session: `"` is the byte after `!`.
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
        // A session that fills a page and is known need not be listed to its end.
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

/// The receipts of final objects, read [`WIDTH`] at a time.
pub(crate) async fn receipts(inner: &Arc<Inner>, scope: &Scope, files: &[FileId]) -> Result<Vec<Option<FinalReceipt>>> {
    let mut receipts = vec![None; files.len()];
    let mut running = JoinSet::new();
    let mut files = files.iter().cloned().enumerate();
    loop {
        while running.len() < WIDTH {
            let Some((at, file)) = files.next() else { break };
            let (inner, scope) = (inner.clone(), scope.clone());
            running.spawn(async move {
                match put_final::stat(&inner, &scope, &file).await {
                    Ok(receipt) => Ok((at, Some(receipt))),
                    Err(Error::NotFound | Error::Gone(_)) => Ok((at, None)),
                    Err(error) => Err(error),
                }
            });
        }
        match running.join_next().await {
            Some(done) => {
                let (at, receipt) = done.map_err(Error::internal)??;
                receipts[at] = receipt;
            }
            None => return Ok(receipts),
        }
    }
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

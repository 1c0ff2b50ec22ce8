//! Listings: of keys in their order, which is the order of names; of live slots only, which their size tells.

use crate::keys::{Place, parse_part};
use crate::operations::put_final::answer;
use crate::request::objects::{KEYS_MAX, Listed, Listing};
use crate::shared::Inner;
use crate::slots::found::{Found, found};
use crate::slots::receipt::Content;
use crate::slots::slot::live;
use crate::slots::slot::{LIVE_MIN, Slot, State, WIDTH};
use portico_store::{
    Argument, Cursor, Error, FileId, FinalReceipt, Page, PartReceipt, RecordName, Result, Scope, SessionId, TempKey,
};
use std::sync::Arc;
use tokio::task::JoinSet;

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
    let number = |listed: &Listed| listed.key.strip_prefix(&prefix.key).and_then(|number| number.parse::<u32>().ok());
    let last = listed.last().and_then(number);
    let slots = slots(inner, &prefix.bucket, listed).await?;
    let slots = slots
        .into_iter()
        .filter(|(_, slot)| matches!(slot.state, State::Live(Content::Part(_), _) | State::Free))
        .filter_map(|(listed, slot)| Some((number(&listed)?, slot)))
        .collect();
    Ok((slots, last.filter(|_| more)))
}

/// Reads the slots of a listing, [`WIDTH`] at a time. What is not there any more is left out.
async fn slots(inner: &Arc<Inner>, bucket: &str, listed: Vec<Listed>) -> Result<Vec<(Listed, Slot)>> {
    let mut read = Vec::with_capacity(listed.len());
    let mut running = JoinSet::new();
    let mut listed = listed.into_iter().enumerate();
    loop {
        while running.len() < WIDTH {
            let Some((at, listed)) = listed.next() else { break };
            let place = Place { bucket: bucket.to_owned(), key: listed.key.clone() };
            let known = inner.cache.get(&place).filter(|slot| !slot.etag.is_empty() && slot.etag == listed.etag);
            if let Some(slot) = known {
                read.push((at, (listed, slot)));
                continue;
            }
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

/// The entries that come next below a prefix, at most `limit`, and whether there may be more after the last of them. What
/// has been deleted since it was listed makes room for what comes after it, so that a page with more after it is full.
async fn page<T>(
    inner: &Arc<Inner>,
    prefix: &Place,
    mut after: Option<String>,
    limit: u32,
    entry: impl Fn(&Listed, Slot) -> Result<Option<T>>,
) -> Result<(Vec<T>, bool)> {
    let mut entries = Vec::new();
    let mut wanted = limit;
    loop {
        let (listed, more) = live_slots(inner, prefix, after, wanted).await?;
        after = listed.last().map(|listed| listed.key.clone());
        for (listed, slot) in slots(inner, &prefix.bucket, listed).await? {
            if let Some(entry) = entry(&listed, slot)? {
                wanted -= 1;
                entries.push(entry);
            }
        }
        if !more || wanted == 0 {
            return Ok((entries, more));
        }
    }
}

pub(crate) async fn parts(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    after: Option<&Cursor>,
    limit: u32,
) -> Result<Page<PartReceipt>> {
    let after = after.map(|cursor| cursor.as_str().parse::<u32>()).transpose();
    let after = after.map_err(|_| Error::InvalidArgument(Argument::Cursor))?;
    let prefix = inner.keys.session_parts(scope, session);
    let after = after.map(|number| inner.keys.part(scope, session, number).key);
    let entry = |listed: &Listed, slot| {
        let number = listed.key.strip_prefix(&prefix.key).and_then(|number| number.parse::<u32>().ok());
        let (Some(part), Some(number)) = (live(Some(slot)), number) else { return Ok(None) };
        let key = TempKey { session: session.clone(), number, token: part.token()? };
        part.receipt(key, false).map(Some)
    };
    let (entries, more) = page(inner, &prefix, after, limit, entry).await?;
    let next = cursor(more, entries.last().map(|part| part.key.number.to_string()))?;
    Ok(Page { entries, next })
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
) -> Result<Page<FinalReceipt>> {
    let prefix = inner.keys.receipts(scope);
    let after = after.map(|cursor| format!("{}{cursor}", prefix.key));
    let entry = |listed: &Listed, slot| {
        let file = listed.key.strip_prefix(&prefix.key).and_then(|id| FileId::parse(id).ok());
        match (file, found(Some(slot))?) {
            (Some(file), Found::Live(there, _)) => answer(inner, scope, &file, &there, false).map(Some),
            _ => Ok(None),
        }
    };
    let (entries, more) = page(inner, &prefix, after, limit, entry).await?;
    let next = cursor(more, entries.last().map(|object| object.file.to_string()))?;
    Ok(Page { entries, next })
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

//! Removes what killed and failed operations of any process leave.
//!
//! Data without a receipt may still get one. The first sweep that finds such data leaves a mark. A sweep that comes a
//! grace time after the mark, by the server's clock, reads the receipt again and only then removes data and mark. A put
//! that is late enough to matter looks for the mark before it makes its receipt (`data.rs`). So sweeps do not depend on
//! this machine's clock, and may run in any number of processes beside running puts.
//!
//! Invariant: only keys of the forms in `keys.rs` are removed.

use crate::keys::{DataKind, ObjectKey, parse_data, parse_part, parse_scoped, parse_temp};
use crate::limits;
use crate::open::probe::Uploads;
use crate::request::frames::Frames;
use crate::request::objects::{Condition, Listed, Listing};
use crate::shared::Inner;
use crate::slots::found::{Found, look};
use crate::slots::slot::live;
use crate::slots::slot::{LIVE_MIN, SEAL_MAX, Slot, State};
use bytes::Bytes;
use portico_store::{Result, SweepReport};
use std::sync::Arc;
use std::time::Duration;

pub(crate) async fn sweep(inner: &Arc<Inner>) -> Result<SweepReport> {
    let mut report = SweepReport::default();
    orphans(inner, DataKind::Part, &mut report).await?;
    orphans(inner, DataKind::Final, &mut report).await?;
    marks(inner).await?;
    slots(inner, inner.keys.all_parts(), &mut report).await?;
    slots(inner, inner.keys.all_records(), &mut report).await?;
    uploads(inner, &mut report).await?;
    probes(inner, &mut report).await?;
    Ok(report)
}

fn foreign(report: &mut SweepReport, key: &str) {
    if report.foreign.len() < limits::FOREIGN_MAX {
        report.foreign.push(key.to_owned());
    }
}

/// Handles data without a receipt. Data and slots are listed side by side in the same order. A slot is read only if the
/// listings do not show whether it owns the data.
async fn orphans(inner: &Arc<Inner>, kind: DataKind, report: &mut SweepReport) -> Result<()> {
    let (data, slots) = inner.keys.data_and_slots(kind);
    let mut all_data = Listing::new(&inner.client, data.clone(), None);
    let mut all_slots = Listing::new(&inner.client, slots.clone(), None);
    let mut slot = all_slots.next().await?;
    let mut group: Vec<Listed> = Vec::new();
    let mut owner: Option<String> = None;
    loop {
        let listed = all_data.next().await?;
        let rest = listed.as_ref().and_then(|listed| listed.key.strip_prefix(&data.key));
        let of = rest.and_then(|rest| rest.rsplit_once('!')).map(|(of, _)| of.to_owned());
        if of != owner || listed.is_none() {
            if let Some(owner) = owner.take() {
                let key = format!("{}{owner}", slots.key);
                while slot.as_ref().is_some_and(|slot| slot.key < key) {
                    slot = all_slots.next().await?;
                }
                let is_live = slot.as_ref().is_some_and(|slot| slot.key == key && slot.size >= LIVE_MIN);
                // The only data object belongs to the receipt.
                if !(is_live && group.len() == 1) {
                    for listed in &group {
                        orphan(inner, kind, &data, listed, report).await?;
                    }
                }
            }
            group.clear();
            owner = of;
        }
        match listed {
            None => return Ok(()),
            Some(listed) if owner.is_none() => foreign(report, &listed.key),
            Some(listed) => group.push(listed),
        }
    }
}

/// Handles data that may have no receipt.
async fn orphan(
    inner: &Arc<Inner>,
    kind: DataKind,
    prefix: &ObjectKey,
    listed: &Listed,
    report: &mut SweepReport,
) -> Result<()> {
    let object = ObjectKey { bucket: prefix.bucket.clone(), key: listed.key.clone() };
    let Some(has_receipt) = has_receipt(inner, kind, prefix, &listed.key).await? else {
        foreign(report, &listed.key);
        return Ok(());
    };
    let mark = inner.keys.mark(&object);
    let marked = inner.client.head(&mark).await?;
    match marked {
        _ if has_receipt => {
            if marked.is_some() {
                inner.client.delete(&[mark]).await?;
            }
        }
        None => {
            inner.client.step("mark")?;
            let content = Frames::from(Bytes::from_static(b"found without a receipt\n"));
            inner.client.put_if(&mark, &content, Condition::Absent).await?;
        }
        Some(mark_there) if inner.client.age(mark_there.modified_ms) >= inner.options.grace => {
            // The receipt was read after the mark had existed for the grace time.
            inner.client.delete(&[object]).await?;
            inner.client.delete(&[mark]).await?;
            report.removed += 1;
            report.bytes += listed.size;
        }
        Some(_) => {}
    }
    Ok(())
}

/// Returns whether data has a receipt; `None` if its key is none of this store.
async fn has_receipt(inner: &Arc<Inner>, kind: DataKind, prefix: &ObjectKey, key: &str) -> Result<Option<bool>> {
    let Some((scope, rest)) = parse_scoped(key, &prefix.key) else { return Ok(None) };
    Ok(match kind {
        DataKind::Part => match parse_temp(rest) {
            Some(key) => {
                let slot = inner.slots.get(&inner.keys.part(&scope, &key.session, key.number)).await?;
                Some(live(slot).is_some_and(|part| part.data == key.token.as_str()))
            }
            None => None,
        },
        DataKind::Final => match parse_data(rest) {
            Some((file, token)) => {
                let found = look(inner, &scope, &file).await?;
                Some(matches!(found, Found::Live(there, _) if there.data == token.as_str()))
            }
            None => None,
        },
    })
}

/// Removes marks whose data is gone or has its receipt after all.
async fn marks(inner: &Arc<Inner>) -> Result<()> {
    let prefix = inner.keys.marks();
    let mut listing = Listing::new(&inner.client, prefix.clone(), None);
    while let Some(listed) = listing.next().await? {
        let Some(rest) = listed.key.strip_prefix(&prefix.key) else { continue };
        let (kind, location, all) = if rest.starts_with("temp/") {
            (DataKind::Part, &inner.keys.temp, inner.keys.all_temp_data())
        } else {
            (DataKind::Final, &inner.keys.main, inner.keys.all_final_data())
        };
        let data = ObjectKey { bucket: location.bucket.clone(), key: format!("{}{rest}", location.prefix) };
        let is_old = inner.client.age(listed.modified_ms) >= inner.options.grace;
        if is_old
            && (inner.client.head(&data).await?.is_none()
                || has_receipt(inner, kind, &all, &data.key).await? == Some(true))
        {
            inner.client.delete(&[ObjectKey { bucket: prefix.bucket.clone(), key: listed.key }]).await?;
        }
    }
    Ok(())
}

/// Removes slots that have been free for the grace time, and sealed slots whose removal failed.
async fn slots(inner: &Arc<Inner>, prefix: ObjectKey, report: &mut SweepReport) -> Result<()> {
    let mut listing = Listing::new(&inner.client, prefix.clone(), None);
    while let Some(listed) = listing.next().await? {
        let age = inner.client.age(listed.modified_ms);
        if listed.size >= LIVE_MIN || age < SEAL_MAX.min(inner.options.grace) {
            continue;
        }
        let is_ours = match parse_scoped(&listed.key, &prefix.key) {
            Some((_, rest)) if prefix == inner.keys.all_parts() => parse_part(rest).is_some(),
            Some((scope, _)) => inner.keys.parse_record(&scope, &listed.key).is_some(),
            None => false,
        };
        if !is_ours {
            foreign(report, &listed.key);
            continue;
        }
        let object = ObjectKey { bucket: prefix.bucket.clone(), key: listed.key };
        match inner.slots.get(&object).await? {
            Some(slot)
                if is_due(&slot, age, inner.options.grace)
                    && inner.slots.write(&object, Some(&slot), &State::Sealed).await?.is_ok() =>
            {
                inner.slots.remove_sealed(std::slice::from_ref(&object)).await?;
                report.removed += 1;
                report.bytes += listed.size;
            }
            _ => {}
        }
    }
    Ok(())
}

fn is_due(slot: &Slot, age: Duration, grace: Duration) -> bool {
    match slot.state {
        State::Free => age >= grace,
        State::Sealed => age >= SEAL_MAX,
        State::Live(..) | State::Gone(_) => false,
    }
}

/// Aborts unfinished multipart uploads of our data without a new piece for the grace time.
async fn uploads(inner: &Arc<Inner>, report: &mut SweepReport) -> Result<()> {
    let prefixes = [inner.keys.all_temp_data(), inner.keys.all_final_data(), inner.keys.probes()];
    for prefix in &prefixes {
        let found = match inner.capabilities.uploads {
            Uploads::ByPrefix => inner.client.unfinished(prefix).await?,
            Uploads::WholeBucket => {
                inner.client.unfinished(&ObjectKey { key: String::new(), ..prefix.clone() }).await?
            }
            Uploads::Never => Vec::new(),
        };
        for upload in found.iter().filter(|upload| upload.object.key.starts_with(&prefix.key)) {
            let age = |ms| inner.client.age(ms);
            if age(upload.initiated_ms) < inner.options.grace {
                continue;
            }
            let newest = inner.client.newest_piece(upload).await?.unwrap_or(upload.initiated_ms);
            if age(newest) >= inner.options.grace {
                inner.client.abort_upload(&upload.object, &upload.id).await?;
                report.removed += 1;
            }
        }
    }
    Ok(())
}

/// Removes scratch objects of killed openings.
async fn probes(inner: &Arc<Inner>, report: &mut SweepReport) -> Result<()> {
    let prefix = inner.keys.probes();
    let mut listing = Listing::new(&inner.client, prefix.clone(), None);
    while let Some(listed) = listing.next().await? {
        if inner.client.age(listed.modified_ms) >= inner.options.grace {
            inner.client.delete(&[ObjectKey { bucket: prefix.bucket.clone(), key: listed.key }]).await?;
            report.removed += 1;
            report.bytes += listed.size;
        }
    }
    Ok(())
}

//! Assembles final objects from parts, within the store.
//!
//! The server copies the pieces of a new multipart object from the parts' data where their sizes allow. Other pieces
//! are streamed through this host; see `plan.rs`. For the digest only parts without a chain are read back. The parts
//! are removed in the background once the object exists: each takes a request or two, so many take long.
//!
//! Other processes are not excluded: they may put, delete or assemble the same parts meanwhile. The first receipt makes
//! the object. A part whose data disappears too early fails the assembly.

use crate::content::data::PendingData;
use crate::content::multipart_upload::MultipartUpload;
use crate::content::reading::{self, Reading, Source};
use crate::digest::chain;
use crate::keys::ObjectKey;
use crate::limits;
use crate::operations::delete::end_parts;
use crate::operations::list;
use crate::operations::plan::{Limits, PlannedPiece, SourceRange, plan};
use crate::operations::put_final::{self, compare_existing, publish};
use crate::request::failure::{Failure, Kind};
use crate::request::frames::Frames;
use crate::request::multipart::{PIECES_MAX, Piece};
use crate::request::straight;
use crate::shared::Inner;
use crate::slots::found::{Found, look};
use crate::slots::receipt::Part;
use crate::slots::slot::Slot;
use crate::slots::slot::live;
use portico_store::stream::ByteStream;
use portico_store::{
    Digest, Error, FileId, FinalOptions, FinalReceipt, IfExists, Result, Scope, SessionId, Sha256, TempKey, Token,
};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;
use tokio::task::JoinSet;

/// Longest range of one copy, in bytes (S3).
const COPY_MAX: u64 = 5 << 30;

pub(crate) async fn assemble(
    inner: &Arc<Inner>,
    scope: &Scope,
    file: &FileId,
    list: &[TempKey],
    options: FinalOptions,
) -> Result<FinalReceipt> {
    let (scope, file, list) = (scope.clone(), file.clone(), list.to_vec());
    inner.detached(|inner| async move { run(&inner, &scope, &file, &list, options).await }).await
}

async fn run(
    inner: &Arc<Inner>,
    scope: &Scope,
    file: &FileId,
    list: &[TempKey],
    options: FinalOptions,
) -> Result<FinalReceipt> {
    match look(inner, scope, file).await? {
        Found::Gone(reason) => return Err(Error::Gone(reason)),
        Found::Live(..) if options.if_exists == IfExists::Fail => return Err(Error::Conflict),
        _ => {}
    }
    let sessions: BTreeSet<&SessionId> = list.iter().map(|key| &key.session).collect();
    let named = sessions.iter().map(|session| (scope.clone(), (*session).clone())).collect();
    let assembling = inner.registry.assemble(named).await?;
    let mut pauses = Vec::new();
    for session in &sessions {
        inner.registry.interrupt(scope, session).await;
        // What the background has not hashed by now is hashed here.
        pauses.push(inner.catchers.pause(scope, session).await);
    }
    let slots = slots_of(inner, scope, list).await?;
    let parts: Arc<Vec<Part>> = Arc::new(slots.iter().filter_map(|slot| live(Some(slot.clone()))).collect());
    let size = parts.iter().try_fold(0u64, |sum, part| sum.checked_add(part.size)).unwrap_or(u64::MAX);
    match options.expected.size {
        Some(expected) if expected != size => return Err(Error::SizeMismatch { expected, actual: size }),
        _ if size > inner.options.max_object_size => {
            return Err(Error::TooLarge { limit: inner.options.max_object_size });
        }
        _ => {}
    }
    let if_exists = options.if_exists;
    let expected = options.expected.sha256;
    let token = Token::random()?;
    let source = |(key, part): (_, &Part)| Source { object: inner.keys.temp_data(scope, key), size: part.size };
    let sources: Arc<Vec<Source>> = Arc::new(list.iter().zip(&*parts).map(source).collect());

    let there = look(inner, scope, file).await?;
    let receipt = if let Found::Live(there, _) = there {
        let sha256 = digest(inner, &sources, &parts).await.map_err(missing_part)?;
        let ours = put_final::receipt(inner, &token, size, check(sha256, expected)?, options);
        compare_existing(inner, scope, file, &there, &ours, if_exists)?
    } else {
        let object = inner.keys.final_data(scope, file, &token);
        let mut data = PendingData::new(inner, object.clone());
        let content_type = options.content_type.clone();
        // Parts are read back while the server copies. A digest that is known already is checked before.
        let make = make(inner, &object, &sources, &parts, size, content_type.as_deref());
        let sha256 = if let Some(known) = chain::along(&parts) {
            let sha256 = check(known, expected)?;
            make.await.map_err(missing_part)?;
            sha256
        } else {
            let checked = async { check(digest(inner, &sources, &parts).await?, expected) };
            let (mut checked, mut make) = (pin!(checked), pin!(make));
            // The creation of the data is never cancelled: the server could execute its requests after their undoing.
            let both = tokio::select! {
                checked = &mut checked => make.await.and(checked),
                made = &mut make => match made {
                    Ok(()) => checked.await,
                    Err(error) => Err(error),
                },
            };
            both.map_err(missing_part)?
        };
        data.complete();
        let receipt = put_final::receipt(inner, &token, size, sha256, options);
        publish(inner, scope, file, receipt, data, if_exists).await?
    };
    assembling.consume();
    let (here, scope, list) = (inner.clone(), scope.clone(), list.to_vec());
    inner.spawn(async move {
        consume(&here, &scope, &list, slots).await;
        drop((assembling, pauses));
    });
    Ok(receipt)
}

fn check(sha256: Digest, expected: Option<Digest>) -> Result<Digest> {
    if expected.is_some_and(|expected| expected != sha256) { Err(Error::DigestMismatch) } else { Ok(sha256) }
}

/// Reports missing data as a missing part, because both disappear together.
fn missing_part(error: Error) -> Error {
    match error {
        Error::Internal(cause) => match cause.downcast::<Failure>() {
            Ok(failure) if failure.kind == Kind::Missing => Error::NotFound,
            Ok(failure) => Error::Internal(failure),
            Err(cause) => Error::Internal(cause),
        },
        other => other,
    }
}

/// Returns the slots of the parts, all of which must exist.
async fn slots_of(inner: &Arc<Inner>, scope: &Scope, list: &[TempKey]) -> Result<Vec<Slot>> {
    let mut wanted: BTreeMap<&SessionId, BTreeSet<u32>> = BTreeMap::new();
    for key in list {
        wanted.entry(&key.session).or_default().insert(key.number);
    }
    let mut found: HashMap<(&SessionId, u32), Slot> = HashMap::with_capacity(list.len());
    for (session, numbers) in wanted {
        // The listing shows which of the cached slots are current.
        let mut after = numbers.first().and_then(|first| first.checked_sub(1));
        loop {
            let (slots, next) = list::part_slots(inner, scope, session, after).await?;
            let ours = slots.into_iter().filter(|(number, _)| numbers.contains(number));
            found.extend(ours.map(|(number, slot)| ((session, number), slot)));
            after = next;
            if after.is_none() || numbers.last() <= after.as_ref() {
                break;
            }
        }
    }
    let mut slots = Vec::with_capacity(list.len());
    for key in list {
        let slot = found.get(&(&key.session, key.number)).ok_or(Error::NotFound)?;
        live(Some(slot.clone())).filter(|part| part.data == key.token.as_str()).ok_or(Error::NotFound)?;
        slots.push(slot.clone());
    }
    Ok(slots)
}

/// Returns the digest of the whole. Reads only parts without a fitting chain.
async fn digest(inner: &Arc<Inner>, sources: &[Source], parts: &[Part]) -> Result<Digest> {
    let mut sha256 = Sha256::new();
    // An empty part changes nothing.
    for (source, part) in sources.iter().zip(parts).filter(|(_, part)| part.size > 0) {
        if sha256.pass(part.chain().as_ref()) {
            continue;
        }
        reading::hash(inner, source, 0..part.size, &mut sha256).await?;
        inner.counters.read_back.fetch_add(part.size, Ordering::Relaxed);
    }
    Ok(sha256.finish())
}

/// Creates the data.
async fn make(
    inner: &Arc<Inner>,
    object: &ObjectKey,
    sources: &Arc<Vec<Source>>,
    parts: &Arc<Vec<Part>>,
    size: u64,
    content_type: Option<&str>,
) -> Result<()> {
    if size == 0 {
        return Ok(inner.client.put(object, &Frames::default(), content_type).await?);
    }
    if inner.capabilities.copies() {
        match multipart(inner, object, sources, parts, size, content_type, true).await {
            Err(Error::Internal(cause)) => match cause.downcast::<Failure>() {
                // The server confirmed copies that it did not make, or cannot copy.
                Ok(failure) if matches!(failure.kind, Kind::Pieces | Kind::Unsupported) => {
                    inner.capabilities.stop_copying();
                    tracing::warn!(error = %failure, "the server does not copy; sending parts through this host instead");
                    inner.client.delete(std::slice::from_ref(object)).await?;
                }
                Ok(failure) => return Err(Error::Internal(failure)),
                Err(cause) => return Err(Error::Internal(cause)),
            },
            other => return other,
        }
    }
    multipart(inner, object, sources, parts, size, content_type, false).await
}

async fn multipart(
    inner: &Arc<Inner>,
    object: &ObjectKey,
    sources: &Arc<Vec<Source>>,
    parts: &Arc<Vec<Part>>,
    size: u64,
    content_type: Option<&str>,
    can_copy: bool,
) -> Result<()> {
    let limits = Limits {
        piece_min: crate::PART_SIZE_MIN as u64,
        copy_max: COPY_MAX,
        pieces_max: PIECES_MAX,
        merge: inner.options.part_size,
        // Content that is passed straight on needs no memory; signed content is gathered first.
        stream_max: if inner.client.signs { inner.budget.piece_max() } else { COPY_MAX },
        can_copy,
    };
    let sizes: Vec<u64> = parts.iter().map(|part| part.size).collect();
    let pieces =
        plan(&sizes, &limits).map_err(|_| Error::TooLarge { limit: limits.stream_max.saturating_mul(PIECES_MAX) })?;
    let upload = MultipartUpload::create(inner, object, content_type, false).await?;
    let mut done: Vec<Piece> = Vec::with_capacity(pieces.len());
    let mut running = JoinSet::new();
    let mut pieces = (1..).zip(pieces);
    let mut streaming = 0;
    let mut next = pieces.next();
    loop {
        while let Some((number, piece)) = next.take() {
            let is_stream = matches!(piece, PlannedPiece::Stream(_));
            let wide = inner.options.concurrency * limits::COPIES_PER_PIECE;
            if running.len() >= wide || (is_stream && streaming >= inner.options.concurrency) {
                next = Some((number, piece));
                break;
            }
            streaming += usize::from(is_stream);
            let (inner, sources, object, id) = (inner.clone(), sources.clone(), object.clone(), upload.id.clone());
            running.spawn(async move {
                let made = match piece {
                    PlannedPiece::Copy { source, start, end } => {
                        inner.client.copy_piece(&object, &id, number, &sources[source].object, &(start..end)).await?
                    }
                    PlannedPiece::Stream(ranges) => stream(&inner, &object, &id, number, &sources, &ranges).await?,
                };
                Ok::<_, Error>((made, is_stream))
            });
            next = pieces.next();
        }
        let Some(made) = running.join_next().await else { break };
        match made.map_err(Error::internal).flatten() {
            Ok((made, is_stream)) => {
                streaming -= usize::from(is_stream);
                done.push(made);
            }
            Err(error) => {
                // Copies are not cancelled: the server could execute them after the upload was aborted.
                while running.join_next().await.is_some() {}
                return Err(error);
            }
        }
    }
    Ok(upload.complete(done, size).await?)
}

/// Sends a piece that is read from parts.
async fn stream(
    inner: &Arc<Inner>,
    object: &ObjectKey,
    id: &str,
    number: i32,
    sources: &[Source],
    ranges: &[SourceRange],
) -> Result<Piece> {
    let size = ranges.iter().map(|range| range.end - range.start).sum();
    inner.counters.streamed.fetch_add(size, Ordering::Relaxed);
    if inner.client.signs {
        let _memory = inner.budget.reserve(size).await?;
        let mut content = Frames::default();
        for range in ranges {
            let mut reading = Reading::new(inner, sources[range.source].clone(), range.start..range.end);
            while let Some(frame) = reading.next().await? {
                content.push(frame);
            }
        }
        return Ok(inner.client.upload_piece(object, id, number, &content, false).await?);
    }
    inner.client.step("piece").map_err(Error::from)?;
    let mut attempts = 0;
    let mut failed: Option<Instant> = None;
    let piece = loop {
        let failure = match pass(inner, object, id, number, sources, ranges).await? {
            Ok(piece) => break piece,
            Err(failure) => failure,
        };
        attempts += 1;
        let since = *failed.get_or_insert_with(Instant::now);
        let Some(pause) = inner.client.pause(&failure, attempts, since) else { return Err(failure.into()) };
        tracing::debug!(error = %failure, attempts, "retrying a piece of an assembly");
        tokio::time::sleep(pause).await;
    };
    inner.client.step("piece done").map_err(Error::from)?;
    Ok(piece)
}

/// Sends a piece once while it is read. Fails if the parts cannot be read; returns the outcome of the request.
async fn pass(
    inner: &Arc<Inner>,
    object: &ObjectKey,
    id: &str,
    number: i32,
    sources: &[Source],
    ranges: &[SourceRange],
) -> Result<Result<Piece, Failure>> {
    let size = ranges.iter().map(|range| range.end - range.start).sum();
    let (mut straight, body) = straight::new(size);
    let ended = straight.ended();
    let send =
        straight::in_time(inner.client.piece_once(object, id, number, size, body, None), ended, inner.client.short());
    let feed = async move {
        for range in ranges {
            let mut reading = Reading::new(inner, sources[range.source].clone(), range.start..range.end);
            while let Some(frame) = reading.next().await? {
                if straight.send_all(frame).await.is_err() {
                    // The request has ended, and has the better error.
                    return Ok(());
                }
            }
        }
        Ok::<_, Error>(())
    };
    let (fed, sent) = tokio::join!(feed, send);
    fed.map(|()| sent)
}

/// Removes the parts of an object that exists. The deletion of the sessions removes what fails here.
async fn consume(inner: &Arc<Inner>, scope: &Scope, list: &[TempKey], slots: Vec<Slot>) {
    let mut sessions: BTreeMap<&SessionId, Vec<(u32, Slot)>> = BTreeMap::new();
    for (key, slot) in list.iter().zip(slots) {
        sessions.entry(&key.session).or_default().push((key.number, slot));
    }
    for (session, slots) in sessions {
        match end_parts(inner, scope, session, slots).await {
            Ok(ended) => {
                let here = inner.clone();
                inner.spawn(async move { ended.remove(&here).await });
            }
            Err(error) => tracing::warn!(%session, %error, "cannot remove parts of an assembled object"),
        }
    }
}

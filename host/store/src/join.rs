//! Joins of parts: the checks, and the copying for backends that can't join in place.

use crate::stream::ByteStream;
use crate::{Argument, Backend, Error, Expected, PartReceipt, Result, Scope, SessionId, TempKey, Writer, limits};
use std::collections::HashSet;

/// Makes one part of several parts of a session, and deletes them.
///
/// # Errors
/// Those of `join-temp-parts` in the contract.
pub async fn join_parts(
    backend: &dyn Backend,
    scope: &Scope,
    session: &SessionId,
    number: u32,
    parts: &[TempKey],
) -> Result<PartReceipt> {
    let distinct: HashSet<&TempKey> = parts.iter().collect();
    let is_valid = (2..=limits::JOIN_PARTS_MAX).contains(&parts.len())
        && distinct.len() == parts.len()
        && parts.iter().all(|part| part.session == *session);
    if !is_valid {
        return Err(Error::InvalidArgument(Argument::Parts));
    }
    backend.join_parts(scope, session, number, parts).await
}

/// Writes the content of parts to a new part, in order. `open` opens one; several are opened at a time.
///
/// # Errors
/// Those of the reads and of the writer. Nothing is kept then.
pub async fn copy_parts<P, F: Future<Output = Result<Box<dyn ByteStream>>>>(
    parts: &[P],
    open: impl Fn(&P) -> F,
    mut writer: Box<dyn Writer<PartReceipt>>,
) -> Result<PartReceipt> {
    for batch in parts.chunks(limits::JOIN_OPEN) {
        for stream in futures_util::future::join_all(batch.iter().map(&open)).await {
            let mut stream = stream?;
            loop {
                let next = tokio::select! {
                    biased;
                    ended = writer.interrupted() => return Err(ended),
                    next = stream.next() => next?,
                };
                match next {
                    Some(chunk) => writer.write(chunk).await?,
                    None => break,
                }
            }
        }
    }
    writer.finish(Expected::default()).await
}

/// Deletes parts that were joined. A part whose deletion fails stays, as the contract allows.
pub async fn delete_joined(backend: &dyn Backend, scope: &Scope, parts: &[TempKey]) {
    let deletions = parts.iter().map(|key| async move { (key, backend.delete_part(scope, key).await) });
    for (key, deleted) in futures_util::future::join_all(deletions).await {
        if let Err(error) = deleted {
            tracing::warn!(%key, error = %error.told(), "a joined part is left behind; it goes with its session");
        }
    }
}

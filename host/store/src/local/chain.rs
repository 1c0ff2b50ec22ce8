//! The SHA-256 of a whole object, carried from part to part.
//!
//! A part that arrives when its predecessor is there with a state is hashed on from that state while it arrives. The
//! state after it stays in its row, tied to the predecessor's token. Invariant: a state that is tied to a token is the
//! SHA-256 of that part's content after the content that the part's own state stands for; so an assembly may use the
//! states of its list as far as each is tied to the part before it.

use super::Inner;
use super::index::parts::{self, PartRow};
use crate::{Result, Scope, SessionId, Sha256, Token};
use std::sync::Arc;

/// The digest to go on from for a part at an offset, and the token that it is tied to. Absent if the predecessor is not
/// there yet, or has no state.
pub(super) async fn before(
    inner: &Arc<Inner>,
    scope: &Scope,
    session: &SessionId,
    offset: u64,
) -> Result<Option<(Sha256, Option<Token>)>> {
    if offset == 0 {
        return Ok(Some((Sha256::new(), None)));
    }
    let (scope, session) = (scope.clone(), session.clone());
    let there = inner.index.read(move |conn| parts::predecessor(conn, &scope, &session, offset)).await?;
    Ok(there.and_then(|(token, state)| Some((Sha256::resume(&state?)?, Some(token)))))
}

/// How far the states of a list of parts reach: the number of parts, and the digest after them.
pub(super) fn along(rows: &[PartRow]) -> (usize, Sha256) {
    let (mut reach, mut sha256, mut last) = (0, Sha256::new(), None);
    for (at, row) in rows.iter().enumerate() {
        // An empty part changes nothing, and nothing is tied to it.
        if row.size > 0 {
            let Some(chain) = row.chain.as_ref().filter(|chain| chain.after == last) else { break };
            let Some(state) = Sha256::resume(&chain.state) else { break };
            sha256 = state;
            last = Some(row.key.token.clone());
        }
        reach = at + 1;
    }
    (reach, sha256)
}

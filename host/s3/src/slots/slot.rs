//! Slots: small objects whose creation, replacement and removal are the only decisions of a store.
//!
//! A slot's body is a line of JSON, padded with spaces; in a record its value follows. A slot has one of these states:
//!
//! - *absent*, or `free`: holds nothing. A deletion leaves a free slot. It may be taken like an absent one, and a sweep
//!   removes it.
//! - `live`: a receipt or a record.
//! - `gone`: a tombstone, which stays.
//! - `sealed`: free, and being removed. Not every S3 server has conditional deletion, and a late deletion could hit a
//!   new slot. So a remover first seals the slot by a conditional write, which only one remover can win. Nobody takes a
//!   sealed slot, and the deletion that belongs to a seal is sent once. If its response is lost, the slot stays sealed
//!   or disappears later. After [`SEAL_MAX`] no server accepts that request any more, and the slot counts as free.
//!
//! Every state carries the random token of its write, so that a write with a lost response is recognised.
//!
//! Invariant: a live slot has at least [`LIVE_MIN`] bytes and any other slot has fewer, so that a listing tells them
//! apart.

use crate::each::each;
use crate::keys::ObjectKey;
use crate::open::owner::SoleOwner;
use crate::request::client::Client;
use crate::request::failure::{Failure, Kind};
use crate::request::frames::Frames;
use crate::request::objects::{Condition, KEYS_MAX, Small};
use crate::slots::receipt::{Part, SlotContent};
use bytes::Bytes;
use portico_store::{Error, Result, Token, limits};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Smallest live slot, in bytes.
pub(crate) const LIVE_MIN: u64 = 256;

/// Largest slot, in bytes: the value of a record, or the metadata of a final object with every character escaped.
const SLOT_MAX: usize = limits::RECORD_VALUE_MAX + (64 << 10);

/// Longest time from the signature of a request to its acceptance (S3: 15 minutes), with a margin.
pub(crate) const SEAL_MAX: Duration = Duration::from_secs(20 * 60);

/// Longest wait for the removal of a sealed slot.
const SEAL_WAIT: Duration = Duration::from_secs(3);

/// Most requests for slots in flight.
pub(crate) const WIDTH: usize = 16;

/// The state of a slot.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Live(SlotContent, Bytes),
    Free,
    Sealed,
    Gone(String),
}

/// An existing slot.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    /// Token of the write that created this state.
    pub(crate) token: Token,
    pub(crate) etag: String,
    /// Time of that write, in milliseconds by the server's clock; 0 for a write by this call.
    pub(crate) modified_ms: u64,
}

impl Slot {
    /// Returns whether both slots are of the same write of a part.
    fn is_same_part(&self, other: &Slot) -> bool {
        match (&self.state, &other.state) {
            (State::Live(SlotContent::Part(part), _), State::Live(SlotContent::Part(other), _)) => {
                part.data == other.data
            }
            _ => false,
        }
    }
}

/// Returns the part that a slot holds.
pub(crate) fn live(slot: Option<Slot>) -> Option<Part> {
    match slot?.state {
        State::Live(SlotContent::Part(part), _) => Some(part),
        _ => None,
    }
}

/// The outcome of an attempt to take a slot.
#[derive(Debug)]
pub(crate) enum Taken {
    /// The attempt took the slot.
    Done(Slot),
    /// The slot is live or gone by another write.
    Other(Slot),
}

#[derive(Serialize, Deserialize)]
struct Line {
    portico: u32,
    token: String,
    #[serde(flatten)]
    state: Written,
}

#[derive(Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Written {
    Live {
        #[serde(flatten)]
        content: SlotContent,
    },
    Free,
    Sealed,
    Gone {
        reason: String,
    },
}

/// Version of the form of slots.
const VERSION: u32 = 1;

fn write(token: &Token, state: &State) -> Bytes {
    let (state, value) = match state {
        State::Live(content, value) => (Written::Live { content: content.clone() }, value.clone()),
        State::Free => (Written::Free, Bytes::new()),
        State::Sealed => (Written::Sealed, Bytes::new()),
        State::Gone(reason) => (Written::Gone { reason: reason.clone() }, Bytes::new()),
    };
    let is_live = matches!(state, Written::Live { .. });
    let line = Line { portico: VERSION, token: token.to_string(), state };
    let mut body = serde_json::to_vec(&line).unwrap_or_else(|_| unreachable!("plain data is JSON"));
    if is_live {
        body.resize(body.len().max(LIVE_MIN as usize - 1), b' ');
    }
    body.push(b'\n');
    body.extend_from_slice(&value);
    debug_assert_eq!(body.len() as u64 >= LIVE_MIN, is_live);
    body.into()
}

fn read(object: &ObjectKey, small: Small) -> Result<Slot, Failure> {
    let other = |why: &str| Failure::new(Kind::Other, format!("{object} is not a slot: {why}"));
    let end = small.body.iter().position(|&byte| byte == b'\n').ok_or_else(|| other("it has no line"))?;
    let line: Line = serde_json::from_slice(&small.body[..end]).map_err(|error| other(&error.to_string()))?;
    if line.portico != VERSION {
        return Err(other("it has another version"));
    }
    let state = match line.state {
        Written::Live { content } => State::Live(content, small.body.slice(end + 1..)),
        Written::Free => State::Free,
        Written::Sealed => State::Sealed,
        Written::Gone { reason } => State::Gone(reason),
    };
    let token = Token::parse(&line.token).map_err(|_| other("it has no token"))?;
    Ok(Slot { state, token, etag: small.etag, modified_ms: small.modified_ms })
}

/// The slots of a store.
pub(crate) struct Slots {
    pub(crate) client: Arc<Client>,
    /// Present if the server has no conditional writes: this process then writes each slot under a lock.
    pub(crate) sole_owner: Option<SoleOwner>,
}

impl Slots {
    /// Reads a slot.
    pub(crate) async fn get(&self, object: &ObjectKey) -> Result<Option<Slot>, Failure> {
        self.client.get_small(object, SLOT_MAX).await?.map(|small| read(object, small)).transpose()
    }

    /// Writes a slot if it is still `expected`, absent or unchanged. Otherwise returns the current slot.
    pub(crate) async fn write(
        &self,
        object: &ObjectKey,
        expected: Option<&Slot>,
        state: &State,
    ) -> Result<Result<Slot, Option<Slot>>> {
        let token = Token::random()?;
        let body = Frames::from(write(&token, state));
        let slot = |etag| Slot { state: state.clone(), token: token.clone(), etag, modified_ms: self.client.now_ms() };
        self.client.step("slot")?;
        let written = match &self.sole_owner {
            None => self.write_conditionally(object, expected, &token, &body).await?,
            Some(owner) => {
                let _only = owner.lock(object).await?;
                let there = self.get(object).await?;
                if there.as_ref().map(|slot| &slot.token) == expected.map(|slot| &slot.token) {
                    self.write_unconditionally(object, &token, &body).await?
                } else {
                    Err(there)
                }
            }
        };
        self.client.step("slot done")?;
        Ok(match written {
            Ok(etag) => Ok(slot(etag)),
            Err(Some(there)) if there.token == token => Ok(slot(there.etag)),
            Err(there) => Err(there),
        })
    }

    /// Writes under the lock of the key, without a condition.
    ///
    /// Once an attempt may have succeeded without a response, a refusal of a later attempt decides nothing. The outcome
    /// is then unknown, unless the slot has this write's token.
    async fn write_unconditionally(
        &self,
        object: &ObjectKey,
        token: &Token,
        body: &Frames,
    ) -> Result<Result<String, Option<Slot>>, Failure> {
        // Set before each attempt, because an attempt that times out does not return here.
        let in_doubt = AtomicBool::new(false);
        let put = |_| async {
            let before = in_doubt.swap(true, Ordering::Relaxed);
            let put = self.client.put_once(object, body, Condition::Always, None).await;
            if put.as_ref().is_err_and(|failure| !failure.kind.is_doubtful()) {
                in_doubt.store(before, Ordering::Relaxed);
            }
            put
        };
        match self.client.repeat(self.client.carrying(body.len()), put).await {
            Ok(etag) => Ok(Ok(etag)),
            Err(failure) if !in_doubt.load(Ordering::Relaxed) => Err(failure),
            Err(failure) => match self.get(object).await {
                Ok(Some(slot)) if slot.token == *token => Ok(Err(Some(slot))),
                _ => Err(failure.in_doubt()),
            },
        }
    }

    /// Writes by the conditions of HTTP. Every outcome except a clear success is looked up.
    ///
    /// If an attempt may have succeeded without a response, and the slot now holds another write, this write may have
    /// been there before. The outcome is then unknown, and the error says so.
    async fn write_conditionally(
        &self,
        object: &ObjectKey,
        expected: Option<&Slot>,
        token: &Token,
        body: &Frames,
    ) -> Result<Result<String, Option<Slot>>, Failure> {
        let began = Instant::now();
        let mut attempts = 0;
        let mut in_doubt = false;
        let doubtful = |in_doubt: bool, failure: Failure| if in_doubt { failure.in_doubt() } else { failure };
        loop {
            let condition = expected.map_or(Condition::Absent, |slot| Condition::Is(&slot.etag));
            let failure = match self.client.put_once(object, body, condition, None).await {
                Ok(etag) => return Ok(Ok(etag)),
                Err(failure) => failure,
            };
            attempts += 1;
            in_doubt |= failure.kind.is_doubtful();
            let refused = matches!(failure.kind, Kind::Precondition | Kind::Missing);
            if !refused && !failure.kind.is_retryable() && !failure.kind.is_doubtful() {
                return Err(doubtful(in_doubt, failure));
            }
            let there = self.get(object).await.map_err(|failure| doubtful(in_doubt, failure))?;
            let ours = there.as_ref().is_some_and(|slot| slot.token == *token);
            let unchanged = there.as_ref().map(|slot| &slot.token) == expected.map(|slot| &slot.token);
            if ours || ((refused || !unchanged) && !in_doubt) {
                return Ok(Err(there));
            }
            let pause = if unchanged { self.client.pause(&failure, attempts, began) } else { None };
            let Some(pause) = pause else { return Err(doubtful(in_doubt, failure)) };
            tracing::debug!(error = %failure, token = %token, "retrying a conditional write");
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes a slot that holds nothing.
    pub(crate) async fn take(&self, object: &ObjectKey, state: &State) -> Result<Taken> {
        let began = Instant::now();
        let mut expected: Option<Slot> = None;
        loop {
            match self.write(object, expected.as_ref(), state).await? {
                Ok(slot) => return Ok(Taken::Done(slot)),
                // The slot disappeared between the write and the read.
                Err(None) if began.elapsed() < SEAL_WAIT => expected = None,
                Err(None) => return Err(Error::unavailable(format!("{object} cannot be created and does not exist"))),
                Err(Some(there)) => match &there.state {
                    State::Live(..) | State::Gone(_) => return Ok(Taken::Other(there)),
                    State::Free => expected = Some(there),
                    State::Sealed if self.client.age(there.modified_ms) > SEAL_MAX => expected = Some(there),
                    State::Sealed if began.elapsed() < SEAL_WAIT => {
                        tokio::time::sleep(Duration::from_millis(20 + fastrand::u64(..30))).await;
                        expected = None;
                    }
                    State::Sealed => {
                        let wait = SEAL_MAX.saturating_sub(self.client.age(there.modified_ms));
                        return Err(Error::Unavailable {
                            retry_after: u32::try_from(wait.as_secs()).ok(),
                            cause: format!("{object} is being removed").into(),
                        });
                    }
                },
            }
        }
    }

    /// Frees or seals slots that are as they were seen, [`WIDTH`] at a time. A part whose chain was added counts as
    /// unchanged. Returns in order whether this call changed each slot.
    pub(crate) async fn end(
        self: &Arc<Self>,
        slots: Vec<(ObjectKey, Slot)>,
        state: State,
    ) -> Result<Vec<(ObjectKey, Slot, bool)>> {
        each(WIDTH, slots, |(object, mut slot)| {
            let (this, state) = (self.clone(), state.clone());
            async move {
                let ours = loop {
                    match this.write(&object, Some(&slot), &state).await? {
                        Ok(_) => break true,
                        Err(Some(now)) if now.is_same_part(&slot) => slot = now,
                        Err(_) => break false,
                    }
                };
                Ok((object, slot, ours))
            }
        })
        .await
    }

    /// Removes slots that this call has sealed.
    pub(crate) async fn remove_sealed(&self, objects: &[ObjectKey]) -> Result<()> {
        for objects in objects.chunks(KEYS_MAX) {
            self.client.delete_once(objects).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object() -> ObjectKey {
        ObjectKey { bucket: "bucket".to_owned(), key: "slot".to_owned() }
    }

    fn again(state: &State) -> Slot {
        let token = Token::random().unwrap();
        let body = write(&token, state);
        let slot = read(&object(), Small { body, etag: "tag".to_owned(), modified_ms: 7 }).unwrap();
        assert_eq!(slot.token, token);
        slot
    }

    #[test]
    fn slots_are_read_as_they_were_written() {
        let value = Bytes::from_static(b"a value\nof two lines");
        let live = again(&State::Live(SlotContent::Record, value.clone()));
        assert!(matches!(live.state, State::Live(SlotContent::Record, there) if there == value));
        assert!(matches!(again(&State::Free).state, State::Free));
        assert!(matches!(again(&State::Sealed).state, State::Sealed));
        let reason = "r".repeat(64);
        assert!(matches!(again(&State::Gone(reason.clone())).state, State::Gone(there) if there == reason));
    }

    #[test]
    fn the_size_tells_live_slots_from_others() {
        let token = Token::random().unwrap();
        let size = |state| write(&token, &state).len() as u64;
        assert!(size(State::Live(SlotContent::Record, Bytes::new())) >= LIVE_MIN);
        for state in [State::Free, State::Sealed, State::Gone("r".repeat(64))] {
            assert!(size(state) < LIVE_MIN);
        }
    }

    #[test]
    fn other_objects_are_refused() {
        for body in ["", "{}", "{}\n", "no JSON\n", "{\"portico\":2,\"token\":\"\",\"state\":\"free\"}\n"] {
            let small = Small { body: Bytes::from(body), etag: String::new(), modified_ms: 0 };
            assert!(read(&object(), small).is_err(), "{body}");
        }
    }
}

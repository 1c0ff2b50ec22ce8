//! Slots: small objects whose creation, replacement and removal are the only decisions of a store.
//!
//! A slot's body is a line of JSON, filled up with spaces, and, of a record, its value after it. Its states:
//!
//! - *absent*, or `free`: nothing is there. A free slot is what is left of something deleted; it may be taken as if it
//!   were absent, and a sweep removes it.
//! - `live`: a receipt or a record.
//! - `gone`: a tombstone. It stays.
//! - `sealed`: free, and being removed. S3 has no conditional deletion everywhere, and a deletion that is late could hit
//!   what somebody else put there meanwhile. So whoever removes a slot first seals it by a conditional write, which only
//!   one can do; a sealed slot is taken by nobody; and the one deletion that belongs to a seal is sent once. If its
//!   answer is lost, the slot stays sealed, or goes later. After [`SEAL_MAX`] no server accepts that request any more,
//!   and the slot counts as free.
//!
//! Every state carries the random token of the write that made it, so that a write whose answer was lost is recognised.
//! Invariant: a live slot has at least [`LIVE_MIN`] bytes and any other has fewer, so that a listing tells them apart.

use crate::each::each;
use crate::keys::Place;
use crate::open::owner::SoleOwner;
use crate::request::client::Client;
use crate::request::failure::{Failure, Kind};
use crate::request::frames::Frames;
use crate::request::objects::{Condition, KEYS_MAX, Small};
use crate::slots::receipt::{Content, Part};
use bytes::Bytes;
use portico_store::{Error, Result, Token, limits};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// Smallest live slot, in bytes.
pub(crate) const LIVE_MIN: u64 = 256;

/// Largest slot, in bytes: a record's value, or the metadata of a final object with every character escaped.
const SLOT_MAX: usize = limits::RECORD_VALUE_MAX + (64 << 10);

/// How long after its signing a request may be accepted (S3: 15 minutes), with some more for good measure.
pub(crate) const SEAL_MAX: Duration = Duration::from_secs(20 * 60);

/// How long somebody waits for a sealed slot to go.
const SEAL_WAIT: Duration = Duration::from_secs(3);

/// Requests for slots that go at once.
pub(crate) const WIDTH: usize = 16;

/// What a slot is.
#[derive(Clone, Debug)]
pub(crate) enum State {
    Live(Content, Bytes),
    Free,
    Sealed,
    Gone(String),
}

/// A slot that is there.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) state: State,
    /// The token of the write that made it so.
    pub(crate) token: Token,
    pub(crate) etag: String,
    /// When, in milliseconds by the server's clock; 0 if it was us just now.
    pub(crate) modified_ms: u64,
}

impl Slot {
    /// Whether both are of the same write of a part.
    fn is_same_part(&self, other: &Slot) -> bool {
        match (&self.state, &other.state) {
            (State::Live(Content::Part(part), _), State::Live(Content::Part(other), _)) => part.data == other.data,
            _ => false,
        }
    }
}

/// The part that a slot holds.
pub(crate) fn live(slot: Option<Slot>) -> Option<Part> {
    match slot?.state {
        State::Live(Content::Part(part), _) => Some(part),
        _ => None,
    }
}

/// What became of an attempt to take a slot.
#[derive(Debug)]
pub(crate) enum Taken {
    /// It is ours.
    Done(Slot),
    /// It is live or gone, and not by us.
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
        content: Content,
    },
    Free,
    Sealed,
    Gone {
        reason: String,
    },
}

/// The version of the form of slots.
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

fn read(place: &Place, small: Small) -> Result<Slot, Failure> {
    let other = |why: &str| Failure::new(Kind::Other, format!("{place} is no slot: {why}"));
    let end = small.body.iter().position(|&byte| byte == b'\n').ok_or_else(|| other("it has no line"))?;
    let line: Line = serde_json::from_slice(&small.body[..end]).map_err(|error| other(&error.to_string()))?;
    if line.portico != VERSION {
        return Err(other("it is of another version"));
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
    /// Where the server has no conditional writes: one writer at a time for a key, in this one process.
    pub(crate) sole_owner: Option<SoleOwner>,
}

impl Slots {
    /// A slot as it is now.
    pub(crate) async fn get(&self, place: &Place) -> Result<Option<Slot>, Failure> {
        self.client.get_small(place, SLOT_MAX).await?.map(|small| read(place, small)).transpose()
    }

    /// Writes a slot if it is as expected: absent, or what `expected` saw. Otherwise answers what is there.
    pub(crate) async fn write(
        &self,
        place: &Place,
        expected: Option<&Slot>,
        state: &State,
    ) -> Result<Result<Slot, Option<Slot>>> {
        let token = Token::random()?;
        let body = Frames::from(write(&token, state));
        let slot = |etag| Slot { state: state.clone(), token: token.clone(), etag, modified_ms: self.client.now_ms() };
        self.client.step("slot")?;
        let written = match &self.sole_owner {
            None => self.write_conditionally(place, expected, &token, &body).await?,
            Some(owner) => {
                let _only = owner.lock(place).await?;
                let there = self.get(place).await?;
                if there.as_ref().map(|slot| &slot.token) == expected.map(|slot| &slot.token) {
                    self.write_unconditionally(place, &token, &body).await?
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

    /// Without conditions, under the lock of the key. Once an attempt may have been made without our knowing, a later one
    /// that is refused decides nothing: then the outcome is unknown, unless the slot is seen to be ours.
    async fn write_unconditionally(
        &self,
        place: &Place,
        token: &Token,
        body: &Frames,
    ) -> Result<Result<String, Option<Slot>>, Failure> {
        // Set before an attempt, because one whose time is over does not return here.
        let in_doubt = AtomicBool::new(false);
        let put = |_| async {
            let before = in_doubt.swap(true, Ordering::Relaxed);
            let put = self.client.put_once(place, body, Condition::Always, None).await;
            if put.as_ref().is_err_and(|failure| !failure.kind.is_doubtful()) {
                in_doubt.store(before, Ordering::Relaxed);
            }
            put
        };
        match self.client.repeat(self.client.carrying(body.len()), put).await {
            Ok(etag) => Ok(Ok(etag)),
            Err(failure) if !in_doubt.load(Ordering::Relaxed) => Err(failure),
            Err(failure) => match self.get(place).await {
                Ok(Some(slot)) if slot.token == *token => Ok(Err(Some(slot))),
                _ => Err(failure.in_doubt()),
            },
        }
    }

    /// By the conditions of HTTP. Whatever is not a plain yes is looked up before anything is said. If an attempt may have
    /// been made without our knowing, and something else is there now, nobody can tell whether ours was there before it:
    /// then the outcome is unknown, and the answer says so.
    async fn write_conditionally(
        &self,
        place: &Place,
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
            let failure = match self.client.put_once(place, body, condition, None).await {
                Ok(etag) => return Ok(Ok(etag)),
                Err(failure) => failure,
            };
            attempts += 1;
            in_doubt |= failure.kind.is_doubtful();
            let refused = matches!(failure.kind, Kind::Precondition | Kind::Missing);
            if !refused && !failure.kind.is_retryable() && !failure.kind.is_doubtful() {
                return Err(doubtful(in_doubt, failure));
            }
            let there = self.get(place).await.map_err(|failure| doubtful(in_doubt, failure))?;
            let ours = there.as_ref().is_some_and(|slot| slot.token == *token);
            let unchanged = there.as_ref().map(|slot| &slot.token) == expected.map(|slot| &slot.token);
            if ours || ((refused || !unchanged) && !in_doubt) {
                return Ok(Err(there));
            }
            let pause = if unchanged { self.client.pause(&failure, attempts, began) } else { None };
            let Some(pause) = pause else { return Err(doubtful(in_doubt, failure)) };
            tracing::debug!(error = %failure, token = %token, "a conditional write is repeated");
            tokio::time::sleep(pause).await;
        }
    }

    /// Takes a slot in which nothing is.
    pub(crate) async fn take(&self, place: &Place, state: &State) -> Result<Taken> {
        let began = Instant::now();
        let mut expected: Option<Slot> = None;
        loop {
            match self.write(place, expected.as_ref(), state).await? {
                Ok(slot) => return Ok(Taken::Done(slot)),
                // It went between our write and our look.
                Err(None) if began.elapsed() < SEAL_WAIT => expected = None,
                Err(None) => return Err(Error::unavailable(format!("{place} can't be made, and is not there"))),
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
                            cause: format!("{place} is being removed").into(),
                        });
                    }
                },
            }
        }
    }

    /// Frees or seals slots as they were seen, [`WIDTH`] at a time. What has only been told more of its part is as it was
    /// seen. Answers, in order, whether it was this call that did it.
    pub(crate) async fn end(
        self: &Arc<Self>,
        slots: Vec<(Place, Slot)>,
        state: State,
    ) -> Result<Vec<(Place, Slot, bool)>> {
        each(WIDTH, slots, |(place, mut slot)| {
            let (this, state) = (self.clone(), state.clone());
            async move {
                let ours = loop {
                    match this.write(&place, Some(&slot), &state).await? {
                        Ok(_) => break true,
                        Err(Some(now)) if now.is_same_part(&slot) => slot = now,
                        Err(_) => break false,
                    }
                };
                Ok((place, slot, ours))
            }
        })
        .await
    }

    /// Removes slots that this call has sealed.
    pub(crate) async fn remove_sealed(&self, places: &[Place]) -> Result<()> {
        for places in places.chunks(KEYS_MAX) {
            self.client.delete_once(places).await?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place() -> Place {
        Place { bucket: "bucket".to_owned(), key: "slot".to_owned() }
    }

    fn again(state: &State) -> Slot {
        let token = Token::random().unwrap();
        let body = write(&token, state);
        let slot = read(&place(), Small { body, etag: "tag".to_owned(), modified_ms: 7 }).unwrap();
        assert_eq!(slot.token, token);
        slot
    }

    #[test]
    fn slots_are_read_as_they_were_written() {
        let value = Bytes::from_static(b"a value\nof two lines");
        let live = again(&State::Live(Content::Record, value.clone()));
        assert!(matches!(live.state, State::Live(Content::Record, there) if there == value));
        assert!(matches!(again(&State::Free).state, State::Free));
        assert!(matches!(again(&State::Sealed).state, State::Sealed));
        let reason = "r".repeat(64);
        assert!(matches!(again(&State::Gone(reason.clone())).state, State::Gone(there) if there == reason));
    }

    #[test]
    fn the_size_tells_live_slots_from_others() {
        let token = Token::random().unwrap();
        let size = |state| write(&token, &state).len() as u64;
        assert!(size(State::Live(Content::Record, Bytes::new())) >= LIVE_MIN);
        for state in [State::Free, State::Sealed, State::Gone("r".repeat(64))] {
            assert!(size(state) < LIVE_MIN);
        }
    }

    #[test]
    fn what_is_no_slot_is_refused() {
        for body in ["", "{}", "{}\n", "no JSON\n", "{\"portico\":2,\"token\":\"\",\"state\":\"free\"}\n"] {
            let small = Small { body: Bytes::from(body), etag: String::new(), modified_ms: 0 };
            assert!(read(&place(), small).is_err(), "{body}");
        }
    }
}

//! Races conditional writes: of several writers with one condition exactly one may win, in each of many rounds.
//!
//! A server that checks and then writes, in two steps, lets two writers win if both checks come before both writes. The
//! gap is microseconds. So the writers of a round first send all but the last byte of their content, and then their
//! last bytes at once: only the check and the write remain. A server that checks before the content has arrived lets
//! all of them win.
//!
//! Invariant: a correct server never fails. A round without a winner, because the server is busy, is repeated and
//! decides nothing.

use crate::keys::ObjectKey;
use crate::request::client::Client;
use crate::request::failure::{Failure, Kind};
use crate::request::frames::Frames;
use crate::request::objects::Condition;
use crate::request::straight;
use bytes::Bytes;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// Writers in a round.
pub(crate) const RACERS: usize = 4;

/// Series of rounds at once, each on its own keys.
const SERIES: usize = 2;

/// Rounds of a series that a writer must win.
const ROUNDS: usize = 4;

/// Most rounds of a series.
const ATTEMPTS: usize = 3 * ROUNDS;

/// The condition that writers race for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Race {
    /// `If-None-Match: *`, for a new key in each round.
    Create,
    /// `If-Match` with the entity tag of the preceding winner.
    Replace,
}

/// Maps the name of a scratch object to its key.
pub(crate) type Scratch<'a> = &'a (dyn Fn(&str) -> ObjectKey + Sync);

impl Race {
    fn key(self, lane: usize, round: usize) -> String {
        match self {
            Race::Create => format!("created-{lane}-{round}"),
            Race::Replace => format!("replaced-{lane}"),
        }
    }

    /// Returns the names of all scratch objects of a race.
    pub(crate) fn keys(self) -> impl Iterator<Item = String> {
        let rounds = if self == Race::Create { ATTEMPTS } else { 1 };
        (0..SERIES).flat_map(move |lane| (0..rounds).map(move |round| self.key(lane, round)))
    }
}

/// Returns whether every round with a winner had exactly one.
pub(crate) async fn is_won_by_one(client: &Arc<Client>, race: Race, scratch: Scratch<'_>) -> Result<bool, Failure> {
    let over = Arc::new(AtomicBool::new(false));
    let is_held = !client.signs || takes_unsigned(client, &scratch(&race.key(0, 0))).await?;
    let mut lanes = JoinSet::new();
    for lane in 0..SERIES {
        let objects = (0..ATTEMPTS).map(|round| scratch(&race.key(lane, round))).collect();
        let lane = Series { client: client.clone(), race, objects, is_held, over: over.clone() };
        lanes.spawn(async move { lane.run().await });
    }
    let mut held = Ok(true);
    while let Some(lane) = lanes.join_next().await {
        let lane = lane.unwrap_or_else(|panic| Err(Failure::new(Kind::Other, panic.to_string())));
        // A round with two winners decides, whatever else failed.
        if matches!(lane, Ok(false)) {
            over.store(true, Ordering::Relaxed);
            held = lane;
        } else if matches!(held, Ok(true)) {
            held = lane;
        }
    }
    held
}

/// Returns whether a server accepts unsigned content that is streamed, also over plain HTTP.
async fn takes_unsigned(client: &Client, object: &ObjectKey) -> Result<bool, Failure> {
    let (mut straight, body) = straight::new(1);
    let feed = async {
        let _ = straight.send(&mut Bytes::from_static(b"?")).await;
    };
    let write = client.once(client.short(), client.put_straight(object, 1, body, None, Condition::Always));
    let (written, ()) = tokio::join!(write, feed);
    match written {
        Err(failure) if failure.kind.is_retryable() => Err(failure),
        Err(_) => return Ok(false),
        Ok(_) => client.delete(std::slice::from_ref(object)).await,
    }?;
    Ok(true)
}

/// Rounds in sequence.
struct Series {
    client: Arc<Client>,
    race: Race,
    /// The key of each round.
    objects: Vec<ObjectKey>,
    /// Whether the last bytes are held back.
    is_held: bool,
    /// Whether another series has decided the race.
    over: Arc<AtomicBool>,
}

/// The winners of a round, with their entity tags and contents, and a failure that decides nothing.
struct Round {
    winners: Vec<(String, Bytes)>,
    failed: Option<Failure>,
}

impl Series {
    async fn run(&self) -> Result<bool, Failure> {
        let (mut won, mut failed, mut etag) = (0, None, None);
        for (round, object) in self.objects.iter().enumerate() {
            if won == ROUNDS || self.over.load(Ordering::Relaxed) {
                return Ok(true);
            }
            let condition = match self.race {
                Race::Create => None,
                Race::Replace if etag.is_some() => etag.clone(),
                Race::Replace => self.current(object).await?,
            };
            let Round { winners, failed: why_not } = self.round(object, round, condition).await?;
            match winners.as_slice() {
                [] => (failed, etag) = (why_not.or(failed), None),
                [(now, content)] => {
                    let there = self.client.get_small(object, 1_000).await?;
                    if there.is_none_or(|there| there.body != *content) && why_not.is_none() {
                        return Ok(false);
                    }
                    // The writer that failed may be the next winner.
                    etag = why_not.is_none().then(|| now.clone());
                    won += 1;
                }
                _ => return Ok(false),
            }
        }
        match (won, failed) {
            (0, None) => Ok(false),
            (0, Some(failure)) if matches!(failure.kind, Kind::Unsupported | Kind::Other) => Ok(false),
            (0, Some(failure)) => Err(failure),
            _ => Ok(true),
        }
    }

    /// Returns the current entity tag of an object; creates the object if it is absent.
    async fn current(&self, object: &ObjectKey) -> Result<Option<String>, Failure> {
        if let Some(there) = self.client.get_small(object, 1_000).await? {
            return Ok(Some(there.etag));
        }
        let content = Frames::from(Bytes::from_static(b"to be replaced"));
        self.client.put(object, &content, None).await?;
        Ok(self.client.get_small(object, 1_000).await?.map(|there| there.etag))
    }

    /// Runs one round, in which each racer has its own content.
    async fn round(&self, object: &ObjectKey, round: usize, etag: Option<String>) -> Result<Round, Failure> {
        let gate = Arc::new(watch::Sender::new(RACERS));
        let mut racers = JoinSet::new();
        for racer in 0..RACERS {
            let (client, object, etag) = (self.client.clone(), object.clone(), etag.clone());
            let arrival = Arrival(gate.clone());
            let is_held = self.is_held;
            racers.spawn(async move {
                let content = Bytes::from(format!("what racer {racer} writes in round {round}"));
                let condition = etag.as_deref().map_or(Condition::Absent, Condition::Is);
                let written = if is_held {
                    write(&client, &object, content.clone(), condition, arrival).await
                } else {
                    client.put_once(&object, &Frames::from(content.clone()), condition, None).await
                };
                written.map(|etag| (etag, content))
            });
        }
        let (mut winners, mut failed) = (Vec::new(), None);
        while let Some(raced) = racers.join_next().await {
            match raced {
                Ok(Ok(winner)) => winners.push(winner),
                Ok(Err(failure)) if matches!(failure.kind, Kind::Precondition | Kind::Missing) => {}
                Ok(Err(failure)) => failed = Some(failure),
                Err(panic) => return Err(Failure::new(Kind::Other, panic.to_string())),
            }
        }
        Ok(Round { winners, failed })
    }
}

/// A racer that has not reached its last byte. Dropping it counts as reaching it.
struct Arrival(Arc<watch::Sender<usize>>);

impl Drop for Arrival {
    fn drop(&mut self) {
        self.0.send_modify(|left| *left -= 1);
    }
}

/// Writes an object once; sends the last byte when all racers have reached theirs.
async fn write(
    client: &Client,
    object: &ObjectKey,
    mut content: Bytes,
    condition: Condition<'_>,
    arrival: Arrival,
) -> Result<String, Failure> {
    let size = content.len() as u64;
    let (mut straight, body) = straight::new(size);
    let feed = async move {
        let mut gate = arrival.0.subscribe();
        let mut first = content.split_to(content.len() - 1);
        let begun = async {
            straight.send(&mut first).await?;
            straight.taken().await
        };
        let begun = begun.await;
        drop(arrival);
        if begun.is_ok() && gate.wait_for(|left| *left == 0).await.is_ok() {
            // If the request does not take the byte, its own error says why.
            let _ = straight.send(&mut content).await;
        }
    };
    let write = client.once(client.short(), client.put_straight(object, size, body, None, condition));
    tokio::join!(write, feed).0
}

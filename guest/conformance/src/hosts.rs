//! What the programs with several hosts share: the ends of races.

use crate::{Content, ListedPart, Store, fixture, parts_of, pattern, put_placed};
use std::time::{Duration, Instant};

/// How often a race is run: each time the two may meet elsewhere.
pub const ROUNDS: u32 = 12;

/// How long it may take until a host has done what it goes on to do after an answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// The size of a small content, in bytes.
pub const SIZE: u64 = 30_000;

/// Whether this instance is the first.
#[must_use]
pub fn is_first() -> bool {
    fixture::instance() == 0
}

/// A name for a round.
#[must_use]
pub fn name(round: u32) -> String {
    format!("name-{round}")
}

/// Says how a race ended for this instance, and answers how it ended for all, in byte order.
#[must_use]
pub fn ended(round: u32, how: &str) -> Vec<String> {
    fixture::report(&format!("{round} {how}"));
    fixture::meet();
    let words = fixture::reports();
    let of_round = words.iter().filter_map(|word| word.strip_prefix(&format!("{round} ")));
    let mut all: Vec<String> = of_round.map(str::to_owned).collect();
    all.sort();
    all
}

/// Waits until a session has no parts: those of an assembly go after it has answered, as other hosts see it.
///
/// # Panics
/// If they don't go.
pub fn parts_go(store: &Store, session: &str) {
    let began = Instant::now();
    while !parts_of(store, session).is_empty() {
        assert!(began.elapsed() < PATIENCE, "parts of {session} are still there");
    }
}

/// The keys of parts.
pub fn keys(parts: Vec<ListedPart>) -> impl Iterator<Item = String> {
    parts.into_iter().map(|part| part.temp_key)
}

/// Each of two instances puts every second part of a session; what they make together is answered to both.
///
/// # Panics
/// If a part can't be put, or is not there in the end.
pub fn halves(store: &Store, session: &str, parts: u32, size: u64) -> Content {
    let (mut offset, mut whole) = (0, Content::default());
    for number in 0..parts {
        let content = pattern(number, size + u64::from(number));
        if number % 2 == fixture::instance() {
            put_placed(store, session, number, &content, offset);
        }
        offset += content.size();
        whole = whole.then(&content);
    }
    fixture::meet();
    assert_eq!(parts_of(store, session).len(), parts as usize);
    whole
}

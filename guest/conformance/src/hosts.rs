//! The library of the programs with several hosts: races and their outcomes.

use crate::{Content, ListedPart, Store, fixture, parts_of, pattern, put_placed};
use std::time::{Duration, Instant};

/// Runs of a race: in each the instances may meet at another point.
pub const ROUNDS: u32 = 12;

/// Longest time until a host has finished its work after a response.
const PATIENCE: Duration = Duration::from_secs(20);

/// The size of small content, in bytes.
pub const SIZE: u64 = 30_000;

/// Whether this instance is the first.
#[must_use]
pub fn is_first() -> bool {
    fixture::instance() == 0
}

/// Returns the name of a round.
#[must_use]
pub fn name(round: u32) -> String {
    format!("name-{round}")
}

/// Reports this instance's outcome of a race, and returns the outcomes of all instances in byte order.
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

/// Waits until a session has no parts. After an assembly has returned, other hosts may see its parts for a while.
///
/// # Panics
/// If parts remain.
pub fn parts_go(store: &Store, session: &str) {
    let began = Instant::now();
    while !parts_of(store, session).is_empty() {
        assert!(began.elapsed() < PATIENCE, "parts of {session} are still there");
    }
}

/// Returns the keys of parts.
pub fn keys(parts: Vec<ListedPart>) -> impl Iterator<Item = String> {
    parts.into_iter().map(|part| part.temp_key)
}

/// Puts every second part of a session from each of two instances, and returns the whole content.
///
/// # Panics
/// If a put fails, or a part is missing in the end.
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

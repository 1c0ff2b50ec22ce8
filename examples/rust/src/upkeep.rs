//! Background work, which the host calls from time to time: removes parts that a killed process left between the two steps
//! of a POST, and forgets deleted files, so that the same content may come again.

use portico_guest::bindings::exports::portico::storage::maintenance::Progress;
use portico_guest::bindings::portico::storage::storage as wit;
use portico_guest::bindings::wasi::{clocks::wall_clock, random::random::get_random_u64};

/// The seconds after which a POST is surely over, and a deleted file is forgotten.
const OLD: u64 = 24 * 3600;

/// Sessions that one step looks at.
const PAGE: u32 = 100;

/// Returns the id of a new session, which begins with the time.
pub fn new_session() -> String {
    format!("{:016x}-{:016x}", wall_clock::now().seconds, get_random_u64())
}

fn is_old(session: &str) -> bool {
    let began = session.get(..16).and_then(|time| u64::from_str_radix(time, 16).ok());
    began.is_none_or(|began| began.saturating_add(OLD) < wall_clock::now().seconds)
}

/// Does a step of the work: looks at a page of sessions.
pub fn step(after: Option<&str>) -> Result<Progress, wit::Error> {
    let store = wit::open();
    let page = store.list_temp_sessions(after, PAGE)?;
    let mut progress = Progress { expired: 0, cleared: 0, purged: 0, open_sessions: 0, open_bytes: 0, next: page.next };
    for session in page.sessions.iter().filter(|session| is_old(session)) {
        store.delete_session_parts(session)?;
        progress.cleared += 1;
    }
    if after.is_none() {
        let before = wall_clock::now().seconds.saturating_sub(OLD) * 1_000;
        progress.purged = store.purge_gone(before, None)?.purged;
    }
    Ok(progress)
}

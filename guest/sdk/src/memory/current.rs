//! The host that the guest of this thread runs in.

use super::{state::Shared, store::Store};
use std::{
    cell::RefCell,
    time::{Duration, SystemTime},
};

thread_local! {
    /// The hosts whose guests run in this thread; the innermost is the last.
    static HOSTS: RefCell<Vec<Shared>> = const { RefCell::new(Vec::new()) };
}

/// Runs a piece of a guest in a host.
pub(super) fn run<T>(host: &Shared, guest: impl FnOnce() -> T) -> T {
    /// Leaves the host, also when the guest panics.
    struct Leave;
    impl Drop for Leave {
        fn drop(&mut self) {
            HOSTS.with_borrow_mut(Vec::pop);
        }
    }
    HOSTS.with_borrow_mut(|hosts| hosts.push(host.clone()));
    let _leave = Leave;
    guest()
}

/// Opens the store of the host that the thread's guest runs in.
pub(crate) fn open() -> Store {
    let innermost = HOSTS.with_borrow(|hosts| hosts.last().cloned());
    Store::widest(&innermost.expect("a native guest runs in `portico_guest::memory::Host::run`"))
}

/// Returns the time in milliseconds since the Unix epoch: the host's, or the system's outside of a host.
pub(crate) fn now_ms() -> u64 {
    let system = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| time.as_millis() as u64);
    HOSTS.with_borrow(|hosts| hosts.last().map_or_else(system, |host| host.state().now_ms()))
}

/// Returns a setting of the host.
pub(crate) fn setting(name: &str) -> Option<String> {
    HOSTS.with_borrow(|hosts| hosts.last().and_then(|host| host.state().settings.get(name).cloned()))
}

/// Sets the host's clock forward; waits outside of a host.
pub(crate) fn sleep(duration: Duration) {
    match HOSTS.with_borrow(|hosts| hosts.last().cloned()) {
        Some(host) => host.state().ahead += duration,
        None => std::thread::sleep(duration),
    }
}

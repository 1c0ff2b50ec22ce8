//! The clocks of the host; in native tests, the clock of [`memory`](crate::memory).

use std::time::{Duration, SystemTime};

/// Returns the wall clock's time, to the millisecond.
#[must_use]
pub fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms())
}

/// Returns the wall clock's time in milliseconds since the Unix epoch.
#[must_use]
pub fn now_ms() -> u64 {
    #[cfg(target_family = "wasm")]
    {
        let now = crate::bindings::wasi::clocks::wall_clock::now();
        now.seconds.saturating_mul(1_000).saturating_add(u64::from(now.nanoseconds) / 1_000_000)
    }
    #[cfg(not(target_family = "wasm"))]
    crate::memory::current::now_ms()
}

/// Returns the monotonic clock's time.
#[must_use]
pub fn monotonic() -> Duration {
    #[cfg(target_family = "wasm")]
    {
        Duration::from_nanos(crate::bindings::wasi::clocks::monotonic_clock::now())
    }
    #[cfg(not(target_family = "wasm"))]
    Duration::from_millis(crate::memory::current::now_ms())
}

/// Blocks for a duration. In native tests the clock of the host goes forward instead.
pub fn sleep(duration: Duration) {
    #[cfg(target_family = "wasm")]
    {
        let nanoseconds = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        crate::bindings::wasi::clocks::monotonic_clock::subscribe_duration(nanoseconds).block();
    }
    #[cfg(not(target_family = "wasm"))]
    crate::memory::current::sleep(duration);
}

//! Clocks and random numbers, from the host.

use portico_guest::bindings::wasi::{
    clocks::{monotonic_clock, wall_clock},
    random::random::get_random_bytes,
};
use std::time::{Duration, SystemTime};

/// Returns the wall clock's time, to the millisecond.
pub(crate) fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_millis(now_ms())
}

/// Returns the wall clock's time in milliseconds since the Unix epoch.
pub(crate) fn now_ms() -> u64 {
    let now = wall_clock::now();
    now.seconds.saturating_mul(1_000).saturating_add(u64::from(now.nanoseconds) / 1_000_000)
}

/// Returns the monotonic clock's time.
pub(crate) fn monotonic() -> Duration {
    Duration::from_nanos(monotonic_clock::now())
}

/// Blocks for a duration.
pub(crate) fn sleep(duration: Duration) {
    monotonic_clock::subscribe_duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)).block();
}

/// Returns 128 random bits in hexadecimal.
pub(crate) fn random_id() -> String {
    let bytes = get_random_bytes(16).try_into().expect("as many bytes as asked for");
    format!("{:032x}", u128::from_be_bytes(bytes))
}

/// Returns random bytes for a secret.
pub(crate) fn secret(length: u64) -> Vec<u8> {
    get_random_bytes(length)
}

/// Whether a text has the form of a [`random_id`].
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Formats a time in milliseconds since the Unix epoch as RFC 3339 does, to the second.
pub(crate) fn rfc3339(ms: u64) -> String {
    // RFC 3339 ends with the year 9999.
    let last = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_millis(ms).min(last)).to_string()
}

#[cfg(test)]
mod tests {
    use super::{is_id, rfc3339};

    #[test]
    fn times_are_told_in_full() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_000_000_999), "2026-11-18T11:06:40Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn ids_have_one_form() {
        assert!(is_id("0123456789abcdef0123456789abcdef"));
        for text in [
            "",
            "0123456789abcdef0123456789abcde",
            "0123456789ABCDEF0123456789ABCDEF",
            "../../../../../../../../../../../",
        ] {
            assert!(!is_id(text), "{text}");
        }
    }
}

//! Times as clients see them.

use std::time::{Duration, SystemTime};

/// Formats a time in milliseconds since the Unix epoch as RFC 3339 does, to the second.
pub(crate) fn rfc3339(ms: u64) -> String {
    // RFC 3339 ends with the year 9999.
    let last = Duration::from_secs(253_402_300_799);
    humantime::format_rfc3339_seconds(SystemTime::UNIX_EPOCH + Duration::from_millis(ms).min(last)).to_string()
}

#[cfg(test)]
mod tests {
    use super::rfc3339;

    #[test]
    fn times_are_told_in_full() {
        assert_eq!(rfc3339(0), "1970-01-01T00:00:00Z");
        assert_eq!(rfc3339(1_795_000_000_999), "2026-11-18T11:06:40Z");
        assert_eq!(rfc3339(u64::MAX), "9999-12-31T23:59:59Z");
    }
}

//! Parsers for the sizes, times, numbers and lists of settings.

use std::time::Duration;

/// Longest time that a setting takes. Sums of a few of them cannot overflow an `Instant`.
const TIME_MAX: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

/// Parses a number of bytes: a whole number, with one of the units `B`, `KiB`, `MiB`, `GiB`, `TiB` or without a unit.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    // The crate `bytesize` computes in floating point: it reads `1.7B` as 1 byte, and too large a size as the largest one.
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let unit = if unit.is_empty() { "B" } else { unit.trim_start() };
    let factor = SIZES.iter().find(|(name, _)| *name == unit).map(|(_, factor)| *factor);
    let bytes = factor.and_then(|factor| number.parse::<u64>().ok()?.checked_mul(factor));
    bytes.ok_or_else(|| "expected a size such as 64MiB (units: B, KiB, MiB, GiB, TiB)".to_owned())
}

/// Parses a time such as `30s` or `1h 30m`, of at most [`TIME_MAX`].
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    // For `humantime` an `M` is a month, where people mean minutes.
    let time = humantime::parse_duration(text).ok().filter(|_| !text.contains('M'));
    match time.ok_or_else(|| "expected a time such as 30s or 1h30m (units: ms, s, m, h, d)".to_owned())? {
        time if time > TIME_MAX => Err("must be at most 36500d".to_owned()),
        time => Ok(time),
    }
}

/// Parses a time that is not zero.
pub(super) fn positive_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| if time.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(time) })
}

/// Parses a whole number from `least` to `most`.
pub(super) fn count(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let form = || format!("expected a whole number from {least} to {most}");
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(form)
}

/// Parses `true` or `false`.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "expected true or false".to_owned())
}

/// Parses a list that is separated by commas. An empty text is an empty list.
pub(super) fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|_| format!("cannot read `{item}`"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("0", 0),
            ("17", 17),
            ("17B", 17),
            ("1KiB", 1024),
            ("64MiB", 64 << 20),
            ("5 TiB", 5 << 40),
            ("2GiB", 2 << 30),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "MiB", "1MB", "1 mib", "-1", "1.5GiB", "20000000TiB", "1MiBx"] {
            assert!(size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn times() {
        for (text, ms) in [
            ("250ms", 250),
            ("30s", 30_000),
            ("2m", 120_000),
            ("1 h", 3_600_000),
            ("7d", 7 * 24 * 3_600_000),
            ("1h30m", 5_400_000),
            ("1.5s", 1_500),
            ("36500d", 36_500 * 24 * 3_600_000),
            ("0s", 0),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1M", "1x", "36501d", "99999999999999999h"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert!(positive_time("0s").is_err());
    }

    #[test]
    fn lists() {
        assert_eq!(list::<u8>("1, 2,3"), Ok(vec![1, 2, 3]));
        assert_eq!(list::<u8>(" "), Ok(vec![]));
        assert_eq!(list::<u8>("1,x"), Err("cannot read `x`".to_owned()));
    }
}

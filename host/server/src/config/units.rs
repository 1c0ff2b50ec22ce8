//! Sizes, times and lists as people write them.

use std::time::Duration;

const SIZES: [(&str, u64); 5] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];
const TIMES: [(&str, u64); 5] = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 24 * 3_600_000)];

/// Bytes: a whole number with `B`, `KiB`, `MiB`, `GiB`, `TiB`, or none of them for bytes.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let form = || "expected a size such as 64MiB (units: B, KiB, MiB, GiB, TiB)".to_owned();
    scaled(text, &SIZES).or_else(|| text.parse().ok()).ok_or_else(form)
}

/// A time: a whole number with `ms`, `s`, `m`, `h` or `d`.
pub(crate) fn time(text: &str) -> Result<Duration, String> {
    let form = || "expected a time such as 30s (units: ms, s, m, h, d)".to_owned();
    scaled(text, &TIMES).map(Duration::from_millis).ok_or_else(form)
}

/// A time that is not zero.
pub(super) fn positive_time(text: &str) -> Result<Duration, String> {
    time(text).and_then(|time| if time.is_zero() { Err("must be more than 0".to_owned()) } else { Ok(time) })
}

/// A whole number from `least` to `most`.
pub(super) fn count(text: &str, least: u64, most: u64) -> Result<u64, String> {
    let form = || format!("expected a whole number from {least} to {most}");
    text.parse().ok().filter(|number| (least..=most).contains(number)).ok_or_else(form)
}

/// `true` or `false`.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| "expected true or false".to_owned())
}

/// What parses, separated by commas; nothing for an empty text.
pub(super) fn list<T: std::str::FromStr>(text: &str) -> Result<Vec<T>, String> {
    let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
    items.map(|item| item.parse().map_err(|_| format!("cannot read `{item}`"))).collect()
}

fn scaled(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    number.parse::<u64>().ok()?.checked_mul(*factor)
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
            ("0s", 0),
        ] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for text in ["", "30", "s", "-1s", "1.5s", "1w", "99999999999999999h", "300000000000d"] {
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

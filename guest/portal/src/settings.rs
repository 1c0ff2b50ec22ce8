//! The operator's settings, from `wasi:config/store`. The host validates them; an absent or malformed value is the
//! default.

use portico_guest::settings;
use std::time::Duration;

/// Settings of the portal. Sizes are in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// Default size of a session's parts.
    pub(crate) part_size: u64,
    /// Smallest part size that a client may choose; the last part of a file may be smaller.
    pub(crate) part_size_min: u64,
    /// Largest part size that a client may choose.
    pub(crate) part_size_max: u64,
    /// Largest content of one request of a resumable upload; 0 for no limit but that of the object.
    pub(crate) append_size_max: u64,
    /// Time from the creation of a session to its expiry.
    pub(crate) session_ttl: Duration,
    /// Time for which an ended id reports 410 before it reports 404.
    pub(crate) tombstone_ttl: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        const DAY: Duration = Duration::from_secs(24 * 60 * 60);
        Settings {
            part_size: 5 << 20,
            part_size_min: 64 << 10,
            part_size_max: 5 << 30,
            append_size_max: 0,
            session_ttl: 7 * DAY,
            tombstone_ttl: 30 * DAY,
        }
    }
}

impl Settings {
    /// Reads the settings from the host.
    pub(crate) fn load() -> Self {
        Self::read(settings::get)
    }

    fn read(value: impl Fn(&str) -> Option<String>) -> Self {
        let default = Settings::default();
        let number = |key| value(key).and_then(|text| text.parse::<u64>().ok());
        let seconds = |key| number(key).map(Duration::from_secs);
        Settings {
            part_size: number("part-size").unwrap_or(default.part_size),
            part_size_min: number("part-size-min").unwrap_or(default.part_size_min),
            part_size_max: number("part-size-max").unwrap_or(default.part_size_max),
            append_size_max: number("append-size-max").unwrap_or(default.append_size_max),
            session_ttl: seconds("session-ttl").unwrap_or(default.session_ttl),
            tombstone_ttl: seconds("tombstone-ttl").unwrap_or(default.tombstone_ttl),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Settings;
    use std::time::Duration;

    #[test]
    fn what_is_given_counts_and_the_rest_is_the_default() {
        assert_eq!(Settings::read(|_| None), Settings::default());
        assert_eq!(Settings::read(|_| Some("no number".to_owned())), Settings::default());
        let read = Settings::read(|key| match key {
            "part-size" => Some("1048576".to_owned()),
            "session-ttl" => Some("60".to_owned()),
            _ => None,
        });
        let expected = Settings { part_size: 1 << 20, session_ttl: Duration::from_secs(60), ..Settings::default() };
        assert_eq!(read, expected);
    }
}

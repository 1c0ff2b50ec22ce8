//! The settings of the portal. The host checks them and hands them on; what they mean is the portal's.

use super::units;
use super::values::{ConfigError, Values};
use std::time::Duration;

/// Longest time that something is kept. It keeps sums of times far from overflowing.
const TTL_MAX: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

/// What the portal is told. Sizes are in bytes, and times whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalSettings {
    /// Size of a session's parts where the client names none.
    pub part_size: u64,
    /// Smallest size of parts that a client may name.
    pub part_size_min: u64,
    /// Largest size of parts that a client may name.
    pub part_size_max: u64,
    /// How long a session may take.
    pub session_ttl: Duration,
    /// How long what has ended is told from what never was.
    pub tombstone_ttl: Duration,
}

impl PortalSettings {
    /// They as the portal finds them in `wasi:config/store`: names, and whole numbers.
    pub fn entries(&self) -> [(String, String); 5] {
        [
            ("part-size", self.part_size),
            ("part-size-min", self.part_size_min),
            ("part-size-max", self.part_size_max),
            ("session-ttl", self.session_ttl.as_secs()),
            ("tombstone-ttl", self.tombstone_ttl.as_secs()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_string()))
    }
}

/// Reads the settings of the portal.
pub(super) fn read(values: &Values<'_>) -> Result<PortalSettings, ConfigError> {
    let part_size_min = values.parse("part_size_min", |text| match units::size(text)? {
        0 => Err("must be more than 0".to_owned()),
        bytes => Ok(bytes),
    })?;
    let part_size_max = values.parse("part_size_max", |text| {
        let bytes = units::size(text)?;
        let fits = bytes >= part_size_min;
        if fits { Ok(bytes) } else { Err(format!("must be at least part_size_min ({part_size_min} bytes)")) }
    })?;
    let part_size = values.parse("part_size", |text| {
        let bytes = units::size(text)?;
        if (part_size_min..=part_size_max).contains(&bytes) {
            return Ok(bytes);
        }
        let (least, most) = (part_size_min, part_size_max);
        Err(format!("must be from part_size_min ({least} bytes) to part_size_max ({most} bytes)"))
    })?;
    let session_ttl = values.parse("session_ttl", ttl)?;
    let tombstone_ttl = values.parse("tombstone_ttl", ttl)?;
    Ok(PortalSettings { part_size, part_size_min, part_size_max, session_ttl, tombstone_ttl })
}

fn ttl(text: &str) -> Result<Duration, String> {
    let time = units::positive_time(text)?;
    match time {
        time if time.subsec_nanos() != 0 => Err("must be whole seconds".to_owned()),
        time if time > TTL_MAX => Err("must be 36500d at most".to_owned()),
        time => Ok(time),
    }
}

//! The settings of the portal. The host validates them, and the portal interprets them.

use super::units;
use super::values::{ConfigError, Values};
use std::time::Duration;

/// The settings that a portal receives. Sizes are in bytes, times in whole seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortalSettings {
    /// Part size of a session, if the client chooses none.
    pub part_size: u64,
    /// Smallest part size that a client may choose.
    pub part_size_min: u64,
    /// Largest part size that a client may choose.
    pub part_size_max: u64,
    /// Largest content of one request of a resumable upload; 0 for no limit.
    pub append_size_max: u64,
    /// Lifetime of a session.
    pub session_ttl: Duration,
    /// How long ended sessions and deleted files are remembered.
    pub tombstone_ttl: Duration,
}

impl PortalSettings {
    /// Returns the settings as names and whole numbers, as the portal finds them in `wasi:config/store`.
    pub fn entries(&self) -> [(String, String); 6] {
        [
            ("part-size", self.part_size),
            ("part-size-min", self.part_size_min),
            ("part-size-max", self.part_size_max),
            ("append-size-max", self.append_size_max),
            ("session-ttl", self.session_ttl.as_secs()),
            ("tombstone-ttl", self.tombstone_ttl.as_secs()),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_string()))
    }
}

/// Parses the settings of the portal.
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
    let append_size_max = values.parse("append_size_max", units::size)?;
    let session_ttl = values.parse("session_ttl", ttl)?;
    let tombstone_ttl = values.parse("tombstone_ttl", ttl)?;
    Ok(PortalSettings { part_size, part_size_min, part_size_max, append_size_max, session_ttl, tombstone_ttl })
}

fn ttl(text: &str) -> Result<Duration, String> {
    let time = units::positive_time(text)?;
    if time.subsec_nanos() == 0 { Ok(time) } else { Err("must be whole seconds".to_owned()) }
}

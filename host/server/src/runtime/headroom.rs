//! How many addresses the process has left.

use super::limits::HEADROOM;
use rustix::process::{Resource, getrlimit};

/// Whether there are enough addresses left for all but the memory of guests. True where nobody tells.
pub(super) fn is_enough() -> bool {
    let Some(limit) = getrlimit(Resource::As).current else { return true };
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = size.and_then(|size| size.split_whitespace().next()?.parse::<u64>().ok());
    kib.is_none_or(|kib| limit.saturating_sub(kib << 10) >= HEADROOM)
}

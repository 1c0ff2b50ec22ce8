//! The address space that the process has left.

use super::limits::HEADROOM;
use rustix::process::{Resource, getrlimit};

/// Reports whether enough address space is left besides the memory of guests. True if unknown.
pub(super) fn is_enough() -> bool {
    let Some(limit) = getrlimit(Resource::As).current else { return true };
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return true };
    let size = status.lines().find_map(|line| line.strip_prefix("VmSize:"));
    let kib = size.and_then(|size| size.split_whitespace().next()?.parse::<u64>().ok());
    kib.is_none_or(|kib| limit.saturating_sub(kib << 10) >= HEADROOM)
}

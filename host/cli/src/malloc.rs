//! Tunes glibc's malloc for this program.
//!
//! Content passes through buffers of half a MiB, which one thread fills and another frees. By default glibc gives threads
//! arenas of their own, up to eight per core, and each keeps its freed memory, so that the process grows beyond its peak use.
//! It also returns the end of an arena to the system again and again, only to get the memory back, zeroed, for the next buffers.
//!
//! `unsafe`, because mallopt(3) is a C function.
#![allow(unsafe_code, reason = "mallopt(3)")]

/// Arenas of the process. Buffers are few and large, so two arenas rarely make threads wait for each other.
const ARENAS: libc::c_int = 2;

/// Free bytes at the end of an arena that are not returned to the system.
const KEPT: libc::c_int = 4 << 20;

/// Size in bytes from which an allocation is mapped alone, and unmapped when freed.
const MAPPED: libc::c_int = 1 << 20;

/// Sets the parameters. Call at the start of the program.
pub(crate) fn configure() {
    for (setting, value) in
        [(libc::M_ARENA_MAX, ARENAS), (libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, MAPPED)]
    {
        // SAFETY: mallopt(3) takes two numbers, and changes a parameter under malloc's own lock.
        let is_set = unsafe { libc::mallopt(setting, value) };
        debug_assert_eq!(is_set, 1, "mallopt(3): 1 on success");
    }
}

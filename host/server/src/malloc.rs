//! How glibc keeps memory for this program.
//!
//! Content passes through buffers of half a MiB, which one thread fills and another gives back. By itself glibc gives threads
//! arenas of their own, up to eight for each core, and each keeps what was freed in it, so that the process grows to more than
//! it ever uses at once; and what it has at the end of an arena it gives back to the system all the time, only to have it
//! back, zeroed, for the next buffers.
//!
//! `unsafe`, because mallopt(3) is a function of C.
#![allow(unsafe_code, reason = "mallopt(3)")]

/// Arenas of the process. Buffers are few and large: two arenas are enough for threads hardly to wait for each other.
const ARENAS: libc::c_int = 2;

/// Free bytes at the end of an arena that are kept.
const KEPT: libc::c_int = 4 << 20;

/// Bytes from which on memory comes from the system by itself, and goes back there at once.
const MAPPED: libc::c_int = 1 << 20;

/// Settles it. For the beginning of the program.
pub(crate) fn settle() {
    for (setting, value) in
        [(libc::M_ARENA_MAX, ARENAS), (libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, MAPPED)]
    {
        // SAFETY: it takes numbers, and changes a setting of malloc(3) under malloc's own lock.
        let is_set = unsafe { libc::mallopt(setting, value) };
        debug_assert_eq!(is_set, 1, "mallopt(3): 1 on success");
    }
}

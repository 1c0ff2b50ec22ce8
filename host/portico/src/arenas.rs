//! Memory that glibc keeps for this program.
//!
//! It gives threads arenas of their own, up to eight for each core, and each keeps what was freed in it. Content is handed
//! from thread to thread, so with many arenas the process would grow to more than it ever uses at once.
//!
//! `unsafe`, because mallopt(3) is a function of C.
#![allow(unsafe_code, reason = "mallopt(3)")]

/// What is allocated for content is large and seldom: two arenas are enough for threads hardly to wait for each other.
const ARENAS: libc::c_int = 2;

/// Bounds the arenas. For the beginning of the program.
pub(crate) fn bound() {
    // SAFETY: it takes numbers, and changes a setting of malloc(3) under malloc's own lock.
    let is_set = unsafe { libc::mallopt(libc::M_ARENA_MAX, ARENAS) };
    debug_assert_eq!(is_set, 1, "mallopt(3): 1 on success");
}

//! The sizes that a guest can drive in its own instance.

use std::time::Duration;

/// The configurable limits of guests. The defaults are those of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Guests at once for requests; see [`UPKEEP_GUESTS`] for one more.
    pub guests: u32,
    /// Linear memory of one guest, in bytes: all its memories together.
    pub memory: usize,
    /// Core instances of one guest: its modules, their adapters, and the glue between them.
    pub core_instances: u32,
    /// Linear memories of one guest. Each reserves address space for each guest.
    pub memories: u32,
    /// Tables of one guest.
    pub tables: u32,
    /// Processor time of one guest.
    pub cpu: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            guests: 512,
            memory: 64 << 20,
            core_instances: 64,
            memories: 8,
            tables: 32,
            cpu: Duration::from_secs(10),
        }
    }
}

/// Most guests at once.
pub const GUESTS_MAX: u32 = 4_096;

/// Least memory of one guest, in bytes. Components from the Rust compiler need more than 1 MiB, mostly for the stack, and the
/// built-in portal must start with any configurable memory.
pub const MEMORY_MIN: usize = 2 << 20;

/// Most memory of one guest, in bytes: the 32-bit address space.
pub const MEMORY_MAX: usize = 4 << 30;

/// Largest component file that is compiled, in bytes. The compiler's time and memory grow with it.
pub const COMPONENT_MAX: u64 = 128 << 20;

/// Most portals of one server. Each has an engine and a thread of its own.
pub const PORTALS_MAX: usize = 64;

/// Most core instances, memories and tables that a configuration may allow a guest.
pub const PARTS_MAX: u32 = 1_000;

/// Guests besides those of requests: one maintenance step at a time.
pub const UPKEEP_GUESTS: u32 = 1;

/// Elements of one table.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

/// Handles in a guest's own tables.
pub(crate) const HANDLES: usize = 10_000;

/// Host resources of one guest: streams, bodies, headers, pollables, writers.
pub(crate) const RESOURCES: usize = 4_096;

/// Most random bytes of one call.
pub(crate) const RANDOM_BYTES: u64 = 64 << 10;

/// Size of one set of headers, in bytes in memory.
pub(crate) const FIELDS_BYTES: usize = 128 << 10;

/// Longest line of a guest's output in the log, in bytes; a longer one is split.
pub(crate) const OUTPUT_LINE: usize = 4 << 10;

/// Bytes of one guest's output that the log takes. The rest is discarded, with a warning.
pub(crate) const OUTPUT_BYTES: usize = 64 << 10;

/// Stack of a guest's wasm frames, in bytes.
pub(crate) const WASM_STACK: usize = 512 << 10;

/// Stack of a guest and its host calls, in bytes of address space.
pub(crate) const FIBER_STACK: usize = 2 << 20;

/// Stacks of one guest of WASI 0.3, which has a call on each. A stack that is not used costs address space alone.
pub(crate) const STACKS_0_3: u32 = 4;

/// Inaccessible address space behind a linear memory, in bytes, if address space is scarce.
pub(crate) const GUARD: u64 = 64 << 10;

/// Extra bytes of address space for a growing linear memory, if address space is scarce.
pub(crate) const GROWTH: u64 = 1 << 20;

/// Bytes of address space that must remain for threads, the compiler and upload buffers.
pub(crate) const HEADROOM: u64 = 1 << 30;

/// Bytes of an idle slot's memory, and of its stack, that stay resident. The rest is returned to the system when a guest ends,
/// so that a burst of guests leaves nothing behind.
pub(crate) const KEEP_RESIDENT: usize = 64 << 10;

/// Most bytes of the document about a compiled component, which lists its imports and exports.
pub(crate) const ARTIFACT_ABOUT_MAX: u64 = 1 << 20;

/// Most files that a cache of compiled components keeps.
pub(crate) const CACHE_FILES: usize = 32;

/// Most bytes that a cache of compiled components keeps. A Python portal takes about 100 MiB.
pub(crate) const CACHE_BYTES: u64 = 1 << 30;

/// Age at which a half-written file of the cache is removed. No compilation takes that long.
pub(crate) const CACHE_TEMPORARY_AGE: Duration = Duration::from_secs(60 * 60);

/// Most bytes of the compiler's error that are read from its process.
pub(crate) const COMPILER_ERROR_MAX: u64 = 64 << 10;

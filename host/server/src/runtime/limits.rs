//! Every size that a guest can drive in its own instance, by name.

use std::time::Duration;

/// What one guest, and all guests together, may use. The defaults are those of the server.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Guests at once that answer requests; see [`UPKEEP_GUESTS`] for one more.
    pub guests: u32,
    /// Linear memory of one guest, in bytes.
    pub memory: usize,
    /// Processor time of one guest.
    pub cpu: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { guests: 512, memory: 64 << 20, cpu: Duration::from_secs(10) }
    }
}

/// Most guests at once.
pub const GUESTS_MAX: u32 = 4_096;

/// Least memory of one guest, in bytes. What a Rust compiler makes asks for more than 1 MiB, most of it for the stack, and the
/// built-in portal must be able to begin with any memory that can be set.
pub const MEMORY_MIN: usize = 2 << 20;

/// Most memory of one guest, in bytes: all that 32 bits can name.
pub const MEMORY_MAX: usize = 4 << 30;

/// Largest component file that is compiled, in bytes. The compiler's time and memory grow with it.
pub const COMPONENT_MAX: u64 = 64 << 20;

/// Guests that run beside those of requests: one step of the maintenance at a time.
pub const UPKEEP_GUESTS: u32 = 1;

/// Core instances that one component may hold: its module, adapters, and what joins them.
pub(crate) const CORE_INSTANCES: u32 = 8;

/// Linear memories that one component may hold.
pub(crate) const MEMORIES: u32 = 1;

/// Tables that one component may hold.
pub(crate) const TABLES: u32 = 4;

/// Elements of one table.
pub(crate) const TABLE_ELEMENTS: usize = 20_000;

/// Handles that a guest may hold in its own tables.
pub(crate) const HANDLES: usize = 10_000;

/// Things that the host keeps for a guest: streams, bodies, headers, pollables, writers.
pub(crate) const RESOURCES: usize = 4_096;

/// Random bytes that one call may ask for.
pub(crate) const RANDOM_BYTES: u64 = 64 << 10;

/// Size of one set of headers that a guest makes or receives, in bytes as they lie in memory.
pub(crate) const FIELDS_BYTES: usize = 128 << 10;

/// Longest line of a guest's output in the log, in bytes; a longer one is cut into several.
pub(crate) const OUTPUT_LINE: usize = 4 << 10;

/// Bytes of output of one guest that the log keeps; the rest is dropped, and the log says so.
pub(crate) const OUTPUT_BYTES: usize = 64 << 10;

/// Stack of a guest's own frames, in bytes.
pub(crate) const WASM_STACK: usize = 512 << 10;

/// Stack on which a guest and its host calls run, in bytes of address space.
pub(crate) const FIBER_STACK: usize = 2 << 20;

/// Bytes of addresses behind a linear memory that nothing may touch, where addresses are few.
pub(crate) const GUARD: u64 = 64 << 10;

/// Bytes of addresses that a linear memory takes beyond what it needs when it grows, where addresses are few.
pub(crate) const GROWTH: u64 = 1 << 20;

/// Addresses that the process must have left for all else, in bytes: threads, the compiler, the buffers of uploads.
pub(crate) const HEADROOM: u64 = 1 << 30;

/// Bytes of an idle slot's linear memory, and of its stack, that stay resident. What lies above is given back to
/// the system when a guest ends, so that a burst of guests leaves nothing behind.
pub(crate) const KEEP_RESIDENT: usize = 64 << 10;

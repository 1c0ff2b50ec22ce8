//! Every size that a guest can drive through this crate, by name. Those of names and content are in
//! [`portico_store::limits`].

use portico_store::limits::ASSEMBLY_PARTS_MAX;

/// Streams and writers that one guest may hold open at a time, unless the embedder says otherwise. Beyond it, opening
/// one more answers `unavailable`. A stream holds up to two chunks of [`portico_store::limits::READ_CHUNK`], a writer
/// up to [`portico_store::limits::HASH_QUEUE_WRITTEN`] + 3 batches of [`portico_store::limits::WRITE_BATCH`].
pub const OPEN_MAX: usize = 64;

/// Calls that one guest may have in flight at a time through generation 0.3 of the contract. Beyond it, one more answers
/// `unavailable`. Each holds its arguments, which are at most [`HOSTCALL_BYTES`]. A guest of generation 0.2 has one at most.
pub const CALLS_MAX: usize = 32;

/// Chunks of at most [`PULL_READ`] that a host pull of generation 0.3 holds before the backend takes them.
#[cfg(feature = "p3")]
pub(crate) const PULL_QUEUE: usize = 2;

/// Most bytes that a host pull asks of its source at a time. A source answers what it has, usually less, and
/// without a copy; this bounds one that allocates whatever it is asked for.
pub const PULL_READ: usize = 1 << 20;

/// Most bytes that a guest may write into a sink at a time, which is all that a sink ever buffers.
pub const SINK_WRITE: usize = 256 << 10;

/// What one call of a guest needs at most to have copied into the host, in bytes, for
/// [`wasmtime::Store::set_hostcall_fuel`]. The largest argument is the list of the parts of an assembly.
pub const HOSTCALL_BYTES: usize = 32 << 20;

/// Longest written form of a temp key: session id, number and token, joined by slashes.
const TEMP_KEY_MAX: usize = 128 + 1 + 10 + 1 + 32;

const _: () = assert!(ASSEMBLY_PARTS_MAX * (TEMP_KEY_MAX + size_of::<String>()) <= HOSTCALL_BYTES);

//! All limits on what a guest or a client can make the host allocate or wait for.

/// Largest content of one put or assembly, in bytes, unless the configuration sets less: 5 TiB, as S3.
pub const OBJECT_SIZE_MAX: u64 = 5 << 40;

/// Largest offset or size that is accepted anywhere, in bytes: the maximum of a signed 64-bit integer of an index.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Largest value of a record, in bytes.
pub const RECORD_VALUE_MAX: usize = 64 << 10;

/// Longest page of a listing, in entries.
pub const PAGE_MAX: u32 = 1_000;

/// Most parts of one assembly.
pub const ASSEMBLY_PARTS_MAX: usize = 100_000;

/// Longest range of a session's own file that a put of unknown size takes, in bytes.
pub const OPEN_RANGE: u64 = 1 << 40;

/// Most bytes of a join that a local store copies. It copies only parts that have files of their own.
pub const JOIN_COPY_MAX: u64 = 128 << 20;

/// Most parts that are joined at a time.
pub const JOIN_PARTS_MAX: usize = 1_000;

/// Parts that are open at the same time while a join copies them.
pub const JOIN_OPEN: usize = 8;

/// Chunks of a content that may wait for the digests of [`crate::OtherDigests`] before a put stops reading its source.
pub const OTHER_HASH_QUEUE: usize = 4;

/// Longest wait of an interrupt for a put that keeps what arrived. After it the put keeps nothing.
pub const KEEP_PREFIX_WAIT: std::time::Duration = std::time::Duration::from_secs(10);

/// Longest content type, in bytes.
pub const CONTENT_TYPE_MAX: usize = 255;

/// Most pairs of metadata.
pub const METADATA_PAIRS_MAX: usize = 64;

/// Longest metadata, in bytes over all keys and values.
pub const METADATA_BYTES_MAX: usize = 8 << 10;

/// Longest key of metadata, in bytes.
pub const METADATA_KEY_MAX: usize = 64;

/// Bytes that a put gathers before they are written and hashed, if few puts run.
pub const WRITE_BATCH: usize = 512 << 10;

/// Longest single write of a put, in bytes; a write ends at each multiple of it. Linux makes the page cache of a file
/// out of pieces as large as its writes, and keeps pieces of up to 32 KiB at hand on each CPU
/// (`PAGE_ALLOC_COSTLY_ORDER`, pages of 4 KiB). Larger pieces may be memory that a virtual machine has given back to
/// its host, and the first touch of such memory can take several times as long as the write.
pub const WRITE_CHUNK: usize = 32 << 10;

/// Bytes that a put gathers at least, however many puts run.
pub const WRITE_BATCH_MIN: usize = 64 << 10;

/// Bytes that all puts of a store together may gather, unless [`WRITE_BATCH_MIN`] for each is more.
pub const GATHER_BUDGET: usize = 32 << 20;

/// Batches that may wait to be hashed before a put stops reading its source.
pub const HASH_QUEUE: usize = 2;

/// The same for content that is also written to a file, because the write is sometimes the slower of the two.
pub const HASH_QUEUE_WRITTEN: usize = 8;

/// Bytes of all puts of a store that may wait to be written or hashed.
pub const WRITE_BUDGET: usize = 32 << 20;

/// Frames below this size, in bytes, are copied together, so that a small frame does not keep the large buffer behind
/// it alive.
pub const SMALL_FRAME: usize = 16 << 10;

/// Bytes that a stream of stored content reads at a time. The stream reads one chunk ahead.
pub const READ_CHUNK: usize = 256 << 10;

/// Sessions of a store whose out-of-order parts are hashed in the background at the same time. Each reads as fast as
/// one core hashes, which is faster than most clients send.
pub const CATCHERS: usize = 2;

/// Sessions of a store that may wait for a background hasher, or be remembered as searched. Beyond it the assembly
/// hashes.
pub const CATCH_SESSIONS: usize = 1_024;

/// Bytes that are hashed in the background before another session has its turn.
pub const CATCH_STEP: u64 = 8 << 20;

/// Bytes that are read at a time for a digest.
pub const HASH_BUFFER: usize = 256 << 10;

/// Bytes that are read at a time to compare content with a stored part.
pub const COMPARE_BUFFER: usize = 64 << 10;

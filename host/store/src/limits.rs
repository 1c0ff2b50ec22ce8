//! Every size that a guest or a client can drive, by name.

/// Largest content of one put or assembly, in bytes, unless the configuration says less: 5 TiB, as S3.
pub const OBJECT_SIZE_MAX: u64 = 5 << 40;

/// Largest offset or size that is accepted anywhere, in bytes: what a signed 64-bit integer of an index holds.
pub const SIZE_MAX: u64 = i64::MAX as u64;

/// Largest value of a record, in bytes.
pub const RECORD_VALUE_MAX: usize = 64 << 10;

/// Longest page of a listing, in entries.
pub const PAGE_MAX: u32 = 1_000;

/// Most parts of one assembly.
pub const ASSEMBLY_PARTS_MAX: usize = 100_000;

/// Longest content type, in bytes.
pub const CONTENT_TYPE_MAX: usize = 255;

/// Most pairs of metadata.
pub const METADATA_PAIRS_MAX: usize = 64;

/// Longest metadata, in bytes over all keys and values.
pub const METADATA_BYTES_MAX: usize = 8 << 10;

/// Longest key of metadata, in bytes.
pub const METADATA_KEY_MAX: usize = 64;

/// Bytes that a put gathers before it hands them over to be written and hashed, if it is one of few.
pub const WRITE_BATCH: usize = 512 << 10;

/// Longest single write of a put, in bytes; one ends where a multiple of it begins. Linux makes the page cache of a file out of
/// pieces as large as its writes, and has such of up to 32 KiB at hand on each CPU (`PAGE_ALLOC_COSTLY_ORDER`, pages of
/// 4 KiB). Larger ones are of memory that a virtual machine may have given back to its host, and to touch that first can take
/// several times as long as the write itself.
pub const WRITE_CHUNK: usize = 32 << 10;

/// Bytes that a put gathers at least, however many there are.
pub const WRITE_BATCH_MIN: usize = 64 << 10;

/// Bytes that all puts of a store together may gather, as long as [`WRITE_BATCH_MIN`] for each is not more.
pub const GATHER_BUDGET: usize = 32 << 20;

/// Batches that may wait to be hashed, before a put stops reading its source.
pub const HASH_QUEUE: usize = 2;

/// The same where they are written meanwhile, and where a part that is written need not wait for its hashing: what waits then
/// is what is hashed while its client asks for the answer and begins the next part.
pub const HASH_QUEUE_WRITTEN: usize = 8;

/// A part of at least so many bytes is acknowledged before it is hashed. Hashing a smaller one takes less than telling the index
/// of it later.
pub const HASH_LATER_MIN: u64 = 1 << 20;

/// Bytes that all puts of a store together may have waiting to be written or hashed.
pub const WRITE_BUDGET: usize = 32 << 20;

/// Frames below this size, in bytes, are copied together, so that a small frame does not keep alive the large
/// buffer that it is a piece of.
pub const SMALL_FRAME: usize = 16 << 10;

/// Bytes that a stream of stored content reads at a time; it reads one chunk ahead.
pub const READ_CHUNK: usize = 256 << 10;

/// Sessions of a store in which parts that came out of order are hashed in the background at once. Each reads as fast as one
/// core hashes, which is faster than most clients send.
pub const CATCHERS: usize = 2;

/// Sessions of a store that may wait for that, or be known to have waited. What is beyond it is hashed when it is assembled.
pub const CATCH_SESSIONS: usize = 1_024;

/// Bytes that are hashed in the background before another session has its turn.
pub const CATCH_STEP: u64 = 8 << 20;

/// Bytes that are read at a time for a digest.
pub const HASH_BUFFER: usize = 256 << 10;

/// Bytes that are read at a time to compare content with a part that is there.
pub const COMPARE_BUFFER: usize = 64 << 10;

//! The tests of `main.rs` that are about HTTP and not about a disk, over S3: each server has a bucket of its own, of an
//! S3 server of its own in this process.
//!
//! Not here, because they are about the local store or about neither: `cli`, `conformance` and `disk_full` (folders,
//! locks, an index, a disk without room) and `memory` (its bounds are those of a store that gathers nothing). What S3
//! has in their place, and what only S3 has, is in `s3/`, which also runs on real servers.

mod adapt_blobstore;
mod adapt_keyvalue;
mod bodies;
#[path = "fixture/bucket.rs"]
#[expect(dead_code, reason = "the tests of `s3/main.rs` use the rest")]
mod bucket;
mod client_get;
mod client_kill;
mod client_list;
mod client_put;
mod clients;
mod clock;
mod conditions;
mod digests;
mod files;
#[expect(dead_code, reason = "slow clients are about sockets alone, and run in `main.rs`")]
mod fixture;
mod forms;
mod forms_bad;
mod heads;
mod host;
mod http2;
mod kill;
mod limits;
mod names;
mod portals;
mod posts;
mod ranges;
mod resumable;
mod sessions;
mod sessions_bad;
mod sessions_kill;
mod sessions_many;
mod sessions_race;
mod sessions_settings;
mod signals;
mod tus;
mod tus_bad;
mod tus_checksum;
mod tus_concatenation;
mod tus_kill;
mod zip;

/// Where servers of these tests store.
use bucket::Bucket as Store;

//! Tests of the `portico` binary over HTTP. Each starts a server of its own on a port and a folder of its own, talks to
//! it as clients do, good and bad, and looks at the disk beside the interface.
//!
//! Two habits run through them. What the server says is compared in whole: status, fields, the type of a problem. And
//! a test ends with [`fixture::Server::finish`], which stops the server in order and compares the files on the disk and
//! the listing of the store with what was acknowledged: no byte less, no name more.

mod adapt_blobstore;
mod adapt_check;
mod adapt_keyvalue;
mod adapt_leftovers;
mod backup;
mod bodies;
#[path = "fixture/busy.rs"]
mod busy;
mod cli;
mod client_full;
mod client_get;
mod client_hostile;
mod client_kill;
mod client_list;
mod client_memory;
mod client_proxy;
mod client_put;
mod client_size;
mod client_usage;
mod clients;
mod clock;
mod compile_cache;
mod conditions;
mod conformance;
mod cors;
mod digests;
mod disk_full;
mod files;
mod fixture;
#[path = "fixture/folder.rs"]
mod folder;
mod forms;
mod forms_bad;
mod guest_sdk;
mod heads;
mod health;
mod host;
mod http2;
mod interim;
mod kill;
mod limits;
mod logs;
mod logs_lost;
mod manners;
mod memory;
mod metrics;
mod names;
mod page;
mod portal_check;
mod portal_limits;
mod portals;
mod portals_several;
mod posts;
mod process_limits;
mod public_url;
mod ranges;
mod resumable;
mod sessions;
mod sessions_bad;
mod sessions_full;
mod sessions_kill;
mod sessions_many;
mod sessions_race;
mod sessions_settings;
mod signals;
mod slow;
#[path = "fixture/small_disk.rs"]
mod small_disk;
mod tokens;
mod tools;
mod tus;
mod tus_bad;
mod tus_checksum;
mod tus_concatenation;
mod tus_kill;
mod upkeep;
mod verify;
mod watch;
mod zip;

/// Where servers of these tests store. Those of `s3.rs`, which are mostly the same, store in a bucket.
use folder::Folder as Store;

//! What the comparisons are given: the arguments, a scratch folder, and content.

use clap::Parser;
use portico_bench_harness::content::Content;
use std::path::PathBuf;

/// Measures Portico side by side with its peers.
#[derive(Parser)]
pub(crate) struct Args {
    /// The release binary of portico.
    #[arg(long)]
    pub(crate) portico: PathBuf,
    /// The tusd to compare with; that comparison is skipped where there is none.
    #[arg(long)]
    pub(crate) tusd: Option<PathBuf>,
    /// Its version, which it does not know itself when the Go proxy gave its sources.
    #[arg(long, default_value = "of unknown version")]
    pub(crate) tusd_version: String,
    /// The folder for scratch files; it needs three times `--size` of room.
    #[arg(long, default_value = "target")]
    pub(crate) dir: PathBuf,
    /// Size of the large upload, in MiB.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) size: u64,
    /// Size of the upload whose peak memory is looked at, in GiB.
    #[arg(long, env = "PORTICO_BENCH_GIB", default_value_t = 1)]
    pub(crate) memory_size: u64,
    /// Rounds of each comparison that count.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) rounds: u64,
    /// Only the comparisons whose name begins with one of these: portal, tusd, appends, small, assembly, lanes, sessions,
    /// instance, start, memory.
    pub(crate) only: Vec<String>,
    /// Exit with 1 if a target is missed or a comparison skipped.
    #[arg(long)]
    pub(crate) check: bool,
    /// Serve a store without a guest, for the comparison with one.
    #[arg(long, hide = true)]
    pub(crate) serve_guestless: Option<PathBuf>,
}

/// What every comparison is given.
pub(crate) struct Bench {
    pub(crate) args: Args,
    /// A folder that is removed at the end.
    pub(crate) dir: PathBuf,
    pub(crate) content: Content,
    pub(crate) rounds: usize,
    /// Bytes of the large upload.
    pub(crate) size: u64,
}

//! `make bench`: what Portico costs, side by side with what it is measured against.
//!
//! Each comparison is a file of its own; the harness has what they share. A missed target is printed as MISSED and
//! fails the run only with `--check`.

mod assembly;
mod guestless;
mod instance;
mod lanes;
mod memory;
mod portal;
mod sessions;
mod small;
mod start;
mod tusd;

use clap::Parser;
use harness::content::Content;
use harness::report::{Report, machine};
use harness::{MIB, Result};
use portico_bench_harness as harness;
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures Portico side by side with its peers.
#[derive(Parser)]
struct Args {
    /// The release binary of portico.
    #[arg(long)]
    portico: PathBuf,
    /// The tusd to compare with; that comparison is skipped where there is none.
    #[arg(long)]
    tusd: Option<PathBuf>,
    /// Its version, which it does not know itself when the Go proxy gave its sources.
    #[arg(long, default_value = "of unknown version")]
    tusd_version: String,
    /// The folder for scratch files; it needs three times `--size` of room.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// Size of the large upload, in MiB.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    size: u64,
    /// Size of the upload whose peak memory is looked at, in GiB.
    #[arg(long, env = "PORTICO_BENCH_GIB", default_value_t = 1)]
    memory_size: u64,
    /// Rounds of each comparison that count.
    #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Only the comparisons whose name begins with one of these: portal, tusd, small, assembly, lanes, sessions, instance,
    /// start, memory.
    only: Vec<String>,
    /// Exit with 1 if a target is missed or a comparison skipped.
    #[arg(long)]
    check: bool,
    /// Serve a store without a guest, for the comparison with one.
    #[arg(long, hide = true)]
    serve_guestless: Option<PathBuf>,
}

/// What every comparison is given.
struct Bench {
    args: Args,
    /// A folder that is removed at the end.
    dir: PathBuf,
    content: Content,
    rounds: usize,
    /// Bytes of the large upload.
    size: u64,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if let Some(store) = &args.serve_guestless {
        guestless::serve(store)?;
        return Ok(ExitCode::SUCCESS);
    }
    let check = args.check;
    let met = run(args)?;
    Ok(if met || !check { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(args: Args) -> Result<bool> {
    let mut report = Report::default();
    let dir = tempfile::Builder::new().prefix("portico-bench-").tempdir_in(&args.dir)?;
    report.say(&format!("portico {} on {}", env!("CARGO_PKG_VERSION"), machine(dir.path())?))?;
    report.say(&format!(
        "{} rounds that count after one that does not; medians; sides take turns; file system synced before each turn",
        args.rounds
    ))?;
    report.heading()?;
    let bench = Bench {
        dir: dir.path().to_owned(),
        content: Content::default(),
        rounds: usize::try_from(args.rounds)?,
        size: args.size * MIB,
        args,
    };
    type Comparison = fn(&Bench, &mut Report) -> Result<()>;
    let all: [(&str, Comparison); 9] = [
        ("portal", portal::compare),
        ("tusd", tusd::compare),
        ("small", small::compare),
        ("assembly", assembly::compare),
        ("lanes", lanes::compare),
        ("sessions", sessions::compare),
        ("instance", instance::measure),
        ("start", start::measure),
        ("memory", memory::measure),
    ];
    for (name, comparison) in all {
        let only = &bench.args.only;
        if only.is_empty() || only.iter().any(|only| name.starts_with(only.as_str())) {
            comparison(&bench, &mut report)?;
        }
    }
    report.end()
}

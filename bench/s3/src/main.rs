//! `make bench-s3`: what the S3 backend costs, side by side with what it is measured against, on one MinIO.
//!
//! Each comparison is a file of its own. MinIO is started here, with its data in the scratch folder. A missed target is
//! printed as MISSED and fails the run only with `--check`.

mod assembly;
mod bucket;
mod child;
mod memory;
mod minio;
mod recorder;
mod serve;
mod store;
mod tools;

use clap::Parser;
use minio::Minio;
use portico_bench_harness as harness;
use portico_bench_harness::content::Content;
use portico_bench_harness::report::{Report, file_system, machine};
use portico_bench_harness::{MIB, Result};
use std::path::PathBuf;
use std::process::ExitCode;

/// Measures Portico's S3 backend side by side with its peers, on a MinIO of its own.
#[derive(Parser)]
struct Args {
    /// The release binary of portico.
    #[arg(long)]
    portico: PathBuf,
    /// The MinIO to store in.
    #[arg(long)]
    minio: PathBuf,
    /// The folder with the programs `aws`, `s5cmd` and `rclone`; that comparison is skipped where one is missing.
    #[arg(long)]
    tools: Option<PathBuf>,
    /// The tusd to compare with; that comparison is skipped where there is none.
    #[arg(long)]
    tusd: Option<PathBuf>,
    /// Its version, which it does not know itself when the Go proxy gave its sources.
    #[arg(long, default_value = "of unknown version")]
    tusd_version: String,
    /// The folder for scratch files; it needs twice `--size` of room.
    #[arg(long, default_value = "target")]
    dir: PathBuf,
    /// The folder for MinIO's data, if it is not that for scratch files; it needs three times `--size`, or
    /// `--memory-size`, of room. In memory, measurements show what is done and not what a disk can do.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Size of the large upload, in MiB.
    #[arg(long, default_value_t = 1024, value_parser = clap::value_parser!(u64).range(1..))]
    size: u64,
    /// Size of the upload whose peak memory is looked at, in GiB.
    #[arg(long, env = "PORTICO_BENCH_GIB", default_value_t = 5)]
    memory_size: u64,
    /// Rounds of each comparison that count.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..))]
    rounds: u64,
    /// Only the comparisons whose name begins with one of these: store, serve, assembly, memory.
    only: Vec<String>,
    /// Exit with 1 if a target is missed or a comparison skipped.
    #[arg(long)]
    check: bool,
}

/// What every comparison is given.
struct Bench {
    args: Args,
    /// A folder that is removed at the end.
    dir: PathBuf,
    /// The folder of MinIO's data, too.
    data: PathBuf,
    minio: Minio,
    content: Content,
    rounds: usize,
    /// Bytes of the large upload.
    size: u64,
}

fn main() -> Result<ExitCode> {
    if let Some(done) = child::run_if_asked() {
        done?;
        return Ok(ExitCode::SUCCESS);
    }
    let args = Args::parse();
    let check = args.check;
    let met = run(args)?;
    Ok(if met || !check { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn run(args: Args) -> Result<bool> {
    let mut report = Report::default();
    let dir = tempfile::Builder::new().prefix("portico-bench-s3-").tempdir_in(&args.dir)?;
    let data = tempfile::Builder::new().prefix("portico-minio-").tempdir_in(args.data.as_ref().unwrap_or(&args.dir))?;
    let minio = Minio::start(&args.minio, data.path(), dir.path())?;
    report.say(&format!("portico {} on {}", env!("CARGO_PKG_VERSION"), machine(dir.path())?))?;
    report.say(&format!(
        "to {} on this machine, its data on {}, over plain HTTP on the loopback interface",
        minio.version,
        file_system(data.path())?
    ))?;
    report.say(&format!(
        "{} rounds that count after one that does not; medians; sides take turns; file system synced before each turn; \
         what was stored is deleted after it",
        args.rounds
    ))?;
    report.heading()?;
    let bench = Bench {
        dir: dir.path().to_owned(),
        data: data.path().to_owned(),
        minio,
        content: Content::default(),
        rounds: usize::try_from(args.rounds)?,
        size: args.size * MIB,
        args,
    };
    type Comparison = fn(&Bench, &mut Report) -> Result<()>;
    let all: [(&str, Comparison); 4] = [
        ("store", store::compare),
        ("serve", serve::compare),
        ("assembly", assembly::compare),
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

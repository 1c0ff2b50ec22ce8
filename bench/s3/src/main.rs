//! `make bench-s3`: what the S3 backend costs, side by side with what it is measured against, on one MinIO.
//!
//! Each comparison is a file of its own. MinIO is started here, with its data in the scratch folder. A missed target is
//! printed as MISSED and fails the run only with `--check`.

mod assembly;
mod bucket;
mod child;
mod context;
mod memory;
mod minio;
mod recorder;
mod serve;
mod store;
mod tools;

use clap::Parser as _;
use context::{Args, Bench};
use minio::Minio;
use portico_bench_harness::content::Content;
use portico_bench_harness::report::{Report, file_system, machine};
use portico_bench_harness::{MIB, Result};
use std::process::ExitCode;

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

//! `make bench`: what Portico costs, side by side with what it is measured against.
//!
//! Each comparison is a file of its own; the harness has what they share. A missed target is printed as MISSED and
//! fails the run only with `--check`.

mod appends;
mod assembly;
mod context;
mod guestless;
mod instance;
mod lanes;
mod memory;
mod portal;
mod sessions;
mod small;
mod start;
mod tusd;

use clap::Parser as _;
use context::{Args, Bench};
use portico_bench_harness::content::Content;
use portico_bench_harness::report::{Report, machine};
use portico_bench_harness::{MIB, Result};
use std::process::ExitCode;

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
    let all: [(&str, Comparison); 10] = [
        ("portal", portal::compare),
        ("tusd", tusd::compare),
        ("appends", appends::compare),
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

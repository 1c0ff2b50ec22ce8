//! How long a server takes from its start to its listening socket, and what memory that takes.

use crate::context::Bench;
use portico_bench_harness::process::{Server, portico};
use portico_bench_harness::report::{Report, Row};
use portico_bench_harness::turns::{median, quantile};
use portico_bench_harness::{MIB, Result};
use std::time::Instant;

/// Starts that count.
const STARTS: usize = 10;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let store = bench.dir.join("start");
    let (mut millis, mut peaks) = (Vec::new(), Vec::new());
    // The first one makes the store.
    for _ in 0..=STARTS {
        let start = Instant::now();
        let server = Server::announced(portico(&bench.args.portico, &store, &[]), &bench.dir.join("start.log"))?;
        millis.push(start.elapsed().as_secs_f64() * 1e3);
        peaks.push(server.peak()? as f64);
    }
    let first = millis.remove(0);
    let row = Row::alone("start to listening", median(&millis), "ms", 500.0);
    let most = quantile(&millis, 1.0);
    let how =
        format!("{STARTS} starts on one store, each after a kill; at most {most:.0} ms; making it took {first:.0}");
    report.row(&row, &how)?;
    let peak = quantile(&peaks, 1.0) / MIB as f64;
    report.row(&Row::alone("  peak memory by then", peak, "MiB", 64.0), "resident, the most of those starts")
}

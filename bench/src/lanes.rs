//! What is left to hash when the last part of a parallel upload is there: the finalize, against hashing the whole file.

use crate::context::Bench;
use portico_bench_harness::content::size;
use portico_bench_harness::process::{Server, portico};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{alternate, median, spread};
use portico_bench_harness::uploads::Session;
use portico_bench_harness::{MIB, Result};
use std::time::Instant;

/// Bytes of a part: the portal's default.
const PART: u64 = 5 * MIB;
/// Connections of the upload.
const LANES: usize = 4;

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let dir = &bench.dir;
    let sha256 = bench.content.sha256(bench.size);
    // As it is run: what is found in the background is committed beside parts that are synced.
    let ours = Server::announced(portico(&bench.args.portico, &dir.join("lanes"), &[]), &dir.join("lanes.log"))?;
    let finalize = || {
        let session = Session::begin(ours.addr, &bench.content, bench.size, PART)?;
        session.send_in_lanes(LANES)?;
        let start = Instant::now();
        let answer = session.finalize()?;
        let seconds = start.elapsed().as_secs_f64();
        session.delete(&answer, &sha256)?;
        Ok(seconds)
    };
    let hash = || {
        let start = Instant::now();
        let found = bench.content.sha256(bench.size);
        let seconds = start.elapsed().as_secs_f64();
        if found == sha256 { Ok(seconds) } else { Err("the digest of the same bytes is another one".into()) }
    };
    let times = alternate(bench.rounds, dir, finalize, hash)?;
    let (our, their) = (median(&times.ours), median(&times.theirs));
    let row = Row {
        name: format!("finalize of {} in {LANES} lanes / hashing it", size(bench.size)),
        ours: format!("{:.1} ms", our * 1e3),
        theirs: format!("{:.1} ms", their * 1e3),
        value: our / their,
        unit: "x",
        target: Target::AtMost(0.25),
    };
    report.row(
        &row,
        &format!(
            "right after the last part of {}, each lane beginning with the next one when it is done; against SHA-256 of the \
             same bytes in memory, one thread; durability full; ours {}, theirs {}",
            size(PART),
            spread(&times.ours),
            spread(&times.theirs)
        ),
    )
}

//! The peer: a PUT, and a session of parts, with SHA-256, against tusd storing the same bytes with one PATCH, and with one
//! for each part, and no hash.

use crate::context::Bench;
use crate::portal::NOT_DURABLE;
use portico_bench_harness::content::{rate, size};
use portico_bench_harness::process::{Server, free_addr, portico};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{Times, alternate, median, spread};
use portico_bench_harness::uploads::{Tus, parts, patch, patches, put};
use portico_bench_harness::{MIB, Result};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

pub(crate) fn command(tusd: &Path, addr: SocketAddr, dir: &Path) -> Command {
    let mut command = Command::new(tusd);
    command.args(["-host", &addr.ip().to_string(), "-port", &addr.port().to_string(), "-upload-dir"]).arg(dir);
    command
}

/// Bytes of a part, and of a PATCH, of an upload in pieces.
const PART: u64 = 16 * MIB;

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let whole = format!("PUT {} with SHA-256 / tusd without", size(bench.size));
    let pieces = format!("{} in parts of {} with SHA-256 / tusd", size(bench.size), size(PART));
    let dir = &bench.dir;
    let Some(tusd) = bench.args.tusd.as_deref().filter(|tusd| tusd.is_file()) else {
        report.skipped(&whole, "no tusd; `make bench` builds it where Go is")?;
        return report.skipped(&pieces, "no tusd");
    };
    let sha256 = bench.content.sha256(bench.size);
    let ours = portico(&bench.args.portico, &dir.join("portico"), &NOT_DURABLE);
    let ours = Server::announced(ours, &dir.join("portico.log"))?;
    let addr = free_addr()?;
    let theirs = Server::at(command(tusd, addr, &dir.join("tusd")), addr, &dir.join("tusd.log"))?;

    let ours_once = || put(ours.addr, &bench.content, bench.size, &sha256);
    let theirs_once = || patch(Tus::Tusd, theirs.addr, &bench.content, bench.size);
    let times = alternate(bench.rounds, dir, ours_once, theirs_once)?;
    tell(bench, report, whole, &times, Target::AtLeast(0.9), "one PATCH")?;

    let ours_once = || parts(ours.addr, &bench.content, bench.size, PART, &sha256);
    let theirs_once = || patches(Tus::Tusd, theirs.addr, &bench.content, bench.size, PART);
    let times = alternate(bench.rounds, dir, ours_once, theirs_once)?;
    tell(bench, report, pieces, &times, Target::AtLeast(1.0), "PATCHes of that size, one connection in both")
}

fn tell(bench: &Bench, report: &mut Report, name: String, times: &Times, target: Target, how: &str) -> Result<()> {
    let (our, their) = (median(&times.ours), median(&times.theirs));
    let row = Row {
        name,
        ours: rate(bench.size, our),
        theirs: rate(bench.size, their),
        value: their / our,
        unit: "x",
        target,
    };
    report.row(
        &row,
        &format!(
            "against tusd {}, {how}, its creation not counted; no fsync in either; the same client; ours {}, theirs {}",
            bench.args.tusd_version,
            spread(&times.ours),
            spread(&times.theirs)
        ),
    )
}

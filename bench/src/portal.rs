//! What the sandbox costs: a PUT through the portal, against the same host code without a guest.

use crate::context::Bench;
use portico_bench_harness::Result;
use portico_bench_harness::content::{rate, size};
use portico_bench_harness::process::{Server, portico};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{alternate, median, spread};
use portico_bench_harness::uploads::put;
use std::process::Command;

/// Arguments of a server that syncs nothing, so that a comparison shows what is done and not what a disk can do.
pub(crate) const NOT_DURABLE: [&str; 2] = ["--durability", "none"];

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let dir = &bench.dir;
    let sha256 = bench.content.sha256(bench.size);
    let ours = portico(&bench.args.portico, &dir.join("portal"), &NOT_DURABLE);
    let ours = Server::announced(ours, &dir.join("portal.log"))?;
    let mut theirs = Command::new(std::env::current_exe()?);
    theirs.arg("--portico").arg(&bench.args.portico).arg("--serve-guestless").arg(dir.join("guestless"));
    let theirs = Server::announced(theirs, &dir.join("guestless.log"))?;

    let put = |to| put(to, &bench.content, bench.size, &sha256);
    let times = alternate(bench.rounds, dir, || put(ours.addr), || put(theirs.addr))?;
    let (our, their) = (median(&times.ours), median(&times.theirs));
    let row = Row {
        name: format!("PUT {}: portal in wasm / no guest", size(bench.size)),
        ours: rate(bench.size, our),
        theirs: rate(bench.size, their),
        value: their / our,
        unit: "x",
        target: Target::AtLeast(0.95),
    };
    report.row(
        &row,
        &format!(
            "against a server of the same settings that pumps the body into the same store; SHA-256 and durability none \
             in both; ours {}, theirs {}",
            spread(&times.ours),
            spread(&times.theirs)
        ),
    )
}

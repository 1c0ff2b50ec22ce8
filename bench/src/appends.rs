//! Uploads over tus: one PATCH and several, against a PUT of the same portal, and many small ones against tusd.

use crate::context::Bench;
use crate::portal::NOT_DURABLE;
use crate::tusd;
use portico_bench_harness::content::{rate, size};
use portico_bench_harness::process::{Server, free_addr, portico};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{alternate, median, rotate, spread};
use portico_bench_harness::uploads::{Tus, patch, patches, put};
use portico_bench_harness::{MIB, Result};

/// Bytes of a PATCH of an upload in pieces.
const LARGE: u64 = 16 * MIB;

/// Bytes of a small PATCH, and of the upload that consists of them.
const SMALL: u64 = MIB / 16;
const OF_SMALL: u64 = 256 * MIB;

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let dir = &bench.dir;
    let sha256 = bench.content.sha256(bench.size);
    let ours = portico(&bench.args.portico, &dir.join("appends"), &NOT_DURABLE);
    let ours = Server::announced(ours, &dir.join("appends.log"))?;
    let turns = rotate(bench.rounds, dir, 3, |side| match side {
        0 => put(ours.addr, &bench.content, bench.size, &sha256),
        1 => patch(Tus::Portal, ours.addr, &bench.content, bench.size),
        _ => patches(Tus::Portal, ours.addr, &bench.content, bench.size, LARGE),
    })?;
    for (side, how) in [(1, "in one PATCH".to_owned()), (2, format!("in PATCHes of {}", size(LARGE)))] {
        let (put, patched) = (median(&turns[0]), median(&turns[side]));
        let row = Row {
            name: format!("{} {how} / PUT", size(bench.size)),
            ours: rate(bench.size, patched),
            theirs: rate(bench.size, put),
            value: put / patched,
            unit: "x",
            target: Target::AtLeast(0.9),
        };
        let times = format!("PATCH {}, PUT {}", spread(&turns[side]), spread(&turns[0]));
        report.row(&row, &format!("the same portal, durability none, one connection; {times}"))?;
    }

    let name = format!("PATCHes of {} KiB a second / tusd", SMALL >> 10);
    let Some(program) = bench.args.tusd.as_deref().filter(|tusd| tusd.is_file()) else {
        return report.skipped(&name, "no tusd; `make bench` builds it where Go is");
    };
    let addr = free_addr()?;
    let theirs =
        Server::at(tusd::command(program, addr, &dir.join("appends-tusd")), addr, &dir.join("appends-tusd.log"))?;
    let ours_once = || patches(Tus::Portal, ours.addr, &bench.content, OF_SMALL, SMALL);
    let theirs_once = || patches(Tus::Tusd, theirs.addr, &bench.content, OF_SMALL, SMALL);
    let times = alternate(bench.rounds, dir, ours_once, theirs_once)?;
    let (our, their) = (median(&times.ours), median(&times.theirs));
    let a_second = |seconds: f64| format!("{:.0} /s", (OF_SMALL / SMALL) as f64 / seconds);
    let row = Row {
        name,
        ours: a_second(our),
        theirs: a_second(their),
        value: their / our,
        unit: "x",
        target: Target::AtLeast(1.0),
    };
    let times = format!("ours {}, theirs {}", spread(&times.ours), spread(&times.theirs));
    report
        .row(&row, &format!("{} on one connection, no fsync in either, SHA-256 in ours alone; {times}", size(OF_SMALL)))
}

//! The peer: a PUT with SHA-256, against tusd storing the same bytes with one PATCH and no hash.

use crate::Bench;
use crate::harness::Result;
use crate::harness::content::{rate, size};
use crate::harness::process::{Server, free_addr, portico};
use crate::harness::report::{Report, Row, Target};
use crate::harness::turns::{alternate, median, spread};
use crate::harness::uploads::{patch, put};
use crate::portal::NOT_DURABLE;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

fn command(tusd: &Path, addr: SocketAddr, dir: &Path) -> Command {
    let mut command = Command::new(tusd);
    command.args(["-host", &addr.ip().to_string(), "-port", &addr.port().to_string(), "-upload-dir"]).arg(dir);
    command
}

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let name = format!("PUT {} with SHA-256 / tusd without", size(bench.size));
    let dir = &bench.dir;
    let Some(tusd) = bench.args.tusd.as_deref().filter(|tusd| tusd.is_file()) else {
        return report.skipped(&name, "no tusd; `make bench` builds it where Go is");
    };
    let sha256 = bench.content.sha256(bench.size);
    let ours = portico(&bench.args.portico, &dir.join("portico"), &NOT_DURABLE);
    let ours = Server::announced(ours, &dir.join("portico.log"))?;
    let addr = free_addr()?;
    let theirs = Server::at(command(tusd, addr, &dir.join("tusd")), addr, &dir.join("tusd.log"))?;

    let ours_once = || put(ours.addr, &bench.content, bench.size, &sha256);
    let theirs_once = || patch(theirs.addr, &bench.content, bench.size);
    let times = alternate(bench.rounds, dir, ours_once, theirs_once)?;
    let (our, their) = (median(&times.ours), median(&times.theirs));
    let row = Row {
        name,
        ours: rate(bench.size, our),
        theirs: rate(bench.size, their),
        value: their / our,
        unit: "x",
        target: Target::AtLeast(0.9),
    };
    report.row(
        &row,
        &format!(
            "against tusd {}, one PATCH, its creation not counted; no fsync in either; the same client; ours {}, theirs \
             {}",
            bench.args.tusd_version,
            spread(&times.ours),
            spread(&times.theirs)
        ),
    )
}

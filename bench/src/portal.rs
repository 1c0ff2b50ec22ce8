//! What the sandbox costs: a PUT through the portal, against the same host code without a guest.

use crate::Bench;
use crate::harness::content::{rate, size};
use crate::harness::process::{Server, portico};
use crate::harness::report::{Report, Row, Target};
use crate::harness::turns::{alternate, median, spread};
use crate::harness::{Result, client};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Instant;

/// Arguments of a server that syncs nothing, so that a comparison shows what is done and not what a disk can do.
pub(crate) const NOT_DURABLE: [&str; 2] = ["--durability", "none"];

/// Seconds of one PUT, which is checked against the digest and deleted again.
pub(crate) fn put(bench: &Bench, to: SocketAddr, sha256: &str) -> Result<f64> {
    let start = Instant::now();
    let answer = client::send(to, "PUT", "/files/large", "", &bench.content, bench.size)?;
    let seconds = start.elapsed().as_secs_f64();
    let answer = answer.expect(201)?;
    if answer.field("sha256")? != sha256 {
        return Err("a PUT answered another digest than that of what was sent".into());
    }
    client::ask(to, "DELETE", &format!("/files/{}", answer.field("file_id")?), "")?.expect(204)?;
    Ok(seconds)
}

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let dir = &bench.dir;
    let sha256 = bench.content.sha256(bench.size);
    let ours = portico(&bench.args.portico, &dir.join("portal"), &NOT_DURABLE);
    let ours = Server::announced(ours, &dir.join("portal.log"))?;
    let mut theirs = Command::new(std::env::current_exe()?);
    theirs.arg("--portico").arg(&bench.args.portico).arg("--serve-guestless").arg(dir.join("guestless"));
    let theirs = Server::announced(theirs, &dir.join("guestless.log"))?;

    let times = alternate(bench.rounds, dir, || put(bench, ours.addr, &sha256), || put(bench, theirs.addr, &sha256))?;
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

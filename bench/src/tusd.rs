//! The peer: a PUT with SHA-256, against tusd storing the same bytes with one PATCH and no hash.

use crate::Bench;
use crate::harness::content::{rate, size};
use crate::harness::process::{Server, free_addr, portico};
use crate::harness::report::{Report, Row, Target};
use crate::harness::turns::{alternate, median, spread};
use crate::harness::{Result, client};
use crate::portal::{NOT_DURABLE, put};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const RESUMABLE: &str = "Tus-Resumable: 1.0.0\r\n";

fn command(tusd: &Path, addr: SocketAddr, dir: &Path) -> Command {
    let mut command = Command::new(tusd);
    command.args(["-host", &addr.ip().to_string(), "-port", &addr.port().to_string(), "-upload-dir"]).arg(dir);
    command
}

/// Seconds of one PATCH that holds the whole, which is checked by its offset and deleted again. The creation of the
/// upload does not count.
fn patch(bench: &Bench, to: SocketAddr) -> Result<f64> {
    let size = bench.size;
    let created = client::ask(to, "POST", "/files/", &format!("{RESUMABLE}Upload-Length: {size}\r\n"))?.expect(201)?;
    let location = created.header("location").ok_or("tusd gave no location")?;
    let path = location.find("/files/").map(|at| &location[at..]).ok_or("tusd gave another location")?;
    let headers = format!("{RESUMABLE}Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\n");

    let start = Instant::now();
    let answer = client::send(to, "PATCH", path, &headers, &bench.content, size)?;
    let seconds = start.elapsed().as_secs_f64();
    if answer.expect(204)?.header("upload-offset") != Some(size.to_string().as_str()) {
        return Err("tusd did not store the whole".into());
    }
    client::ask(to, "DELETE", path, RESUMABLE)?.expect(204)?;
    Ok(seconds)
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

    let times = alternate(bench.rounds, dir, || put(bench, ours.addr, &sha256), || patch(bench, theirs.addr))?;
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

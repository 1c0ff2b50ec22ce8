//! What it costs to tell of a session, and to make its file: it grows with its parts and not with its bytes.

use crate::context::Bench;
use crate::portal::NOT_DURABLE;
use portico_bench_harness::content::size;
use portico_bench_harness::process::{Server, portico};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{median, rotate, spread};
use portico_bench_harness::uploads::Session;
use portico_bench_harness::{MIB, Result};
use std::time::Instant;

/// Parts of the session of many, of which S3 takes no more either.
const MANY: u64 = 10_000;

/// Parts of the sessions that differ in bytes alone.
const FEW: u64 = 500;

/// The smallest part that the portal takes by default, and one of sixteen times as many bytes.
const PART: u64 = MIB / 16;
const LARGE_PART: u64 = MIB;

/// Connections that send the parts of the session of many.
const LANES: usize = 4;

/// Seconds of a look at a whole session, and of making its file.
struct Told {
    status: f64,
    finalize: f64,
}

fn session(bench: &Bench, server: &Server, parts: u64, part: u64, lanes: usize) -> Result<Told> {
    let bytes = parts * part;
    let sha256 = repeated_sha256(bench, parts, part);
    let session = Session::begin(server.addr, &bench.content, bytes, part)?;
    session.send_in_lanes(lanes)?;
    let start = Instant::now();
    let status = session.status()?;
    let told = start.elapsed().as_secs_f64();
    if !String::from_utf8_lossy(&status.body).contains(&format!("\"received_bytes\":{bytes},")) {
        return Err("a session lacks what was sent".into());
    }
    let start = Instant::now();
    let answer = session.finalize()?;
    let finalize = start.elapsed().as_secs_f64();
    session.delete(&answer, &sha256)?;
    Ok(Told { status: told, finalize })
}

/// The digest of a file each part of which is the same.
fn repeated_sha256(bench: &Bench, parts: u64, part: u64) -> String {
    let mut hash = portico_store::Sha256::new();
    for _ in 0..parts {
        bench.content.pieces(part).for_each(|piece| hash.update(piece));
    }
    hash.finish().to_hex()
}

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let server = portico(&bench.args.portico, &bench.dir.join("sessions"), &NOT_DURABLE);
    let server = Server::announced(server, &bench.dir.join("sessions.log"))?;

    let told = session(bench, &server, MANY, PART, LANES)?;
    let how = format!("of {} each, {LANES} connections, whole answer read", size_of_part(PART));
    report.row(&Row::alone(&format!("GET of a session of {MANY} parts"), told.status * 1e3, "ms", 1e3), &how)?;
    let how = "in the same server, right after the last part";
    report.row(&Row::alone(&format!("finalize of {MANY} parts"), told.finalize * 1e3, "ms", 1e3), how)?;

    let times = rotate(bench.rounds.min(5), &bench.dir, 2, |side| {
        let part = if side == 0 { LARGE_PART } else { PART };
        session(bench, &server, FEW, part, 1).map(|told| told.finalize)
    })?;
    let (large, small) = (median(&times[0]), median(&times[1]));
    let row = Row {
        name: format!("finalize of {FEW} parts of {} / {}", size(LARGE_PART), size_of_part(PART)),
        ours: format!("{:.1} ms", large * 1e3),
        theirs: format!("{:.1} ms", small * 1e3),
        value: large / small,
        unit: "x",
        target: Target::AtMost(2.0),
    };
    let how = format!(
        "sixteen times the bytes in the same number of parts, in order, right after the last part; ours {}, theirs {}",
        spread(&times[0]),
        spread(&times[1])
    );
    report.row(&row, &how)
}

fn size_of_part(bytes: u64) -> String {
    format!("{} KiB", bytes >> 10)
}

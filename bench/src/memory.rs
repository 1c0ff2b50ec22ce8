//! What memory uploads take: one small, one large, whole and in parts, and many slow ones at once; and what the client that
//! sends them takes.

use crate::context::Bench;
use crate::portal::NOT_DURABLE;
use portico_bench_harness::client::{self, Exchange};
use portico_bench_harness::content::size;
use portico_bench_harness::process::{Server, portico, run};
use portico_bench_harness::report::{Report, Row};
use portico_bench_harness::uploads::Session;
use portico_bench_harness::{MIB, Result};
use std::fs::File;
use std::process::Command;
use std::time::Duration;

const SMALL: u64 = 100 * MIB;

/// Slow uploads at once, and what each of them sends.
const SLOW: usize = 200;
const SLOW_SIZE: u64 = 2 * MIB;
/// Bytes that a slow client sends at a time, and its pause before the next.
const SLOW_PIECE: u64 = 32 << 10;
const SLOW_PAUSE: Duration = Duration::from_millis(50);

/// The peak in bytes of a PUT and a GET of so many bytes.
fn transfer(bench: &Bench, server: &Server, bytes: u64) -> Result<u64> {
    server.reset_peak()?;
    let stored = client::send(server.addr, "PUT", "/files/memory", "", &bench.content, bytes)?.expect(201)?;
    let path = format!("/files/{}", stored.field("file_id")?);
    client::ask(server.addr, "GET", &path, "")?.expect(200)?;
    let peak = server.peak()?;
    client::ask(server.addr, "DELETE", &path, "")?.expect(204)?;
    Ok(peak)
}

/// Bytes of a part of a session, and connections that send parts.
const PART: u64 = 16 * MIB;
const LANES: usize = 4;

/// The peak in bytes of a session of so many bytes, from its first part to its file.
fn session(bench: &Bench, server: &Server, bytes: u64) -> Result<u64> {
    server.reset_peak()?;
    let session = Session::begin(server.addr, &bench.content, bytes, PART)?;
    session.send_in_lanes(LANES)?;
    let answer = session.finalize()?;
    let peak = server.peak()?;
    session.delete(&answer, &bench.content.sha256(bytes))?;
    Ok(peak)
}

/// The peaks in bytes of a server and of a `portico put` that sends it a file of so many bytes.
fn put(bench: &Bench, server: &Server, bytes: u64) -> Result<(u64, u64)> {
    let path = bench.dir.join("put");
    bench.content.send(bytes, &mut File::create(&path)?)?;
    server.reset_peak()?;
    let mut command = Command::new(&bench.args.portico);
    command.args(["put", "--server", &format!("http://{}", server.addr), "--json"]).arg(&path);
    let (cost, said) = run(command, &bench.dir.join("put.log"))?;
    let peak = server.peak()?;
    let sha256 = bench.content.sha256(bytes);
    let told = said.lines().filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
    let receipts = told.map(|told| told["receipt"].clone()).filter(|receipt| receipt["sha256"] == *sha256);
    let id = receipts.filter_map(|receipt| receipt["file_id"].as_str().map(str::to_owned)).next();
    let id = id.ok_or_else(|| format!("portico put tells no file of the digest of what was sent: {said}"))?;
    client::ask(server.addr, "DELETE", &format!("/files/{id}"), "")?.expect(204)?;
    std::fs::remove_file(&path)?;
    Ok((peak, cost.peak))
}

/// The peak in bytes of many uploads at once, each a piece at a time.
fn slow(bench: &Bench, server: &Server) -> Result<u64> {
    server.reset_peak()?;
    let begin = |_| Exchange::begin(server.addr, "PUT", "/files/slow", "", SLOW_SIZE);
    let mut uploads = (0..SLOW).map(begin).collect::<Result<Vec<_>>>()?;
    for _ in 0..SLOW_SIZE / SLOW_PIECE {
        for upload in &mut uploads {
            bench.content.send(SLOW_PIECE, upload.body())?;
        }
        std::thread::sleep(SLOW_PAUSE);
    }
    for upload in uploads {
        upload.finish()?.expect(201)?;
    }
    server.peak()
}

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let command = portico(&bench.args.portico, &bench.dir.join("memory"), &NOT_DURABLE);
    let server = Server::announced(command, &bench.dir.join("memory.log"))?;
    let large = bench.args.memory_size * 1024 * MIB;
    transfer(bench, &server, SMALL)?;
    transfer(bench, &server, SMALL)?;
    let small_peak = transfer(bench, &server, SMALL)?;
    let large_peak = transfer(bench, &server, large)?;
    session(bench, &server, SMALL)?;
    let small_session = session(bench, &server, SMALL)?;
    let large_session = session(bench, &server, large)?;
    let small_put = put(bench, &server, SMALL)?;
    let large_put = put(bench, &server, large)?;
    let slow_peak = slow(bench, &server)?;

    let mib = |bytes: u64| bytes as f64 / MIB as f64;
    let mut both = |name: String, small: u64, at: u64, how: &str| {
        report.row(&Row::alone(&name, mib(at), "MiB", 64.0), how)?;
        let more = Row::alone(&format!("  more than for {}", size(SMALL)), mib(at) - mib(small), "MiB", 8.0);
        report.row(&more, &format!("which took {:.1} MiB just before", mib(small)))
    };
    let how = "resident, after a warm-up";
    both(format!("peak memory of PUT and GET of {}", size(large)), small_peak, large_peak, how)?;
    let how = format!("of the server, parts of {}, {LANES} connections, and finalize", size(PART));
    both(format!("peak memory of a session of {}", size(large)), small_session, large_session, &how)?;
    let how = "of the server, with the client's defaults";
    both(format!("peak memory of `put` of {}", size(large)), small_put.0, large_put.0, how)?;
    both("  the same, of the client".to_owned(), small_put.1, large_put.1, "resident, looked at every 5 ms")?;
    let name = format!("peak memory of {SLOW} slow uploads");
    let how = format!(
        "{} each in pieces of {} KiB every {} ms, all at once, in the same server",
        size(SLOW_SIZE),
        SLOW_PIECE >> 10,
        SLOW_PAUSE.as_millis()
    );
    report.row(&Row::alone(&name, mib(slow_peak), "MiB", 256.0), &how)
}

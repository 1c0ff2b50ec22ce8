//! What memory uploads take: one small, one large, and many slow ones at once.

use crate::Bench;
use crate::harness::client::{self, Exchange};
use crate::harness::content::size;
use crate::harness::process::{Server, portico};
use crate::harness::report::{Report, Row};
use crate::harness::{MIB, Result};
use crate::portal::NOT_DURABLE;
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
    let slow_peak = slow(bench, &server)?;

    let mib = |bytes: u64| bytes as f64 / MIB as f64;
    let name = format!("peak memory of PUT and GET of {}", size(large));
    report.row(&Row::alone(&name, mib(large_peak), "MiB", 64.0), "resident, after a warm-up")?;
    let name = format!("  more than for {}", size(SMALL));
    let how = format!("which took {:.1} MiB just before", mib(small_peak));
    report.row(&Row::alone(&name, mib(large_peak) - mib(small_peak), "MiB", 8.0), &how)?;
    let name = format!("peak memory of {SLOW} slow uploads");
    let how = format!(
        "{} each in pieces of {} KiB every {} ms, all at once, in the same server",
        size(SLOW_SIZE),
        SLOW_PIECE >> 10,
        SLOW_PAUSE.as_millis()
    );
    report.row(&Row::alone(&name, mib(slow_peak), "MiB", 256.0), &how)
}

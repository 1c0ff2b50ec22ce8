//! What memory a large upload to S3 takes, whole and in parts, against a smaller one.

use crate::bucket::Bucket;
use crate::context::Bench;
use crate::serve::portico;
use portico_bench_harness::content::size;
use portico_bench_harness::report::{Report, Row};
use portico_bench_harness::uploads::{Session, put};
use portico_bench_harness::{MIB, Result};

const BUCKET: &str = "bench-memory";

const SMALL: u64 = 500 * MIB;

/// Bytes of a part of a session, and connections that send parts.
const PART: u64 = 16 * MIB;
const LANES: usize = 4;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    Bucket::create(bench.minio.addr, BUCKET)?;
    let server = portico(bench, bench.minio.addr, BUCKET, "memory.log")?;
    type Upload<'u> = &'u dyn Fn(u64) -> Result<()>;
    let watched = |upload: Upload<'_>, bytes| {
        server.reset_peak()?;
        upload(bytes)?;
        bench.minio.empty_trash()?;
        server.peak().map(|peak| peak as f64 / MIB as f64)
    };
    let whole = |bytes| put(server.addr, &bench.content, bytes, &bench.content.sha256(bytes)).map(drop);
    let in_parts = |bytes| {
        let session = Session::begin(server.addr, &bench.content, bytes, PART)?;
        session.send_in_lanes(LANES)?;
        session.delete(&session.finalize()?, &bench.content.sha256(bytes))
    };
    let large = bench.args.memory_size * 1024 * MIB;
    let sides: [(&str, Upload<'_>); 2] = [("PUT", &whole), ("a session", &in_parts)];
    for (what, upload) in sides {
        watched(upload, SMALL)?;
        let small_peak = watched(upload, SMALL)?;
        let large_peak = watched(upload, large)?;
        let name = format!("peak memory of {what} of {}", size(large));
        let how = match what {
            "PUT" => "of `portico serve`, resident, after a warm-up".to_owned(),
            _ => format!("of `portico serve`, parts of {}, {LANES} connections, and finalize", size(PART)),
        };
        report.row(&Row::alone(&name, large_peak, "MiB", 128.0), &how)?;
        let name = format!("  more than for {}", size(SMALL));
        let how = format!("which took {small_peak:.1} MiB just before");
        report.row(&Row::alone(&name, large_peak - small_peak, "MiB", 16.0), &how)?;
    }
    Ok(())
}

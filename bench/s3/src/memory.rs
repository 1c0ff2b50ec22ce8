//! What memory a large upload to S3 takes, against a smaller one.

use crate::Bench;
use crate::bucket::Bucket;
use crate::harness::content::size;
use crate::harness::report::{Report, Row};
use crate::harness::uploads::put;
use crate::harness::{MIB, Result};
use crate::serve::portico;

const BUCKET: &str = "bench-memory";

const SMALL: u64 = 500 * MIB;

pub(crate) fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    Bucket::create(bench.minio.addr, BUCKET)?;
    let server = portico(bench, bench.minio.addr, BUCKET, "memory.log")?;
    let transfer = |bytes| {
        server.reset_peak()?;
        put(server.addr, &bench.content, bytes, &bench.content.sha256(bytes))?;
        bench.minio.empty_trash()?;
        server.peak().map(|peak| peak as f64 / MIB as f64)
    };
    let large = bench.args.memory_size * 1024 * MIB;
    transfer(SMALL)?;
    let small_peak = transfer(SMALL)?;
    let large_peak = transfer(large)?;
    let name = format!("peak memory of PUT of {}", size(large));
    report.row(&Row::alone(&name, large_peak, "MiB", 128.0), "of `portico serve`, resident, after a warm-up")?;
    let name = format!("  more than for {}", size(SMALL));
    let how = format!("which took {small_peak:.1} MiB just before");
    report.row(&Row::alone(&name, large_peak - small_peak, "MiB", 16.0), &how)
}

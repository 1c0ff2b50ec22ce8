//! A server before the store: `portico serve` with one PUT, against tusd with its S3 store and one PATCH.

use crate::bucket::Bucket;
use crate::context::Bench;
use crate::minio::{Minio, REGION, endpoint, give_access};
use crate::recorder::Recorder;
use portico_bench_harness::Result;
use portico_bench_harness::content::{rate, size};
use portico_bench_harness::process::{Server, free_addr, portico_on};
use portico_bench_harness::report::{Report, Row, Target, available, file_system};
use portico_bench_harness::turns::{median, rotate, spread};
use portico_bench_harness::uploads::{Tus, patch, patches, put};
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

const BUCKET: &str = "bench-serve";

/// Bytes of a PATCH of an upload in pieces.
const APPEND: u64 = 16 << 20;

/// Bytes of the upload with which it is looked how content is sent: more than a part of either.
const SAMPLE: u64 = 64 << 20;

/// `portico serve` on a bucket of an S3 server, with its defaults.
pub(crate) fn portico(bench: &Bench, s3: SocketAddr, bucket: &str, log: &str) -> Result<Server> {
    let store = format!("s3://{bucket}/portico");
    let endpoint = endpoint(s3);
    let more = ["--s3-endpoint", endpoint.as_str(), "--s3-region", REGION];
    let mut command = portico_on(&bench.args.portico, &store, &more);
    give_access(&mut command, &bench.dir);
    Server::announced(command, &bench.dir.join(log))
}

fn tusd(bench: &Bench, program: &Path, s3: SocketAddr) -> Result<Server> {
    let addr = free_addr()?;
    let mut command = Command::new(program);
    command.args(["-host", &addr.ip().to_string(), "-port", &addr.port().to_string()]);
    command.args(["-s3-bucket", BUCKET, "-s3-object-prefix", "tusd/", "-s3-endpoint", &endpoint(s3)]);
    give_access(&mut command, &bench.dir);
    Server::at(command, addr, &bench.dir.join("tusd.log"))
}

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let Some(program) = bench.args.tusd.as_deref().filter(|tusd| tusd.is_file()) else {
        let name = format!("PUT {} / tusd", size(bench.size));
        return report.skipped(&name, "no tusd; `make bench-s3` builds it where Go is");
    };
    on(bench, report, program, &bench.minio, &bench.data)?;
    // MinIO syncs what it stores: where that takes most of the time, both sides wait for the disk. So once more without,
    // unless somebody has chosen where its data is.
    if bench.args.data.is_some() {
        return Ok(());
    }
    let Some(data) = in_memory(bench.size)? else {
        return report.say("    there is no room in memory for MinIO's data, so that is measured on the disk alone");
    };
    let dir = bench.dir.join("in-memory");
    std::fs::create_dir(&dir)?;
    let minio = Minio::start(&bench.args.minio, data.path(), &dir)?;
    on(bench, report, program, &minio, data.path())
}

/// A folder in memory for MinIO's data, if half of what is available is room enough for three uploads.
fn in_memory(size: u64) -> Result<Option<TempDir>> {
    let shared = Path::new("/dev/shm");
    if !shared.is_dir() || file_system(shared)? != "tmpfs" || available()? / 2 < 3 * size {
        return Ok(None);
    }
    Ok(Some(tempfile::Builder::new().prefix("portico-minio-").tempdir_in(shared)?))
}

/// On one MinIO, whose data is in this folder.
fn on(bench: &Bench, report: &mut Report, program: &Path, minio: &Minio, data: &Path) -> Result<()> {
    let kind = file_system(data)?;
    let bucket = Bucket::create(minio.addr, BUCKET)?;
    let sha256 = bench.content.sha256(SAMPLE);
    let (our_recorder, their_recorder) = (Recorder::before(minio.addr)?, Recorder::before(minio.addr)?);
    put(portico(bench, our_recorder.addr, BUCKET, "serve.log")?.addr, &bench.content, SAMPLE, &sha256)?;
    patch(Tus::Tusd, tusd(bench, program, their_recorder.addr)?.addr, &bench.content, SAMPLE)?;

    let sha256 = bench.content.sha256(bench.size);
    let ours = portico(bench, minio.addr, BUCKET, "serve.log")?;
    let theirs = tusd(bench, program, minio.addr)?;
    let times = rotate(bench.rounds, data, 3, |side| {
        let seconds = match side {
            0 => put(ours.addr, &bench.content, bench.size, &sha256),
            1 => patch(Tus::Tusd, theirs.addr, &bench.content, bench.size),
            _ => bench.content.sync(bench.size, data),
        };
        minio.empty_trash()?;
        seconds
    })?;
    let patched = rotate(bench.rounds, data, 2, |side| {
        let (tus, to) = if side == 0 { (Tus::Portal, ours.addr) } else { (Tus::Tusd, theirs.addr) };
        let seconds = patches(tus, to, &bench.content, bench.size, APPEND);
        minio.empty_trash()?;
        seconds
    })?;
    let left = bucket.clear("")?;
    let (our, their) = (median(&times[0]), median(&times[1]));
    report.row(
        &Row {
            name: format!("PUT {} / tusd, MinIO on {kind}", size(bench.size)),
            ours: rate(bench.size, our),
            theirs: rate(bench.size, their),
            value: their / our,
            unit: "x",
            target: Target::AtLeast(1.2),
        },
        &format!(
            "one request each by the same client, SHA-256 in ours, the creation of tusd's upload not counted; each with its \
             defaults; ours {}, theirs {}; {left} bytes were left behind by both",
            spread(&times[0]),
            spread(&times[1])
        ),
    )?;
    let (our, their) = (median(&patched[0]), median(&patched[1]));
    report.row(
        &Row {
            name: format!("PATCHes of {} / tusd, MinIO on {kind}", size(APPEND)),
            ours: rate(bench.size, our),
            theirs: rate(bench.size, their),
            value: their / our,
            unit: "x",
            target: Target::AtLeast(2.0),
        },
        &format!("one connection in both; ours {}, theirs {}", spread(&patched[0]), spread(&patched[1])),
    )?;
    report.say(&format!("    {:<31} {}", "ours", our_recorder.modes()))?;
    report.say(&format!("    {:<31} {}", format!("tusd {}", bench.args.tusd_version), their_recorder.modes()))?;
    let disk = format!("{} ({})", rate(bench.size, median(&times[2])), spread(&times[2]));
    report.say(&format!(
        "    {:<31} {disk}, one file written and synced in the same turns",
        format!("the {kind} of its data")
    ))
}

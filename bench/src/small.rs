//! Small files: how many a second, and what one costs, against tusd and against a loop that makes files and no more.

use crate::context::Bench;
use crate::portal::NOT_DURABLE;
use crate::tusd;
use portico_bench_harness::client::KeptAlive;
use portico_bench_harness::process::{Server, free_addr, portico};
use portico_bench_harness::report::{Report, Row, Target};
use portico_bench_harness::turns::{median, rotate};
use portico_bench_harness::uploads::{create_small, put_small};
use portico_bench_harness::{MIB, Result};
use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Bytes of a file.
const SIZE: u64 = MIB / 64;

/// Connections of most measures.
const CONNECTIONS: u64 = 16;

/// Files of one turn, all connections together.
const FILES: u64 = 4_096;
const SYNCED_FILES: u64 = 1_024;

/// One turn of a server.
struct Turn {
    /// Files a second.
    rate: f64,
    /// Microseconds of the server's processor time for a file.
    cpu: f64,
}

/// Does `work` so often on so many threads at once, each with a connection of its own, and returns the seconds.
fn lanes<C>(
    threads: u64,
    times: u64,
    open: impl Fn() -> Result<C> + Sync,
    work: impl Fn(&mut C, u64) -> Result<()> + Sync,
) -> Result<f64> {
    let next = AtomicU64::new(0);
    let start = Instant::now();
    let lane = || -> Result<()> {
        let mut connection = open()?;
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                number if number < times => work(&mut connection, number)?,
                _ => return Ok(()),
            }
        }
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(lane)).collect();
        running.into_iter().try_for_each(|lane| lane.join().map_err(|_| "a lane panicked")?)
    })?;
    Ok(start.elapsed().as_secs_f64())
}

/// One turn of requests to a server.
fn turn(
    server: &Server,
    threads: u64,
    times: u64,
    work: impl Fn(&mut KeptAlive, u64) -> Result<()> + Sync,
) -> Result<Turn> {
    let before = server.cpu()?;
    let seconds = lanes(threads, times, || KeptAlive::open(server.addr), work)?;
    Ok(Turn { rate: times as f64 / seconds, cpu: (server.cpu()? - before) * 1e6 / times as f64 })
}

/// Makes a file in a folder as any program can that promises its answers: create, write, sync, sync the folder.
fn bare(bench: &Bench, folder: &Path, number: u64) -> Result<()> {
    let mut file = File::create_new(folder.join(number.to_string()))?;
    bench.content.send(SIZE, &mut file)?;
    file.sync_all()?;
    Ok(File::open(folder)?.sync_all()?)
}

pub(crate) fn compare(bench: &Bench, report: &mut Report) -> Result<()> {
    against_tusd(bench, report)?;
    for threads in [CONNECTIONS, 1] {
        against_bare(bench, report, threads)?;
    }
    Ok(())
}

fn against_tusd(bench: &Bench, report: &mut Report) -> Result<()> {
    let names = ["PUT", "GET"].map(|method| format!("{method} of 16 KiB a second / tusd"));
    let Some(tusd) = bench.args.tusd.as_deref().filter(|tusd| tusd.is_file()) else {
        return names.iter().try_for_each(|name| report.skipped(name, "no tusd; `make bench` builds it where Go is"));
    };
    let dir = &bench.dir;
    let ours = portico(&bench.args.portico, &dir.join("small"), &NOT_DURABLE);
    let ours = Server::announced(ours, &dir.join("small.log"))?;
    let addr: SocketAddr = free_addr()?;
    let theirs = Server::at(tusd::command(tusd, addr, &dir.join("small-tusd")), addr, &dir.join("small-tusd.log"))?;
    let servers = [&ours, &theirs];

    let [put, get] = names;
    let paths = [PathOf::default(), PathOf::default()];
    let turns = rotate(bench.rounds, dir, 2, |side| {
        turn(servers[side], CONNECTIONS, FILES, |connection, _| {
            let make = if side == 0 { put_small } else { create_small };
            paths[side].set(make(connection, &bench.content, SIZE)?);
            Ok(())
        })
    })?;
    let how = "no fsync in either, SHA-256 in ours alone; tusd in one request each (creation-with-upload)";
    row(report, put, &turns, 1.0, how)?;
    let turns = rotate(bench.rounds, dir, 2, |side| {
        turn(servers[side], CONNECTIONS, FILES, |connection, _| {
            let answer = connection.send("GET", &paths[side].get(), "", &bench.content, 0)?.expect(200)?;
            if answer.body.len() as u64 == SIZE { Ok(()) } else { Err("a GET answered another size".into()) }
        })
    })?;
    row(report, get, &turns, 1.0, "of one file again and again")
}

fn against_bare(bench: &Bench, report: &mut Report, threads: u64) -> Result<()> {
    let files = if threads == 1 { SYNCED_FILES / 4 } else { SYNCED_FILES };
    let name = format!("durable PUT of 16 KiB on {threads} / a bare loop");
    let dir = &bench.dir;
    let ours = portico(&bench.args.portico, &dir.join(format!("synced-{threads}")), &[]);
    let ours = Server::announced(ours, &dir.join("synced.log"))?;
    let folder: PathBuf = dir.join(format!("bare-{threads}"));
    let turns = rotate(bench.rounds, dir, 2, |side| {
        if side == 0 {
            return turn(&ours, threads, files, |connection, _| put_small(connection, &bench.content, SIZE).map(drop));
        }
        fs::create_dir(&folder)?;
        let seconds = lanes(threads, files, || Ok(()), |_, number| bare(bench, &folder, number))?;
        fs::remove_dir_all(&folder)?;
        Ok(Turn { rate: files as f64 / seconds, cpu: f64::NAN })
    })?;
    let how = "the loop creates, writes, syncs the file and syncs its folder, on as many threads";
    row(report, name, &turns, 0.5, how)
}

fn row(report: &mut Report, name: String, turns: &[Vec<Turn>], at_least: f64, how: &str) -> Result<()> {
    let of = |side: usize, value: fn(&Turn) -> f64| median(&turns[side].iter().map(value).collect::<Vec<_>>());
    let [ours, theirs] = [0, 1].map(|side| (of(side, |turn| turn.rate), of(side, |turn| turn.cpu)));
    let cpu = match theirs.1 {
        none if none.is_nan() => format!("{:.0} us of the server's CPU each", ours.1),
        theirs => format!("{:.0} us of the server's CPU each, theirs {theirs:.0} us", ours.1),
    };
    let row = Row {
        name,
        ours: format!("{:.0} /s", ours.0),
        theirs: format!("{:.0} /s", theirs.0),
        value: ours.0 / theirs.0,
        unit: "x",
        target: Target::AtLeast(at_least),
    };
    report.row(&row, &format!("{cpu}; {how}"))
}

/// The path of the latest file of a server.
#[derive(Default)]
struct PathOf(std::sync::Mutex<String>);

impl PathOf {
    fn set(&self, path: String) {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = path;
    }

    fn get(&self) -> String {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }
}

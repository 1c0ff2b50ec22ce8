//! The order of system calls up to an answer: write, sync, link, sync of the folder, commit, answer. A kill does not
//! show it, because the writes of a killed process stay; a power failure would.

use libtest_mimic::{Failed, Trial};
use portico_model::order::Trace;
use portico_model::strace::{self, Call};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Longest time of a traced process.
pub(crate) const TRACE_MAX: Duration = Duration::from_secs(60);

/// The tests. Without strace they are reported as ignored, and in CI they fail.
pub(crate) fn trials() -> Vec<Trial> {
    let ignored = strace::is_missing_without_ci();
    let trial = |name: &str, test: fn() -> Result<(), String>| {
        let test = move || if strace::is_installed() { test() } else { Err(strace::MISSING.to_owned()) };
        let name = if ignored { format!("{name}: {}", strace::MISSING) } else { name.to_owned() };
        Trial::test(name, move || test().map_err(Failed::from)).with_ignored_flag(ignored)
    };
    vec![
        trial("a_final_object_is_durable_before_it_is_answered", final_object),
        trial("a_placed_part_is_durable_before_it_is_answered", placed_parts),
        trial("placed_parts_are_written_once_and_not_read_back", assembly),
        trial("without_durability_nothing_is_synced_and_that_is_noticed", without_durability),
        trial("each_step_that_is_missing_or_late_is_noticed", missing_steps),
        trial("a_long_write_is_noticed", long_write),
    ]
}

/// The traced process.
pub(crate) mod traced {
    use super::{PART, PARTS, WHOLE};
    use crate::say;
    use portico_store::local::{Durability, LocalOptions, LocalStore};
    use portico_store::{
        Expected, FileId, FinalOptions, PartOptions, Scope, SessionId, assemble_final, put_final, put_part, stream,
    };
    use std::path::Path;

    #[tokio::main]
    pub(crate) async fn run(task: &str, root: &Path) {
        let durability = if task.contains("without") { Durability::None } else { Durability::Full };
        let options = LocalOptions { durability, ..LocalOptions::default() };
        let store = LocalStore::open(root, options).await.expect("a store");
        let (scope, file) = (Scope::root(), FileId::parse("f").expect("an id"));
        say("opened");
        if task.contains("final") {
            let mut content = stream::from_bytes(vec![7; WHOLE as usize]);
            put_final(&store, &scope, &file, &mut content, FinalOptions::default()).await.expect("an object");
            say("answer final");
            return;
        }
        let session = SessionId::parse("s").expect("an id");
        let mut keys = Vec::new();
        for part in 0..PARTS {
            let expected = Expected { size: Some(PART), ..Expected::default() };
            let options = PartOptions { expected, offset: Some(part * PART), ..PartOptions::default() };
            let mut content = stream::from_bytes(vec![part as u8; PART as usize]);
            let number = part as u32 + 1;
            let put = put_part(&store, &scope, &session, number, &mut content, options).await.expect("a part");
            keys.push(put.key);
            say(&format!("answer part {part}"));
        }
        assemble_final(&store, &scope, &file, &keys, FinalOptions::default()).await.expect("an object");
        say("answer assembly");
    }
}

/// Size of an object, in bytes: more than two batches.
const WHOLE: u64 = 1_200_000;
/// Size of a part, in bytes: more than one batch.
const PART: u64 = 700_000;
/// The number of parts.
const PARTS: u64 = 3;

/// The log of a process with a task.
fn trace(task: &str) -> Result<Trace, String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let root = dir.path().canonicalize().map_err(|error| error.to_string())?;
    let (log, store) = (root.join("log"), root.join("store"));
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = strace::command(&log, &program);
    command.arg(&store).env(crate::TASK, task).stdin(Stdio::null()).stdout(Stdio::null());
    let mut child = command.spawn().map_err(|error| error.to_string())?;
    let since = Instant::now();
    let status = loop {
        match child.try_wait().map_err(|error| error.to_string())? {
            Some(status) => break status,
            None if since.elapsed() > TRACE_MAX => {
                let _ = child.kill();
                return Err("the traced process does not end".to_owned());
            }
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    };
    if !status.success() {
        return Err(format!("the traced process has failed: {status}"));
    }
    let log = std::fs::read_to_string(&log).map_err(|error| error.to_string())?;
    Ok(Trace::new(store, strace::read(&log)))
}

/// The call that sent a line.
fn said<'a>(trace: &'a Trace, text: &str) -> Result<&'a Call, String> {
    trace.said(&format!("\"{text}\\n\""))
}

fn check_final_object(trace: &Trace) -> Result<(), String> {
    trace.final_object(said(trace, "opened")?, said(trace, "answer final")?, "f", WHOLE)
}

fn check_placed_parts(trace: &Trace) -> Result<(), String> {
    let session = trace.root.join("temp/main/s");
    let placed = session.join("placed");
    let mut before = said(trace, "opened")?;
    for part in 0..PARTS {
        let answer = said(trace, &format!("answer part {part}"))?;
        let synced = trace.written(&placed, part * PART..(part + 1) * PART, before, answer)?;
        let folder =
            trace.between("sync of the folder", synced, answer, |call| call.is_sync() && call.is_on(&session))?;
        trace.committed(before, folder, answer)?;
        trace.folders(before, answer)?;
        before = answer;
    }
    Ok(())
}

fn check_assembly(trace: &Trace) -> Result<(), String> {
    let (opened, last) = (said(trace, "opened")?, said(trace, &format!("answer part {}", PARTS - 1))?);
    let answer = said(trace, "answer assembly")?;
    let placed = trace.root.join("temp/main/s/placed");
    let is_data = |call: &Call| ["staging", "temp", "final"].iter().any(|dir| call.is_beneath(&trace.root.join(dir)));
    let written: u64 =
        trace.all(opened, answer, |call| call.is_write() && is_data(call)).map(|call| call.result.unsigned_abs()).sum();
    if written != PARTS * PART {
        return Err(format!("{written} bytes were written, not {}", PARTS * PART));
    }
    if let Some(read) = trace.all(opened, answer, |call| call.moves_bytes() && is_data(call)).next() {
        return Err(format!("bytes were read back: {read:?}"));
    }
    let synced = trace.between("sync of the data", last, answer, |call| call.is_sync() && call.is_on(&placed))?;
    trace.published(&placed, "f", synced, last, answer)
}

fn final_object() -> Result<(), String> {
    check_final_object(&trace("final")?)
}

fn placed_parts() -> Result<(), String> {
    check_placed_parts(&trace("parts")?)
}

fn assembly() -> Result<(), String> {
    check_assembly(&trace("parts")?)
}

fn without_durability() -> Result<(), String> {
    for task in ["final without", "parts without"] {
        let trace = trace(task)?;
        let answer = said(&trace, if task.contains("final") { "answer final" } else { "answer assembly" })?;
        if let Some(sync) = trace.all(said(&trace, "opened")?, answer, Call::is_sync).next() {
            return Err(format!("{task}: {sync:?}"));
        }
        let told = if task.contains("final") { check_final_object(&trace) } else { check_placed_parts(&trace) };
        if told.is_ok() {
            return Err(format!("{task}: nobody has noticed that nothing is synced"));
        }
    }
    Ok(())
}

/// Takes each write, sync and link out of a good trace, or moves it behind the answer: the checks must fail each time.
fn missing_steps() -> Result<(), String> {
    type Check = fn(&Trace) -> Result<(), String>;
    for (task, first, last, check) in [
        ("final", "opened", "answer final", check_final_object as Check),
        ("parts", "opened", "answer part 2", check_placed_parts as Check),
        ("parts", "answer part 2", "answer assembly", check_assembly as Check),
    ] {
        let trace = trace(task)?;
        check(&trace)?;
        let steps = steps_of(&trace, said(&trace, first)?, said(&trace, last)?);
        if steps.len() < 4 {
            return Err(format!("{task} has too few steps: {steps:?}"));
        }
        for at in steps {
            for late in [false, true] {
                let mut calls = trace.calls.clone();
                let mut step = calls.remove(at);
                if late {
                    (step.begun, step.ended) = (usize::MAX - 1, usize::MAX);
                    calls.push(step);
                }
                if check(&Trace::new(trace.root.clone(), calls)).is_ok() {
                    return Err(format!("nobody has noticed that this is missing or late: {:?}", trace.calls[at]));
                }
            }
        }
    }
    Ok(())
}

/// Merges the first two writes of a good trace: the check must fail.
fn long_write() -> Result<(), String> {
    let mut trace = trace("final")?;
    check_final_object(&trace)?;
    let staging = trace.root.join("staging");
    // The opening writes a trial there.
    let opened = said(&trace, "opened")?.ended;
    let is_of_data = |call: &Call| call.begun > opened && call.is_write() && call.is_beneath(&staging);
    let writes: Vec<usize> = (0..trace.calls.len()).filter(|at| is_of_data(&trace.calls[*at])).collect();
    let [first, second, ..] = writes[..] else { return Err("no two writes".to_owned()) };
    trace.calls[first].result += trace.calls[second].result;
    trace.calls.remove(second);
    match check_final_object(&trace) {
        Err(told) if told.contains("goes beyond a multiple of") => Ok(()),
        told => Err(format!("a write of {:?}: {told:?}", trace.calls[first])),
    }
}

/// The calls between two others without which data could be lost: all that change or sync the store's files, but of the
/// index only the syncs of its commits.
fn steps_of(trace: &Trace, from: &Call, to: &Call) -> Vec<usize> {
    let log = trace.root.join("index.sqlite-wal");
    let mut header = false;
    let mut steps = Vec::new();
    for (at, call) in trace.calls.iter().enumerate() {
        if call.begun < from.ended || call.ended > to.begun {
            continue;
        }
        let step = if call.is_on(&log) {
            // The log's own header of 32 bytes is synced separately, whenever the log starts over.
            let of_header = std::mem::replace(&mut header, call.is_write() && call.result == 32);
            call.is_sync() && !of_header
        } else {
            let data = call.is_write() || call.is_sync() || call.name == "linkat";
            data && call.is_beneath(&trace.root) && !call.is_on(&trace.root)
        };
        if step {
            steps.push(at);
        }
    }
    steps
}

//! The order of system calls up to an answer: write, sync, link, sync of the folder, commit, answer. A kill does not show
//! it, since what a killed process has written stays; a power failure would.

use libtest_mimic::{Failed, Trial};
use portico_model::strace::{self, Call};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// Longest time of a traced process.
const TRACE_MAX: Duration = Duration::from_secs(60);

/// The tests. Where strace is missing, people see that they did not run, and CI fails.
pub(crate) fn trials() -> Vec<Trial> {
    let is_ci = std::env::var_os("CI").is_some_and(|value| value == "true");
    let ignored = !strace::is_installed() && !is_ci;
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
    ]
}

/// The process that is traced.
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
            let expected = Expected { size: Some(PART), sha256: None };
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
/// How many parts.
const PARTS: u64 = 3;

/// What a traced process did.
struct Trace {
    /// The folder of its store.
    root: PathBuf,
    calls: Vec<Call>,
}

impl Trace {
    fn of(task: &str) -> Result<Trace, String> {
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
        Ok(Trace { root: store, calls: strace::read(&log) })
    }

    /// The moment at which the process said something: what is before it has ended before, and the other way round.
    fn said(&self, text: &str) -> Result<&Call, String> {
        let text = format!("\"{text}\\n\"");
        let said = self.calls.iter().find(|call| call.name == "write" && call.args.contains(&text));
        said.ok_or_else(|| format!("it never said {text}"))
    }

    /// The first such call that begins after another has ended, and ends before a third begins.
    fn between(&self, what: &str, after: &Call, before: &Call, is: impl Fn(&Call) -> bool) -> Result<&Call, String> {
        let found = self.calls.iter().find(|call| call.begun > after.ended && call.ended < before.begun && is(call));
        found.ok_or_else(|| format!("no {what} between {after:?} and {before:?}"))
    }

    /// All such calls that overlap the time between two others.
    fn all<'a>(
        &'a self,
        after: &Call,
        before: &Call,
        is: impl Fn(&Call) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Call> {
        let (after, before) = (after.ended, before.begun);
        self.calls.iter().filter(move |call| call.ended > after && call.begun < before && is(call))
    }

    /// The content of a file has been written, in whole, once, and synced through the same descriptor. Answers the sync.
    fn written(&self, path: &Path, start: u64, end: u64, from: &Call, answer: &Call) -> Result<&Call, String> {
        let writes: Vec<&Call> = self.all(from, answer, |call| is_write(call) && call.is_on(path)).collect();
        let mut at = start;
        for write in &writes {
            if write.last_number() != Some(at) {
                return Err(format!("the write at byte {at} is {write:?}"));
            }
            at += write.result.unsigned_abs();
        }
        let last = writes.last().ok_or_else(|| format!("nothing was written to {}", path.display()))?;
        if at != end {
            return Err(format!("{at} bytes were written to {}, not {end}", path.display()));
        }
        let descriptor = last.descriptor().map(|(number, _)| number);
        let sync = self.between("sync of the data", last, answer, |call| is_sync(call) && call.is_on(path))?;
        let same = sync.descriptor().map(|(number, _)| number) == descriptor;
        if same { Ok(sync) } else { Err(format!("{last:?} and {sync:?} are not of one descriptor")) }
    }

    /// After a call something was committed, and the commit was durable before an answer. Answers its sync.
    fn committed(&self, from: &Call, after: &Call, answer: &Call) -> Result<&Call, String> {
        let log = self.root.join("index.sqlite-wal");
        let writes: Vec<&Call> = self.all(from, answer, |call| is_write(call) && call.is_on(&log)).collect();
        if let Some(early) = writes.iter().find(|write| write.begun < after.ended) {
            return Err(format!("{early:?} is before {after:?}"));
        }
        let last = writes.last().ok_or("nothing was committed")?;
        self.between("sync of the index", last, answer, |call| is_sync(call) && call.is_on(&log))
    }

    /// Every folder that was made had its name synced before an answer.
    fn folders(&self, from: &Call, answer: &Call) -> Result<(), String> {
        for made in self.all(from, answer, |call| call.name.starts_with("mkdir")) {
            let (_, parent) = made.descriptor().ok_or_else(|| format!("a folder made nowhere: {made:?}"))?;
            self.between("sync of the folder above", made, answer, |call| is_sync(call) && call.is_on(parent))?;
        }
        Ok(())
    }

    fn final_object(&self) -> Result<(), String> {
        let (opened, answer) = (self.said("opened")?, self.said("answer final")?);
        let staging = self.root.join("staging");
        let first = self.between("write", opened, answer, |call| is_write(call) && call.is_beneath(&staging))?;
        let (_, staged) = first.descriptor().ok_or("a write to nowhere")?;
        let synced = self.written(staged, 0, WHOLE, opened, answer)?;
        self.between("sync of the staging folder", synced, answer, |call| is_sync(call) && call.is_on(&staging))?;
        self.published(staged, synced, opened, answer)
    }

    /// A file got its final name, then that name was synced, then the row was, then the answer came.
    fn published(&self, from: &Path, synced: &Call, opened: &Call, answer: &Call) -> Result<(), String> {
        let dir = self.root.join("final/main");
        let name = from.file_name().and_then(|name| name.to_str()).ok_or("a file without a name")?;
        let link = format!("\"{name}\", ");
        let link = self.between("link", synced, answer, |call| call.name == "linkat" && call.args.contains(&link))?;
        if !link.args.ends_with(&format!("<{}>, \"f\", 0", dir.display())) {
            return Err(format!("{link:?} is not to the final name"));
        }
        let folder = self.between("sync of the finals", link, answer, |call| is_sync(call) && call.is_on(&dir))?;
        let committed = self.committed(opened, folder, answer)?;
        self.folders(opened, answer)?;
        let unlink = format!("\"{name}\"");
        self.between("removal of the first name", committed, answer, |call| {
            call.name == "unlinkat" && call.args.contains(&unlink)
        })
        .map(|_| ())
    }

    fn placed_parts(&self) -> Result<(), String> {
        let session = self.root.join("temp/main/s");
        let placed = session.join("placed");
        let mut before = self.said("opened")?;
        for part in 0..PARTS {
            let answer = self.said(&format!("answer part {part}"))?;
            let synced = self.written(&placed, part * PART, (part + 1) * PART, before, answer)?;
            let folder =
                self.between("sync of the folder", synced, answer, |call| is_sync(call) && call.is_on(&session))?;
            self.committed(before, folder, answer)?;
            self.folders(before, answer)?;
            before = answer;
        }
        Ok(())
    }

    fn assembly(&self) -> Result<(), String> {
        let (opened, last) = (self.said("opened")?, self.said(&format!("answer part {}", PARTS - 1))?);
        let answer = self.said("answer assembly")?;
        let placed = self.root.join("temp/main/s/placed");
        let is_data =
            |call: &Call| ["staging", "temp", "final"].iter().any(|dir| call.is_beneath(&self.root.join(dir)));
        let written: u64 = self
            .all(opened, answer, |call| is_write(call) && is_data(call))
            .map(|call| call.result.unsigned_abs())
            .sum();
        if written != PARTS * PART {
            return Err(format!("{written} bytes were written, not {}", PARTS * PART));
        }
        if let Some(read) = self.all(opened, answer, |call| moves(call) && is_data(call)).next() {
            return Err(format!("bytes were read back: {read:?}"));
        }
        let synced = self.between("sync of the data", last, answer, |call| is_sync(call) && call.is_on(&placed))?;
        self.published(&placed, synced, last, answer)
    }
}

fn is_write(call: &Call) -> bool {
    matches!(&*call.name, "pwritev" | "pwritev2" | "pwrite64" | "writev" | "write")
}

/// Whether it reads, or copies within the system, some bytes.
fn moves(call: &Call) -> bool {
    let moves = call.name.contains("read") || matches!(&*call.name, "copy_file_range" | "sendfile" | "splice");
    moves && call.result > 0
}

fn is_sync(call: &Call) -> bool {
    matches!(&*call.name, "fdatasync" | "fsync")
}

fn final_object() -> Result<(), String> {
    Trace::of("final")?.final_object()
}

fn placed_parts() -> Result<(), String> {
    Trace::of("parts")?.placed_parts()
}

fn assembly() -> Result<(), String> {
    Trace::of("parts")?.assembly()
}

fn without_durability() -> Result<(), String> {
    for task in ["final without", "parts without"] {
        let trace = Trace::of(task)?;
        let answer = trace.said(if task.contains("final") { "answer final" } else { "answer assembly" })?;
        if let Some(sync) = trace.all(trace.said("opened")?, answer, is_sync).next() {
            return Err(format!("{task}: {sync:?}"));
        }
        let told = if task.contains("final") { trace.final_object() } else { trace.placed_parts() };
        if told.is_ok() {
            return Err(format!("{task}: nobody has noticed that nothing is synced"));
        }
    }
    Ok(())
}

/// Takes each write, sync and link out of a good trace, and moves it behind the answer: the checks must notice each.
fn missing_steps() -> Result<(), String> {
    type Check = fn(&Trace) -> Result<(), String>;
    for (task, first, last, check) in [
        ("final", "opened", "answer final", Trace::final_object as Check),
        ("parts", "opened", "answer part 2", Trace::placed_parts as Check),
        ("parts", "answer part 2", "answer assembly", Trace::assembly as Check),
    ] {
        let trace = Trace::of(task)?;
        check(&trace)?;
        let steps = trace.steps(trace.said(first)?, trace.said(last)?);
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
                if check(&Trace { root: trace.root.clone(), calls }).is_ok() {
                    return Err(format!("nobody has noticed that this is missing or late: {:?}", trace.calls[at]));
                }
            }
        }
    }
    Ok(())
}

impl Trace {
    /// The calls between two others without which something could be lost: all that change or sync the store's files,
    /// but of the index only the syncs of its commits.
    fn steps(&self, from: &Call, to: &Call) -> Vec<usize> {
        let log = self.root.join("index.sqlite-wal");
        let mut header = false;
        let mut steps = Vec::new();
        for (at, call) in self.calls.iter().enumerate() {
            if call.begun < from.ended || call.ended > to.begun {
                continue;
            }
            let step = if call.is_on(&log) {
                // The log's own header of 32 bytes is synced apart, whenever the log begins.
                let of_header = std::mem::replace(&mut header, is_write(call) && call.result == 32);
                is_sync(call) && !of_header
            } else {
                let data = is_write(call) || is_sync(call) || call.name == "linkat";
                data && call.is_beneath(&self.root) && !call.is_on(&self.root)
            };
            if step {
                steps.push(at);
            }
        }
        steps
    }
}

//! A disk that fails one write or one flush and is well again, beneath a real ext4: what was answered before and after is
//! there, whole, when the machine has lost its power or the filesystem was unmounted; nothing else is there.
//!
//! A process works on a store until it has come to the end of its ids, whatever fails, and is killed. Then another one may go
//! on with the store on the same mounted filesystem, where the kernel still shows what has never reached the disk.
//! `PORTICO_TEST_FAULTS` is how many of the faults of a run are tried: `all`, or a number.
//!
//! What the kernel itself loses is told apart by what the ext4 says of itself: after a failed write of its own it gives up
//! its journal, and a sync in that moment can answer that all is well. Then only what was answered before the fault must be
//! there.

use crate::kill::{Said, killed, steps};
use crate::{TASK, say};
use libtest_mimic::{Failed, Trial};
use portico_model::{Truth, folder};
use portico_store::local::{LocalOptions, LocalStore};
use portico_store::{Backend, ByteRange, Expected, PartOptions, Scope, SessionId, put_part, stream};
use portico_test_disk::{Counts, Disk, Fault};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Faults of each kind that are tried of a run, unless the environment says otherwise.
const FAULTS: u64 = 6;
/// Ids that a process works on: each kind of id twice.
const IDS: u64 = 8;
/// Records beside an id, in a life whose log is to be written back. With [`FILLER`] they fill the log.
const FILLERS: u64 = 12;
/// Size of such a record, in bytes.
const FILLER: usize = 60 << 10;
/// The longest silence of a process.
const STEP_MAX: Duration = Duration::from_secs(60);

/// Largest part that is read back, in bytes.
const SIZE_MAX: usize = 1 << 20;
/// The prefix of the names of such records.
const FILLER_NAME: &str = "filler-";

/// The life of a store and its disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Life {
    /// The store is open when the fault may come; one process.
    Open,
    /// The same, and another process continues with the store on the mounted filesystem. The index's log is written
    /// back.
    OpenAgain,
    /// No store exists when the fault may come, and another process continues with the remains.
    New,
}

/// The end of the life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    PowerLoss,
    Unmount,
}

/// The tests. Without such a disk they are reported as ignored, and in CI they fail.
pub(crate) fn trials() -> Vec<Trial> {
    let missing = portico_test_disk::missing();
    let ignored = missing.is_some() && portico_test_disk::may_be_missing();
    let trial = |name: &str, life| {
        let name = missing.map_or_else(|| name.to_owned(), |needs| format!("{name}: {needs}"));
        let test = move || missing.map_or_else(|| each_fault(life), |needs| Err(needs.to_owned()));
        Trial::test(name, move || test().map_err(Failed::from)).with_ignored_flag(ignored)
    };
    let shared = {
        let name = "a_part_that_shares_a_page_with_one_that_was_lost_is_stored";
        let name = missing.map_or_else(|| name.to_owned(), |needs| format!("{name}: {needs}"));
        let test = move || missing.map_or_else(shared_page, |needs| Err(needs.to_owned()));
        Trial::test(name, move || test().map_err(Failed::from)).with_ignored_flag(ignored)
    };
    vec![
        shared,
        trial("what_was_answered_survives_a_disk_that_fails_once", Life::Open),
        trial("what_was_answered_survives_a_failed_disk_and_a_restart", Life::OpenAgain),
        trial("a_new_store_survives_a_disk_that_fails_once", Life::New),
    ]
}

/// Tries the faults of a run, after a run without any, which counts the possible ones.
fn each_fault(life: Life) -> Result<(), String> {
    let Counts { writes, flushes } = one_run(life, None, End::PowerLoss)?;
    if writes < 50 || flushes < 20 {
        return Err(format!("a run has only {writes} writes and {flushes} flushes"));
    }
    let faults = std::env::var("PORTICO_TEST_FAULTS").unwrap_or_else(|_| FAULTS.to_string());
    let chosen = |count: u64| -> Vec<u64> {
        let tried = if faults == "all" { count } else { faults.parse::<u64>().expect("a number").min(count) };
        // Spread over the run, and others each time.
        let first = getrandom::u64().expect("a random number") % count.div_ceil(tried).max(1);
        (0..tried).map(|at| 1 + (first + at * count / tried) % count).collect()
    };
    let all = chosen(writes).into_iter().map(Fault::Write).chain(chosen(flushes).into_iter().map(Fault::Flush));
    let mut problems = Vec::new();
    for (at, fault) in all.enumerate() {
        let end = if at % 4 == 3 { End::Unmount } else { End::PowerLoss };
        if let Err(problem) = one_run(life, Some(fault), end) {
            problems.push(format!("{life:?}, {fault:?}, {end:?}: {problem}"));
        }
    }
    if problems.is_empty() { Ok(()) } else { Err(problems.join("\n")) }
}

/// Runs the processes, and inspects the result. Returns the writes and flushes from where a fault may come on, up to
/// the end of the first process.
fn one_run(life: Life, fault: Option<Fault>, end: End) -> Result<Counts, String> {
    let told = |what: &str| {
        let what = what.to_owned();
        move |error: std::io::Error| format!("{what}: {error}")
    };
    let mut disk = Disk::new().map_err(told("a disk"))?;
    let root = disk.root().join("store");
    if life == Life::New {
        disk.arm(fault);
    } else {
        drop(open(&root).map_err(|error| format!("the store can't be made: {error}"))?);
    }
    let fillers = if life == Life::OpenAgain { FILLERS } else { 0 };
    let mut process = Process::start(&root, 0, fillers);
    let opened = process.until(&["opened", "refused"])?;
    if life != Life::New {
        disk.arm(fault);
    }
    if opened {
        process.go_on();
        process.until(&["end"])?;
    }
    let counts = disk.counts();
    let mut lines = process.kill();
    if life != Life::Open {
        let mut process = Process::start(&root, IDS, fillers);
        if process.until(&["opened", "refused"])? {
            process.go_on();
            process.until(&["end"])?;
        }
        lines.extend(process.kill());
    }
    let failed_at = disk.failed_at();
    let gave_up = disk.kernel_gave_up();
    let refused: Vec<&String> = lines.iter().map(|(_, line)| line).filter(|line| line.starts_with("refused")).collect();
    if !refused.is_empty() && !gave_up && life == Life::OpenAgain {
        return Err(format!("the disk is well, and the store does not open: {refused:?}"));
    }
    match end {
        End::PowerLoss => disk.lose_power(),
        End::Unmount => disk.unmount(),
    }
    .map_err(told("unmounting"))?;
    disk.mount().map_err(told("mounting"))?;

    let mut said = Said::default();
    for (at, line) in &lines {
        let lost = gave_up && line.starts_with('=') && failed_at.is_some_and(|failed_at| *at >= failed_at);
        if !lost {
            said.note(std::slice::from_ref(line));
        }
    }
    let problems = look(&root, &said);
    if problems.is_empty() {
        return Ok(counts);
    }
    let said: Vec<String> = lines.into_iter().map(|(_, line)| line).collect();
    Err(format!("the kernel gave up: {gave_up}\n  {}\n  said: {}", problems.join("\n  "), said.join("; ")))
}

/// The second part comes first, and its bytes are lost. The first part ends in the page in which the second begins.
#[tokio::main]
async fn shared_page() -> Result<(), String> {
    let mut disk = Disk::new().map_err(|error| error.to_string())?;
    let root = disk.root().join("store");
    let store = LocalStore::open(&root, LocalOptions::default()).await.map_err(|error| error.to_string())?;
    let (scope, session) = (Scope::root(), SessionId::parse("s").expect("an id"));
    let parts = [vec![1; 70_000], vec![2; 100_000]];
    let put = async |number: usize| {
        let content = parts[number].clone();
        let expected = Expected { size: Some(content.len() as u64), ..Expected::default() };
        let options = PartOptions { expected, offset: Some(number as u64 * 70_000), ..PartOptions::default() };
        let mut source = stream::from_bytes(content);
        put_part(&store, &scope, &session, number as u32, &mut source, options).await
    };
    // The file exists before the fault, and stays, because it holds a part.
    let far = PartOptions {
        offset: Some(1 << 20),
        expected: Expected { size: Some(9), ..Expected::default() },
        ..PartOptions::default()
    };
    let mut source = stream::from_bytes("elsewhere");
    put_part(&store, &scope, &session, 9, &mut source, far).await.map_err(|error| error.told())?;
    disk.arm(Some(Fault::Write(1)));
    let lost = put(1).await;
    if lost.is_ok() || disk.failed_at().is_none() || disk.kernel_gave_up() {
        return Err(format!("the first write is not the part's: {lost:?}"));
    }
    let mut keys = Vec::new();
    for number in [0, 1] {
        keys.push(put(number).await.map_err(|error| format!("part {number}: {}", error.told()))?.key);
    }
    drop(store);
    disk.lose_power().and_then(|()| disk.mount()).map_err(|error| error.to_string())?;
    let store = LocalStore::open(&root, LocalOptions::default()).await.map_err(|error| error.to_string())?;
    for (key, expected) in keys.iter().zip(&parts) {
        let found = store.read_part(&scope, key, ByteRange::default()).await;
        let found = stream::collect(&mut *found.map_err(|error| error.told())?, SIZE_MAX).await;
        let found = found.map_err(|error| error.told())?;
        if let Some(at) = found.iter().zip(expected).position(|(found, expected)| found != expected) {
            return Err(format!("part {} has other bytes from {at} on", key.number));
        }
        assert_eq!(found.len(), expected.len());
    }
    Ok(())
}

#[tokio::main]
async fn open(root: &Path) -> Result<LocalStore, portico_store::local::OpenError> {
    LocalStore::open(root, LocalOptions::default()).await
}

#[tokio::main]
async fn look(root: &Path, said: &Said) -> Vec<String> {
    let store = match LocalStore::open(root, LocalOptions::default()).await {
        Ok(store) => store,
        Err(error) => return vec![format!("the store does not open: {error}")],
    };
    match Truth::read(&store, &[Scope::root()]).await {
        Ok(mut truth) => {
            truth.records.retain(|(_, name), _| !name.as_str().starts_with(FILLER_NAME));
            let mut problems = said.check(&store, &truth).await;
            problems.extend(folder::audit(root, &truth));
            problems
        }
        Err(error) => vec![format!("the store can't be read: {error:?}")],
    }
}

/// A process that works on a store, and its lines with their times.
struct Process {
    child: Child,
    hear: Receiver<(Instant, String)>,
    lines: Vec<(Instant, String)>,
    reader: std::thread::JoinHandle<()>,
}

impl Process {
    fn start(root: &Path, first: u64, fillers: u64) -> Self {
        let mut command = Command::new(std::env::current_exe().expect("this program"));
        command
            .arg(root)
            .env(TASK, format!("on a disk {first} {fillers}"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("a process");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        let (said, hear) = channel();
        let reader = std::thread::spawn(move || {
            out.lines().map_while(Result::ok).for_each(|line| said.send((Instant::now(), line)).unwrap_or(()));
        });
        Process { child, hear, lines: Vec::new(), reader }
    }

    /// Waits for one of these words; true if it was the first of them.
    fn until(&mut self, words: &[&str]) -> Result<bool, String> {
        loop {
            let (at, line) = self.hear.recv_timeout(STEP_MAX).map_err(|error| {
                format!("the process says nothing of {words:?} any more ({error}), after {:?}", self.lines.last())
            })?;
            let found = words.iter().position(|word| line.split(' ').next() == Some(word));
            self.lines.push((at, line));
            if let Some(found) = found {
                return Ok(found == 0);
            }
        }
    }

    fn go_on(&mut self) {
        let input = self.child.stdin.as_mut().expect("its input");
        input.write_all(b"\n").expect("it lives");
    }

    fn kill(mut self) -> Vec<(Instant, String)> {
        self.child.kill().expect("it lives until it is killed");
        assert!(!self.child.wait().expect("its end").success());
        self.reader.join().expect("what it has said");
        self.lines.extend(self.hear);
        self.lines
    }
}

/// The working process.
pub(crate) mod working {
    use super::*;
    use crate::kill::Step;
    use portico_store::RecordName;

    #[tokio::main]
    pub(crate) async fn run(task: &str, root: &Path) {
        let numbers: Vec<u64> = task.split(' ').map(|number| number.parse().expect("a number")).collect();
        let [first, fillers] = numbers[..] else { panic!("{task}") };
        match LocalStore::open(root, LocalOptions::default()).await {
            Ok(store) => {
                say("opened");
                wait();
                for id in first..first + IDS {
                    fill(&store, id, fillers).await;
                    work(&store, id).await;
                }
                say("end");
                wait();
            }
            Err(error) => {
                say(&format!("refused {error}"));
                wait();
            }
        }
    }

    /// Until a signal to continue, or a kill.
    fn wait() {
        std::io::stdin().lines().next();
    }

    /// Creates records that no line mentions, so that the index's log becomes long.
    async fn fill(store: &LocalStore, id: u64, fillers: u64) {
        for number in 0..fillers {
            let name = RecordName::parse(&format!("{FILLER_NAME}{id}-{number}")).expect("a name");
            let _ = store.create_record(&Scope::root(), &name, &[7; FILLER]).await;
        }
    }

    /// Takes the steps of an id up to the first that fails. A creation is tried twice, as by a client.
    async fn work(store: &LocalStore, id: u64) {
        let mut keys = killed::Keys::new();
        for step in in_disorder(id) {
            say(&format!("+{id} {step:?}"));
            let mut taken = killed::take(store, id, step, &mut keys).await;
            if taken.is_err() && matches!(step, Step::Put | Step::Part(_) | Step::Record) {
                say(&format!("!{id} {step:?} {:?}", taken));
                taken = killed::take(store, id, step, &mut keys).await;
            }
            if let Err(error) = taken {
                say(&format!("!{id} {step:?} {error:?}"));
                return;
            }
            say(&format!("={id} {step:?}"));
            // The chain of an out-of-order part is committed without a sync.
            store.caught_up().await;
        }
    }

    /// The steps of an id, its second part before its first.
    fn in_disorder(id: u64) -> Vec<Step> {
        let mut steps = steps(id);
        if steps[0] == Step::Part(1) {
            steps.swap(0, 1);
        }
        steps
    }
}

//! `kill -9` at any moment of puts, assemblies and deletes: acknowledged things exist, whole; others exist whole or not
//! at all; nothing else exists.
//!
//! The process reports what it begins and what was acknowledged, and the pipe keeps its lines. `PORTICO_TEST_KILLS` is
//! the number of kills.

use libtest_mimic::{Failed, Trial};
use portico_model::{Content, Stamp, Truth, folder};
use portico_store::local::{LocalOptions, LocalStore};
use portico_store::{Backend, Error, FileId, RecordName, Scope, SessionId};
use std::collections::BTreeSet;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

/// Kills, unless the environment says otherwise.
const KILLS: u64 = 10;
/// Kills of one store, which is inspected after each.
const KILLS_OF_A_STORE: u64 = 10;
/// Longest life of a process once its store is open.
const LIFE_MAX: Duration = Duration::from_millis(250);
/// The longest silence of a process.
const STEP_MAX: Duration = Duration::from_secs(60);
/// The kinds of steps, as reported.
const KINDS: [&str; 6] = [" Put", " Part(1)", " DeletePart", " Assemble", " Delete", " Record"];
/// Workers of a process.
const WORKERS: u64 = 5;
/// Parts of a session.
const PARTS: u32 = 4;
/// The part without an offset.
const ANYWHERE: u32 = 3;
/// The part that is deleted again in some sessions.
const DELETED: u32 = 2;

/// A worker's step with an id. Each id is used once, in this order of its steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Step {
    /// Puts the object.
    Put,
    /// Puts a part.
    Part(u32),
    /// Deletes one of the parts.
    DeletePart,
    /// Makes the object of the parts.
    Assemble,
    /// Deletes the object.
    Delete,
    /// Creates a record.
    Record,
}

/// The steps of an id, which is its number.
pub(crate) fn steps(id: u64) -> Vec<Step> {
    let parts = (1..=PARTS).map(Step::Part);
    match (id % WORKERS + id / WORKERS) % 4 {
        0 => vec![Step::Put, Step::Record],
        1 => parts.chain([Step::Assemble, Step::Delete]).collect(),
        2 => parts.chain([Step::DeletePart, Step::Record]).collect(),
        _ => parts.chain([Step::Assemble]).collect(),
    }
}

fn part_content(id: u64, number: u32) -> Content {
    const SIZES: [usize; 6] = [0, 1_000, 70_000, 524_288, 600_000, 1];
    Content::of(SIZES[((id + u64::from(number)) % 6) as usize], id << 8 | u64::from(number))
}

/// The content of an id's object, which is that of its parts in their order.
fn content(id: u64) -> Content {
    let parts: Vec<_> = (1..=PARTS).map(|number| part_content(id, number).bytes).collect();
    Content::from(bytes::Bytes::from(parts.concat()))
}

/// The test.
pub(crate) fn trial() -> Trial {
    let name = "what_was_answered_survives_a_kill_and_nothing_else_is_left";
    Trial::test(name, || {
        let kills = std::env::var("PORTICO_TEST_KILLS").map_or(KILLS, |kills| kills.parse().expect("a number"));
        for first in (0..kills).step_by(KILLS_OF_A_STORE as usize) {
            let rounds = first..kills.min(first + KILLS_OF_A_STORE);
            one_store(rounds).map_err(|problems| Failed::from(problems.join("\n")))?;
        }
        Ok(())
    })
}

#[tokio::main]
async fn one_store(rounds: std::ops::Range<u64>) -> Result<(), Vec<String>> {
    let dir = tempfile::tempdir().expect("a folder for a store");
    let mut said = Said::default();
    let last = rounds.end - 1;
    for round in rounds {
        // The last one lives until it has done a step of each kind.
        let kinds: &[&str] = if round == last { &KINDS } else { &[] };
        said.note(&until_killed(dir.path(), round, kinds));
        let store = LocalStore::open(dir.path(), LocalOptions::default()).await.expect("the store opens again");
        let truth = Truth::read(&store, &[Scope::root()]).await.expect("the store can be read");
        let mut problems = said.check(&store, &truth).await;
        problems.extend(folder::audit(dir.path(), &truth));
        if !problems.is_empty() {
            return Err(problems);
        }
    }
    Ok(())
}

/// Starts the process on a store and kills it at some moment, after acknowledgements of all of these kinds of steps;
/// returns its lines.
fn until_killed(root: &Path, round: u64, kinds: &[&str]) -> Vec<String> {
    let program = std::env::current_exe().expect("this program");
    let mut command = Command::new(program);
    command.arg(root).env(crate::TASK, format!("until killed {round}")).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("a process");
    let out = BufReader::new(child.stdout.take().expect("its output"));
    let (said, hear) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        // No reader is left for the rest.
        out.lines().map_while(Result::ok).for_each(|line| said.send(line).unwrap_or(()));
    });
    let moment = getrandom::u64().expect("a random number");
    let mut lines: Vec<String> = Vec::new();
    // Some die during the opening of the store.
    while (!moment.is_multiple_of(4) && lines.is_empty())
        || kinds.iter().any(|kind| !lines.iter().any(|line| line.starts_with('=') && line.ends_with(kind)))
    {
        lines.push(hear.recv_timeout(STEP_MAX).expect("the process goes on"));
    }
    std::thread::sleep(Duration::from_micros((moment >> 8) % LIFE_MAX.as_micros() as u64));
    child.kill().expect("it lives until it is killed");
    assert!(!child.wait().expect("its end").success());
    lines.extend(hear);
    reader.join().expect("what it has said");
    lines
}

/// The steps that the processes have begun, and those that were acknowledged.
#[derive(Default)]
pub(crate) struct Said {
    begun: BTreeSet<(u64, Step)>,
    done: BTreeSet<(u64, Step)>,
}

impl Said {
    /// Records the reported steps.
    pub(crate) fn note(&mut self, lines: &[String]) {
        for line in lines.iter().filter(|line| line.starts_with(['+', '='])) {
            let (id, step) = line[1..].split_once(' ').expect("an id and a step");
            let id = id.parse().expect("a number");
            let all = steps(id);
            let step = *all.iter().find(|there| format!("{there:?}") == step).expect("a step of the id");
            if line.starts_with('+') {
                self.begun.insert((id, step))
            } else {
                self.done.insert((id, step))
            };
        }
    }

    /// Whether something exists that one step makes and others remove: it must, it may, or it must not.
    fn state(&self, id: u64, makes: Step, takes: &[Step]) -> May {
        let is = |set: &BTreeSet<(u64, Step)>, step| set.contains(&(id, step));
        if !is(&self.begun, makes) || takes.iter().any(|step| is(&self.done, *step)) {
            May::NotBe
        } else if is(&self.done, makes) && !takes.iter().any(|step| is(&self.begun, *step)) {
            May::OnlyBe
        } else {
            May::Be
        }
    }

    /// Compares the store with the reports. Returns the contradictions.
    pub(crate) async fn check(&self, store: &LocalStore, truth: &Truth) -> Vec<String> {
        let mut problems = truth.wrong.clone();
        let ids: BTreeSet<u64> = self.begun.iter().map(|(id, _)| *id).collect();
        let mut known = 0;
        for &id in &ids {
            let steps = steps(id);
            let makes = if steps.contains(&Step::Put) { Step::Put } else { Step::Assemble };
            let object = truth.finals.get(&(Scope::root(), file(id))).map(|(_, content)| Stamp::of(content));
            problems.extend(self.state(id, makes, &[Step::Delete]).fits(object, content(id).stamp, || format!("{id}")));
            known += usize::from(object.is_some());
            let gone = matches!(store.stat_final(&Scope::root(), &file(id)).await, Err(Error::Gone(_)));
            if gone != (object.is_none() && self.begun.contains(&(id, Step::Delete))) {
                problems.push(format!("{id} is gone: {gone}"));
            }
            for number in 1..=PARTS {
                let takes = |step: &Step| match step {
                    Step::Assemble => true,
                    Step::DeletePart => number == DELETED,
                    _ => false,
                };
                let taken: Vec<Step> = steps.iter().copied().filter(takes).collect();
                let part = truth.parts.get(&(Scope::root(), session(id), number));
                let stamp = part.map(|(_, content)| Stamp::of(content));
                // Parts go together with the creation of their object.
                let may = match taken[..] {
                    [Step::Assemble] if object.is_some() || gone => May::NotBe,
                    [Step::Assemble] => self.state(id, Step::Part(number), &[]),
                    _ => self.state(id, Step::Part(number), &taken),
                };
                problems.extend(may.fits(stamp, part_content(id, number).stamp, || format!("part {number} of {id}")));
                known += usize::from(part.is_some());
            }
            let record = truth.records.get(&(Scope::root(), record(id))).map(|record| Stamp::of(&record.value));
            let value = Stamp::of(&id.to_le_bytes());
            problems.extend(self.state(id, Step::Record, &[]).fits(record, value, || format!("record {id}")));
            known += usize::from(record.is_some());
        }
        if known != truth.finals.len() + truth.parts.len() + truth.records.len() {
            problems.push("there are things that nobody has begun".to_owned());
        }
        problems
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum May {
    OnlyBe,
    Be,
    NotBe,
}

impl May {
    fn fits(self, found: Option<Stamp>, whole: Stamp, name: impl Fn() -> String) -> Option<String> {
        let fits = match found {
            None => self != May::OnlyBe,
            Some(found) => self != May::NotBe && found == whole,
        };
        (!fits).then(|| format!("{} is {found:?}; {self:?}, as {whole:?}", name()))
    }
}

/// The killed process.
pub(crate) mod killed {
    use super::*;
    use crate::say;
    use portico_store::{
        Expected, FinalOptions, PartOptions, Result, TempKey, assemble_final, put_final, put_part, stream,
    };
    use std::collections::BTreeMap;
    use std::sync::Arc;

    #[tokio::main]
    pub(crate) async fn run(round: &str, root: &Path) {
        let round: u64 = round.parse().expect("a number");
        let store = Arc::new(LocalStore::open(root, LocalOptions::default()).await.expect("a store"));
        say("opened");
        let workers: Vec<_> = (0..WORKERS).map(|worker| tokio::spawn(work(store.clone(), round, worker))).collect();
        for worker in workers {
            worker.await.expect("a worker");
        }
    }

    async fn work(store: Arc<LocalStore>, round: u64, worker: u64) {
        for turn in 0.. {
            let id = (round << 32 | turn) * WORKERS + worker;
            let mut keys = Keys::new();
            for step in steps(id) {
                say(&format!("+{id} {step:?}"));
                take(&store, id, step, &mut keys).await.expect("an answer");
                say(&format!("={id} {step:?}"));
            }
        }
    }

    /// The keys of an id's parts, by number.
    pub(crate) type Keys = BTreeMap<u32, TempKey>;

    /// Takes a step of an id.
    pub(crate) async fn take(store: &LocalStore, id: u64, step: Step, keys: &mut Keys) -> Result<()> {
        let (scope, file) = (Scope::root(), file(id));
        match step {
            Step::Put => {
                let mut source = stream::from_bytes(content(id).bytes);
                put_final(store, &scope, &file, &mut source, FinalOptions::default()).await?;
            }
            Step::Part(number) => {
                let content = part_content(id, number);
                let offset: u64 = (1..number).map(|number| part_content(id, number).stamp.size).sum();
                let expected = Expected { size: Some(content.stamp.size), ..Expected::default() };
                let offset = (number != ANYWHERE).then_some(offset);
                let options = PartOptions { expected, offset, ..PartOptions::default() };
                let mut source = stream::from_bytes(content.bytes);
                let part = put_part(store, &scope, &session(id), number, &mut source, options).await?;
                keys.insert(number, part.key);
            }
            Step::DeletePart => {
                assert!(store.delete_part(&scope, &keys[&DELETED]).await?, "the part was there");
            }
            Step::Assemble => {
                let list: Vec<TempKey> = keys.values().cloned().collect();
                let made = assemble_final(store, &scope, &file, &list, FinalOptions::default()).await?;
                assert_eq!(made.sha256, content(id).stamp.sha256);
            }
            Step::Delete => {
                let key = store.stat_final(&scope, &file).await?.key;
                assert!(store.delete_final(&scope, &key).await?, "the object was there");
            }
            Step::Record => {
                store.create_record(&scope, &record(id), &id.to_le_bytes()).await?;
            }
        }
        Ok(())
    }
}

fn file(id: u64) -> FileId {
    FileId::parse(&id.to_string()).expect("an id")
}

fn record(id: u64) -> RecordName {
    RecordName::parse(&id.to_string()).expect("a name")
}

fn session(id: u64) -> SessionId {
    SessionId::parse(&id.to_string()).expect("an id")
}

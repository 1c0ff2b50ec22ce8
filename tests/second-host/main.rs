//! A second host of the contract: a store in memory on plain wasmtime, without any crate of this project. Runs the cases
//! that `portico conformance --export` writes, as the author of another host would.

#![allow(unreachable_pub, reason = "the bindings re-export the types of the resources")]

mod bindings;
mod fixture;
mod memory;
mod state;
mod storage;
mod store;
mod writer;

use bindings::fixture::Outcome;
use libtest_mimic::{Arguments, Failed, Trial};
use memory::{Id, Memory};
use serde::Deserialize;
use state::State;
use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::sync::Arc;
use std::time::Duration;
use wasmtime::component::{Component, HasSelf, Linker, ResourceTable};
use wasmtime::{Config, Engine, OptLevel, Store, Trap};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// Cases that this host does not run, and why.
const LEFT_OUT: &[(&str, &str)] =
    &[("other_digests::", "no digests but SHA-256"), ("open_final::too_many_open", "no limit of open streams")];

const LIMIT: Duration = Duration::from_secs(60);

/// `cases.json`, as far as this host uses it.
#[derive(Deserialize)]
struct Suite {
    cases: Vec<Case>,
}

#[derive(Clone, Deserialize)]
struct Case {
    program: String,
    case: String,
    component: String,
    core: bool,
    fails: Option<String>,
}

fn main() -> ExitCode {
    let arguments = Arguments::from_args();
    let dir = tempfile::tempdir().expect("a folder");
    let exported =
        Command::new(env!("CARGO_BIN_EXE_portico")).args(["conformance", "--export"]).arg(dir.path()).status();
    assert!(exported.expect("portico runs").success(), "the export");
    let suite: Suite =
        serde_json::from_slice(&std::fs::read(dir.path().join("cases.json")).expect("cases")).expect("their form");
    let mut config = Config::new();
    config.cranelift_opt_level(OptLevel::None).epoch_interruption(true);
    let engine = Engine::new(&config).expect("an engine");
    // A computing guest yields to its time limit.
    let ticked = engine.clone();
    std::thread::spawn(move || {
        loop {
            std::thread::sleep(Duration::from_millis(10));
            ticked.increment_epoch();
        }
    });
    let mut programs = HashMap::new();
    let mut trials = Vec::new();
    for case in suite.cases.into_iter().filter(|case| case.core) {
        let program = programs
            .entry(case.component.clone())
            .or_insert_with(|| compile(&engine, &dir.path().join(&case.component)).expect("a program"))
            .clone();
        let name = format!("{}::{}", case.program, case.case);
        let left_out = LEFT_OUT.iter().find(|(beginning, _)| name.starts_with(beginning));
        let trial = Trial::test(name.clone(), move || check(&case, &program));
        trials.push(match left_out {
            Some((_, why)) => trial.with_kind(*why).with_ignored_flag(true),
            None => trial,
        });
    }
    assert!(trials.len() > 250, "the suite has {} core cases", trials.len());
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn compile(engine: &Engine, file: &Path) -> wasmtime::Result<Arc<CommandPre<State>>> {
    let mut linker = Linker::new(engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
    bindings::wit::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    bindings::fixture::add_to_linker::<_, HasSelf<State>>(&mut linker, |state| state)?;
    let component = Component::from_file(engine, file)?;
    Ok(Arc::new(CommandPre::new(linker.instantiate_pre(&component)?)?))
}

/// Runs a case. Cases that test the runner must fail as they announce.
fn check(case: &Case, program: &CommandPre<State>) -> Result<(), Failed> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let limit = if case.fails.as_deref() == Some("timed_out") { Duration::from_secs(1) } else { LIMIT };
    let run = async { tokio::time::timeout(limit, run(case, program)).await };
    let ended = runtime.block_on(run).unwrap_or_else(|_| Err(("timed_out", "still running".to_owned())));
    match (&case.fails, ended) {
        (None, Ok(())) => Ok(()),
        (Some(kind), Err((found, _))) if kind == found => Ok(()),
        (_, Err((kind, story))) => Err(format!("{kind}: {story}").into()),
        (Some(_), Ok(())) => Err("it passed".into()),
    }
}

async fn run(case: &Case, program: &CommandPre<State>) -> Result<(), (&'static str, String)> {
    let output = MemoryOutputPipe::new(256 << 10);
    let mut wasi = WasiCtxBuilder::new();
    let wasi = wasi.args(&[&case.program, &case.case]).stderr(output.clone()).build();
    let (memory, board) = (Memory::default(), fixture::Board::default());
    let state = State { table: ResourceTable::new(), wasi, memory: memory.clone(), board };
    let mut store = Store::new(program.engine(), state);
    store.epoch_deadline_async_yield_and_update(1);
    let ended = async {
        let command = program.instantiate_async(&mut store).await?;
        command.wasi_cli_run().call_run(&mut store).await
    }
    .await;
    let board = std::mem::take(&mut store.data_mut().board);
    let is_announced = match (board.outcome, &ended) {
        (None, Ok(Ok(()))) => true,
        (Some(Outcome::GuestTrap), Err(error)) => error.downcast_ref() == Some(&Trap::UnreachableCodeReached),
        (Some(Outcome::HostTrap), Err(error)) => !error.is::<Trap>() && !error.is::<I32Exit>(),
        (Some(Outcome::Exit), Err(error)) => error.is::<I32Exit>(),
        _ => false,
    };
    if !is_announced {
        let output = String::from_utf8_lossy(&output.contents()).into_owned();
        let ended = ended.map_err(|error| error.root_cause().to_string());
        return Err(("instance", format!("ended with {ended:?}, announced {:?}\n{output}", board.outcome)));
    }
    drop(store);
    audit(&memory, &board).map_err(|fault| ("audit", fault))
}

/// Checks that a store has exactly what the case claims.
fn audit(memory: &Memory, board: &fixture::Board) -> Result<(), String> {
    let (mut objects, mut parts) = (HashMap::new(), HashMap::new());
    for (scope, space) in &*memory.spaces() {
        for part in space.parts.values() {
            parts.insert((scope.clone(), part.receipt.temp_key.clone()), part.bytes.clone());
        }
        for id in space.ids.values() {
            if let Id::Object(object) = id {
                objects.insert(object.receipt.key.clone(), object.bytes.clone());
            }
        }
    }
    for (key, pieces) in &board.objects {
        if objects.remove(key).as_deref() != Some(&fixture::content(pieces)) {
            return Err(format!("object {key} has other content, or is not there"));
        }
    }
    for (scope, key, pieces) in &board.parts {
        if parts.remove(&(scope.join("/"), key.clone())).as_deref() != Some(&fixture::content(pieces)) {
            return Err(format!("part {key} has other content, or is not there"));
        }
    }
    match (objects.len(), parts.len()) {
        (0, 0) => Ok(()),
        _ => Err(format!("not claimed: {:?} {:?}", objects.keys(), parts.keys())),
    }
}

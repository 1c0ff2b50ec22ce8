//! The runner of the cases.

use crate::audit::{self, Claimed};
use crate::backends;
use crate::bindings::portico::conformance::fixture::Outcome;
use crate::board::Board;
use crate::export;
use crate::fixture::Fixture;
use crate::host::{Base, Host, add_fixture};
use crate::programs::{self, Case};
use crate::stores::{BoxError, TestBackend, TestStore};
use portico_store::Backend;
use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use wasmtime::component::{Component, Linker, ResourceTable};
use wasmtime::{Config, Engine, OptLevel, Trap};
use wasmtime_wasi::p2::bindings::CommandPre;
use wasmtime_wasi::p2::pipe::MemoryOutputPipe;
use wasmtime_wasi::{I32Exit, WasiCtxBuilder};

/// Interval after which a computing guest yields to other guests and to its time limit.
const TICK: Duration = Duration::from_millis(10);

/// Capacity of each output of a guest, in bytes.
const OUTPUT_MAX: usize = 256 << 10;

/// The compiled programs and their cases, for one host.
pub struct Runner<H: Host> {
    host: H,
    engine: Engine,
    programs: HashMap<&'static str, CommandPre<H::State>>,
    cases: Vec<Case>,
}

/// Why a case failed.
#[derive(Debug, thiserror::Error)]
pub enum CaseFailure {
    /// The store cannot be created, opened or audited.
    #[error("the store failed: {0}")]
    Store(BoxError),
    /// An instance ended otherwise than announced.
    #[error("instance {instance} {how}\n{output}")]
    Instance {
        /// The number of the instance.
        instance: u32,
        /// How the instance ended.
        how: String,
        /// What the instance printed to standard error.
        output: String,
    },
    /// The instances did not all end within the time limit.
    #[error("still running after {0:?}")]
    TimedOut(Duration),
    /// The store does not hold what the instances claimed.
    #[error("faults in the store:\n  {}", .0.join("\n  "))]
    Audit(Vec<String>),
}

impl CaseFailure {
    /// Returns the kind of the failure: `store`, `instance`, `timed_out` or `audit`.
    pub fn kind(&self) -> &'static str {
        match self {
            CaseFailure::Store(_) => "store",
            CaseFailure::Instance { .. } => "instance",
            CaseFailure::TimedOut(_) => "timed_out",
            CaseFailure::Audit(_) => "audit",
        }
    }
}

impl<H: Host> Runner<H> {
    /// Compiles the programs, and asks them for their cases.
    ///
    /// # Errors
    /// If a program does not compile, or does not print its cases.
    pub async fn new(host: H) -> Result<Self, BoxError> {
        let mut config = Config::new();
        // Unoptimized: the programs are compiled for each run, and do little.
        config.epoch_interruption(true).concurrency_support(false).cranelift_opt_level(OptLevel::None);
        let engine = Engine::new(&config)?;
        spawn_ticker(&engine);

        let mut linker = Linker::new(&engine);
        wasmtime_wasi::p2::add_to_linker_async(&mut linker)?;
        add_fixture(&mut linker)?;
        host.add_to_linker(&mut linker)?;
        let mut runner = Runner { host, engine, programs: HashMap::new(), cases: Vec::new() };
        // A program gets storage only because it cannot be linked without; listing its cases does not use it.
        let scratch = backends::Local.fresh(&[]).await?;
        let store = scratch.open().await?;
        for &(program, component) in programs::PROGRAMS {
            let component = Component::new(&runner.engine, component)?;
            runner.programs.insert(program, CommandPre::new(linker.instantiate_pre(&component)?)?);
            let board = Arc::new(Board::new(1));
            let (ended, output) = runner.start(&[program], 0, &board, store.clone()).await;
            if !ended.is(None) {
                return Err(format!("{program} {ended} instead of naming its cases\n{}", output.error()).into());
            }
            runner.cases.extend(programs::parse(program, &output.text()));
        }
        Ok(runner)
    }

    /// Returns the cases of all programs, self-checks included.
    pub fn cases(&self) -> &[Case] {
        &self.cases
    }

    /// Writes the suite to a folder, for the runner of another host: the components, the WIT, and the cases as
    /// `cases.json`.
    ///
    /// # Errors
    /// If a file cannot be written.
    pub fn export(&self, dir: &Path) -> std::io::Result<()> {
        export::write(&self.cases, dir)
    }

    /// Runs a case in a new store of a backend.
    ///
    /// # Errors
    /// Why the case failed.
    ///
    /// # Panics
    /// If the case is not one of [`Runner::cases`].
    pub async fn run(
        self: &Arc<Self>,
        case: &Case,
        backend: &dyn TestBackend,
        limit: Duration,
    ) -> Result<(), CaseFailure> {
        let test_store = backend.fresh(&case.needs).await.map_err(CaseFailure::Store)?;
        let ended = self.run_in(&*test_store, case, limit).await;
        let removed = test_store.remove().await.map_err(CaseFailure::Store);
        ended.and(removed)
    }

    async fn run_in(
        self: &Arc<Self>,
        test_store: &dyn TestStore,
        case: &Case,
        limit: Duration,
    ) -> Result<(), CaseFailure> {
        let mut hosts = Vec::new();
        for _ in 0..case.hosts {
            hosts.push(test_store.open().await.map_err(CaseFailure::Store)?);
        }
        let board = Arc::new(Board::new(case.instances));
        let instances = self.instances(case, &board, &hosts);
        tokio::time::timeout(limit, instances).await.map_err(|_| CaseFailure::TimedOut(limit))??;
        let claimed = Claimed::new(board.look(|state| state.claims.clone()));
        match audit::audit(test_store, hosts, &claimed).await.map_err(CaseFailure::Store)? {
            faults if faults.is_empty() => Ok(()),
            faults => Err(CaseFailure::Audit(faults)),
        }
    }

    /// Runs all instances of a case at once. The first one that ends otherwise than announced ends the others.
    async fn instances(
        self: &Arc<Self>,
        case: &Case,
        board: &Arc<Board>,
        hosts: &[Arc<dyn Backend>],
    ) -> Result<(), CaseFailure> {
        let mut instances = JoinSet::new();
        for (instance, host) in (0..case.instances).zip(hosts.iter().cycle()) {
            let (runner, case, board, host) = (self.clone(), case.clone(), board.clone(), host.clone());
            instances.spawn(async move { runner.instance(&case, instance, board, host).await });
        }
        while let Some(ended) = instances.join_next().await {
            ended.map_err(|error| CaseFailure::Store(error.into()))??;
        }
        Ok(())
    }

    async fn instance(
        &self,
        case: &Case,
        instance: u32,
        board: Arc<Board>,
        backend: Arc<dyn Backend>,
    ) -> Result<(), CaseFailure> {
        let (ended, output) = self.start(&[case.program, &case.name], instance, &board, backend).await;
        board.over(instance);
        let announced = board.look(|state| state.outcomes.get(&instance).copied());
        if ended.is(announced) {
            return Ok(());
        }
        let how = match announced {
            None => ended.to_string(),
            Some(announced) => format!("{ended}, but announced {announced:?}"),
        };
        Err(CaseFailure::Instance { instance, how, output: output.error() })
    }

    /// Runs a program to its end, and drops all of it.
    async fn start(
        &self,
        arguments: &[&str],
        instance: u32,
        board: &Arc<Board>,
        backend: Arc<dyn Backend>,
    ) -> (Ended, CapturedOutput) {
        let output = CapturedOutput::default();
        let mut wasi = WasiCtxBuilder::new();
        let wasi = wasi.args(arguments).stdout(output.text.clone()).stderr(output.error.clone()).build();
        let fixture = Fixture::new(board.clone(), instance);
        let state = self.host.state(Base { table: ResourceTable::new(), wasi, fixture }, backend);
        let mut store = wasmtime::Store::new(&self.engine, state);
        store.epoch_deadline_async_yield_and_update(1);
        self.host.limit(&mut store);
        let run = async {
            let command = self.programs[arguments[0]].instantiate_async(&mut store).await?;
            command.wasi_cli_run().call_run(&mut store).await
        };
        let ended = tokio::select! {
            biased;
            () = board.killed(instance) => Ended::Killed,
            returned = run => Ended::of(returned),
        };
        (ended, output)
    }
}

/// The captured outputs of a guest.
struct CapturedOutput {
    text: MemoryOutputPipe,
    error: MemoryOutputPipe,
}

impl Default for CapturedOutput {
    fn default() -> Self {
        CapturedOutput { text: MemoryOutputPipe::new(OUTPUT_MAX), error: MemoryOutputPipe::new(OUTPUT_MAX) }
    }
}

impl CapturedOutput {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.text.contents()).into_owned()
    }

    fn error(&self) -> String {
        String::from_utf8_lossy(&self.error.contents()).into_owned()
    }
}

/// How an instance ended.
enum Ended {
    Returned(Result<(), ()>),
    Exited(i32),
    GuestTrap(Trap),
    HostTrap(wasmtime::Error),
    Killed,
}

impl Ended {
    fn of(returned: wasmtime::Result<Result<(), ()>>) -> Self {
        match returned {
            Ok(result) => Ended::Returned(result),
            Err(error) => match (error.downcast_ref::<I32Exit>(), error.downcast_ref::<Trap>()) {
                (Some(I32Exit(code)), _) => Ended::Exited(*code),
                (None, Some(trap)) => Ended::GuestTrap(*trap),
                (None, None) => Ended::HostTrap(error),
            },
        }
    }

    fn is(&self, announced: Option<Outcome>) -> bool {
        matches!(
            (announced, self),
            (None, Ended::Returned(Ok(())))
                | (Some(Outcome::GuestTrap), Ended::GuestTrap(Trap::UnreachableCodeReached))
                | (Some(Outcome::HostTrap), Ended::HostTrap(_))
                | (Some(Outcome::Exit), Ended::Exited(_))
                | (Some(Outcome::Killed), Ended::Killed)
        )
    }
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Ended::Returned(Ok(())) => f.write_str("returned"),
            Ended::Returned(Err(())) => f.write_str("returned an error"),
            Ended::Exited(code) => write!(f, "exited with {code}"),
            Ended::GuestTrap(trap) => write!(f, "trapped: {trap}"),
            Ended::HostTrap(error) => write!(f, "was trapped by its host: {error:#}"),
            Ended::Killed => f.write_str("was killed"),
        }
    }
}

/// Advances the epoch of an engine for as long as the engine lives. A thread, because computing guests may occupy all
/// threads of the runtime.
fn spawn_ticker(engine: &Engine) {
    let engine = engine.weak();
    std::thread::spawn(move || {
        while let Some(engine) = engine.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(TICK);
        }
    });
}

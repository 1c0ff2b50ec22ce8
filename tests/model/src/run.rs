//! Random histories: lives of a store, each ended normally or at a random step.

use crate::check::Life;
use crate::faults::Faults;
use crate::history::History;
use crate::names::Names;
use crate::ops::{Op, random_size};
use crate::perform::{Host, Promises, abandon};
use crate::truth::Truth;
use crate::{World, parallel};
use portico_store::Backend;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

/// Tasks of one life.
const TASKS: usize = 6;
/// Largest number of operations of one task.
const OPERATIONS: usize = 12;
/// Largest number of lives of one store.
const LIVES: usize = 4;
/// The longest time of one life: beyond it the model reports a deadlock.
const LIFE_MAX: Duration = Duration::from_secs(120);

/// The number of histories, and their seeds.
#[derive(Clone, Copy, Debug)]
pub struct Settings {
    /// The number of stores.
    pub runs: u64,
    /// The seed of the first; each further one has the next.
    pub seed: u64,
    /// Whether there is time for every trial.
    pub thorough: bool,
}

impl Settings {
    /// This many runs from a random seed, unless the environment says otherwise: `PORTICO_TEST_RUNS` is their number,
    /// and means that there is time; `PORTICO_TEST_SEED` alone stands for one run, which repeats the plan, if not the
    /// order in which its tasks meet.
    ///
    /// # Panics
    /// If one of them is not a number.
    pub fn from_env(runs: u64) -> Self {
        let number = |name: &str| {
            let text = std::env::var(name).ok()?;
            Some(text.parse::<u64>().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
        };
        let (seed, asked) = (number("PORTICO_TEST_SEED"), number("PORTICO_TEST_RUNS"));
        Settings {
            runs: asked.unwrap_or(if seed.is_some() { 1 } else { runs }),
            seed: seed.unwrap_or_else(|| fastrand::u64(..u64::from(u32::MAX))),
            thorough: asked.is_some(),
        }
    }
}

/// Tries random histories, each on a store of its own.
///
/// # Errors
/// The story of the first history that no order explains, with the seed that repeats its plan.
pub async fn random<W: World + 'static>(
    world: impl Fn() -> W + Clone + Send + 'static,
    settings: Settings,
) -> Result<(), String> {
    parallel::each(0..settings.runs, move |run| {
        let (world, seed) = (world(), settings.seed.wrapping_add(run));
        async move {
            let told = one(&world, seed).await;
            told.map_err(|story| format!("PORTICO_TEST_SEED={seed} repeats this plan\n{story}"))
        }
    })
    .await
}

async fn one(world: &dyn World, seed: u64) -> Result<(), String> {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut names = Names::new(|| random_size(&mut rng, world.sizes()));
    let history = Arc::new(History::default());
    let mut start = Truth::default();
    for life in 0..rng.usize(2..=LIVES) {
        names.add_files(life);
        let shared = Arc::new(names);
        let lived = tokio::time::timeout(LIFE_MAX, live(world, &history, &shared, &mut rng)).await;
        let deaths = lived.map_err(|_| format!("life {life}: somebody waits for ever\n{}", open_calls(&history)))??;
        let closed = close(world, &history, &shared, &start).await;
        start = closed.map_err(|story| format!("life {life}, with deaths at {deaths:?}: {story}"))?;
        names = Arc::into_inner(shared).ok_or("a task is still there")?;
    }
    Ok(())
}

/// One life of the store: its hosts, and tasks that run operations on them until they have done enough or their host is
/// dead. A host that dies during its opening does nothing. Returns the steps at which hosts died.
async fn live(
    world: &dyn World,
    history: &Arc<History>,
    names: &Arc<Names>,
    rng: &mut fastrand::Rng,
) -> Result<Vec<&'static str>, String> {
    let (mut hosts, mut lives) = (Vec::new(), Vec::new());
    for host in 0..world.hosts() {
        let dies_at = match rng.u8(..8) {
            0..2 => None,
            2 => Some(rng.u64(..12)),
            _ => Some(rng.u64(..500)),
        };
        let faults = Arc::new(Faults::random(dies_at, rng.fork()));
        lives.push(faults.clone());
        match world.open(host, &faults).await {
            Ok(backend) => hosts.push(Host {
                backend,
                faults,
                history: history.clone(),
                names: names.clone(),
                promises: Promises::of(world),
            }),
            Err(_) if faults.is_dead() => {}
            Err(error) => return Err(error),
        }
    }
    let abandons = rng.bool();
    let mut tasks = JoinSet::new();
    for task in 0..TASKS {
        if hosts.is_empty() {
            break;
        }
        let host = hosts[task % hosts.len()].clone();
        let mut rng = rng.fork();
        tasks.spawn(async move {
            let mut next = None;
            for _ in 0..rng.usize(1..=OPERATIONS) {
                if host.faults.is_dead() {
                    break;
                }
                let op = next.take().unwrap_or_else(|| Op::random(&mut rng, &host.names));
                let polls = if abandons && rng.u8(..5) == 0 { rng.u32(..40) } else { u32::MAX };
                let mut of_op = rng.fork();
                // The history has its answer.
                let ended = abandon(host.perform(op.clone(), &mut of_op), polls).await;
                next = op.followed_by(ended.is_some_and(|result| result.is_ok()), &mut rng, &host.names);
            }
        });
    }
    while let Some(ended) = tasks.join_next().await {
        ended.map_err(|error| format!("a task panicked: {error}"))?;
    }
    Ok(lives.iter().filter_map(|faults| faults.happened_at()).collect())
}

fn open_calls(history: &History) -> String {
    let inner = history.lock();
    let open = inner.entries.iter().filter(|(_, entry)| entry.end.is_none());
    open.map(|(id, entry)| format!("  #{id} {} has not answered\n", entry.what)).collect()
}

/// Opens the store again after a life, and compares its state with the history. Returns the state.
pub(crate) async fn close(
    world: &dyn World,
    history: &Arc<History>,
    names: &Arc<Names>,
    start: &Truth,
) -> Result<Truth, String> {
    world.settle().await;
    history.settled();
    let store = world.open(0, &Arc::new(Faults::none())).await?;
    let over = history.now();
    let found = read(&*store, names).await?;
    let audited = world.audit(&found).await;
    let mut inner = history.lock();
    let life = Life { names, start, found: &found, over, atomic: world.assembly_is_atomic() };
    let mut problems = life.check(&mut inner);
    problems.extend(audited);
    if !problems.is_empty() {
        problems.push("all calls of that life:".to_owned());
        problems.extend(inner.entries.iter().map(|(id, entry)| entry.tell(*id)));
    }
    inner.entries.clear();
    if problems.is_empty() { Ok(found) } else { Err(problems.join("\n")) }
}

async fn read(store: &dyn Backend, names: &Names) -> Result<Truth, String> {
    Truth::of(store, names).await.map_err(|error| {
        use std::error::Error as _;
        format!("the store can't be read: {error} {:?}", error.source())
    })
}

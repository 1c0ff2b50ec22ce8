//! Two operations at once: the first is blocked at each of its steps in turn, while the second runs.

use crate::cases::{self, ALL, Ops};
use crate::names::Names;
use crate::ops::{Op, Which};
use crate::steps::Stage;
use crate::{Settings, World, parallel};
use std::sync::Arc;
use std::time::Duration;

/// The longest time of one pair: beyond it the model reports a deadlock.
const PAIR_MAX: Duration = Duration::from_secs(60);
/// The name of a retry with an assembly after it.
const RETRY: &str = "retry and assemble";
/// One of this many pairs is tried where time is short.
const STRIDE: usize = 23;

/// Two operations, and whether the caller of the first is dropped while it is blocked.
#[derive(Clone)]
struct Pair {
    first: (&'static str, Op),
    second: (&'static str, Vec<Op>),
    abandoned: bool,
    /// The host of the second, counted from that of the first.
    host: usize,
}

/// Tries pairs, each on stores of its own: all of them, or, where time is short, every n-th from a random one on, and
/// the essential ones.
///
/// # Errors
/// The story of the first pair that no order explains.
pub async fn every_pair<W: World + 'static>(
    world: impl Fn() -> W + Clone + Send + 'static,
    settings: Settings,
) -> Result<(), String> {
    let names = Arc::new(cases::names());
    let hosts = world().hosts().min(2);
    let stride = if settings.thorough { 1 } else { STRIDE * hosts };
    let from = fastrand::usize(..stride);
    let all = pairs(&names, hosts).into_iter().enumerate();
    let chosen = all.filter(move |(at, pair)| at % stride == from || pair.is_essential()).map(|(_, pair)| pair);
    parallel::each(chosen, move |pair| {
        let (world, names) = (world.clone(), names.clone());
        async move {
            for step in 0.. {
                let tried = tokio::time::timeout(PAIR_MAX, hold(&world(), &names, &pair, step)).await;
                let tried = tried.unwrap_or_else(|_| Err("somebody waits for ever".to_owned()));
                if !tried.map_err(|story| format!("{}: {story}", pair.tell(step)))? {
                    break;
                }
            }
            Ok(())
        }
    })
    .await
}

impl Pair {
    /// The retry of a client whose put is stuck, which would lose data if the stuck write landed after all.
    fn is_essential(&self) -> bool {
        self.abandoned && self.first.0 == "put other placed part" && self.second.0 == RETRY
    }

    fn tell(&self, step: u64) -> String {
        let going = if self.abandoned { " and abandoned" } else { "" };
        let there = if self.host > 0 { " on another host" } else { "" };
        format!("{} held up{going} at its step {step}, then {}{there}", self.first.0, self.second.0)
    }
}

/// The state before: a session with one part missing, a complete session, an object, a record, and garbage for a sweep.
fn setup(ops: &Ops<'_>) -> Vec<Op> {
    let mut setup = vec![ops.placed(0, 1, 0), ops.placed(0, 3, 0), ops.placed(0, 4, 0)];
    setup.extend(ops.session(1));
    setup.extend([ops.whole(1), Op::CreateRecord { record: ops.0.records[0].clone() }, ops.cut_off(2, 1)]);
    setup
}

fn pairs(names: &Names, hosts: usize) -> Vec<Pair> {
    let ops = Ops(names);
    let (f, g) = (0, 1);
    let three = [(0, 1), (0, 3), (0, 4)];
    let other: Vec<(usize, u32)> = (1..=4).map(|number| (1, number)).collect();
    let kinds = vec![
        ("put placed part", ops.placed(0, 2, 0)),
        ("put other placed part", ops.placed(0, 2, 1)),
        ("put part anywhere", ops.anywhere(0, 2, 0)),
        ("put part unless it has ended", ops.unless(f, 0, 2)),
        ("put part again", ops.placed(0, 1, 0)),
        ("put prefix", ops.prefix(0, 2)),
        ("join", ops.join(0, 2, &[1, 4])),
        ("join what is there", ops.join(0, 3, &[1, 4])),
        ("delete part", ops.delete(0, 1)),
        ("delete session", ops.clear(0)),
        ("interrupt", Op::Interrupt { session: names.sessions[0].clone() }),
        ("assemble", ops.assemble(f, &three)),
        ("assemble the other session", ops.assemble(f, &other)),
        ("assemble both sessions", ops.assemble(f, &[&three[..], &other[..]].concat())),
        ("assemble what is there", ops.assemble(g, &other)),
        ("put final", ops.whole(f)),
        ("put final again", ops.whole(g)),
        ("void", Op::Void { file: ops.file(f) }),
        ("delete final", Op::DeleteFinal { file: ops.file(g) }),
        ("read final", Op::ReadFinal { file: ops.file(g), piece: false }),
        ("read part", Op::ReadPart { slot: ops.slot(0, 1), which: Which::Latest }),
        ("replace record", Op::ReplaceRecord { record: names.records[0].clone(), which: Which::Latest }),
        ("sweep", Op::Sweep),
    ];
    let mut pairs = Vec::new();
    for first in &kinds {
        // The retry of a client whose put is stuck: the part again, and then the whole.
        let retry = vec![ops.placed(0, 2, 0), ops.list(0), ops.assemble(f, &ALL)];
        let seconds = kinds.iter().map(|(name, op)| (*name, vec![op.clone()])).chain([(RETRY, retry)]);
        for second in seconds {
            for (abandoned, host) in
                [false, true].into_iter().flat_map(|going| (0..hosts).map(move |host| (going, host)))
            {
                pairs.push(Pair { first: first.clone(), second: second.clone(), abandoned, host });
            }
        }
    }
    pairs
}

/// One pair, the first blocked at a step; `false` if it has fewer steps.
async fn hold(world: &dyn World, names: &Arc<Names>, pair: &Pair, step: u64) -> Result<bool, String> {
    let mut stage = Stage::new(world, names);
    let host = stage.open(0).await?;
    let other = if pair.host == 0 { host.clone() } else { stage.open(pair.host).await? };
    stage.prepare(&host, &setup(&Ops(names))).await?;

    host.faults.hold_after(step);
    let first = {
        let (host, op) = (host.clone(), pair.first.1.clone());
        tokio::spawn(async move { host.perform(op, &mut fastrand::Rng::with_seed(1)).await })
    };
    let (mut answered, mut ended) = (false, false);
    tokio::pin!(first);
    let to_the_end = async {
        let _ = (&mut first).await;
        answered = true;
        world.settle().await;
    };
    tokio::select! {
        biased;
        () = host.faults.held() => {}
        () = to_the_end => ended = true,
    }
    if pair.abandoned {
        first.abort();
    }
    let mut second = {
        let ops = pair.second.1.clone();
        tokio::spawn(async move {
            for op in ops {
                let _ = other.perform(op, &mut fastrand::Rng::with_seed(2)).await;
            }
        })
    };
    let waited = tokio::time::timeout(world.patience(), &mut second).await;
    host.faults.release();
    if !answered {
        // The call may have been abandoned, but must not have panicked.
        if let Err(error) = first.await
            && error.is_panic()
        {
            return Err("the first has panicked".to_owned());
        }
    }
    if waited.is_err() {
        second.await.map_err(|error| format!("the second has panicked: {error}"))?;
    }
    let at = host.faults.happened_at();
    drop(host);
    stage.close().await.map_err(|story| format!("(at {at:?}) {story}"))?;
    Ok(!ended)
}

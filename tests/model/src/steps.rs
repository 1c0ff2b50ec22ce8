//! Each operation alone, with a crash at each of its steps in turn, and with a second crash at each step of the opening
//! after it.
//!
//! Afterwards the whole of its effect exists or nothing, and a retry leads to the same state as an undisturbed run.

use crate::cases::{self, Case};
use crate::faults::Faults;
use crate::history::History;
use crate::names::Names;
use crate::ops::Op;
use crate::perform::{Host, Promises};
use crate::run::close;
use crate::truth::Truth;
use crate::{World, parallel};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

/// The largest number of steps of an operation.
const STEPS_MAX: u64 = 500;

/// Kills a host at every step of every operation, each time on a store of its own. Returns the names of all steps.
///
/// # Errors
/// The story of the first crash that was not survived.
pub async fn every_step<W: World + 'static>(
    world: impl Fn() -> W + Clone + Send + 'static,
) -> Result<BTreeSet<&'static str>, String> {
    let names = Arc::new(cases::names());
    let seen = Arc::new(Mutex::new(BTreeSet::new()));
    let all = seen.clone();
    parallel::each(cases::all(&names), move |case| {
        let (world, names, seen) = (world.clone(), names.clone(), seen.clone());
        async move {
            let goal = undisturbed(&world(), &names, &case).await;
            let goal = goal.map_err(|story| format!("{}: {story}", case.name))?;
            for step in 0..STEPS_MAX {
                let crashed = crash(&world(), &names, &case, step, &goal).await;
                let (died, steps) =
                    crashed.map_err(|story| format!("{}, crash at its step {step}: {story}", case.name))?;
                seen.lock().unwrap_or_else(PoisonError::into_inner).extend(steps);
                if !died {
                    return Ok(());
                }
            }
            Err(format!("{} takes more than {STEPS_MAX} steps", case.name))
        }
    })
    .await?;
    let seen = all.lock().unwrap_or_else(PoisonError::into_inner);
    Ok(seen.clone())
}

/// A store with a host on it.
pub(crate) struct Stage<'a> {
    pub(crate) world: &'a dyn World,
    pub(crate) names: Arc<Names>,
    pub(crate) history: Arc<History>,
    pub(crate) start: Truth,
}

impl<'a> Stage<'a> {
    pub(crate) fn new(world: &'a dyn World, names: &Arc<Names>) -> Self {
        Stage { world, names: names.clone(), history: Arc::default(), start: Truth::default() }
    }

    pub(crate) async fn open(&self, host: usize) -> Result<Host, String> {
        let faults = Arc::new(Faults::none());
        let backend = self.world.open(host, &faults).await?;
        let promises = Promises::of(self.world);
        Ok(Host { backend, faults, history: self.history.clone(), names: self.names.clone(), promises })
    }

    /// Runs operations that must all succeed, or be cut off as planned, and waits for their background work: the steps
    /// that are counted from here on are those of the next operation.
    pub(crate) async fn prepare(&self, host: &Host, ops: &[Op]) -> Result<(), String> {
        for op in ops {
            let result = host.perform(op.clone(), &mut fastrand::Rng::with_seed(1)).await;
            let meant = matches!(op, Op::PutPart { how, .. } if how.cut.is_some());
            if let Err(error) = result
                && !meant
            {
                return Err(format!("{op:?} before it: {error}"));
            }
        }
        self.world.settle().await;
        Ok(())
    }

    /// Ends the life of the host, which was dropped, and inspects the state.
    pub(crate) async fn close(&mut self) -> Result<(), String> {
        self.start = close(self.world, &self.history, &self.names, &self.start).await?;
        Ok(())
    }
}

/// The state after an undisturbed operation.
async fn undisturbed(world: &dyn World, names: &Arc<Names>, case: &Case) -> Result<Vec<String>, String> {
    let mut stage = Stage::new(world, names);
    let host = stage.open(0).await?;
    stage.prepare(&host, &case.setup).await?;
    stage.prepare(&host, std::slice::from_ref(&case.op)).await?;
    stage.prepare(&host, &clearing(world, &case.op)).await?;
    drop(host);
    stage.close().await?;
    Ok(stage.start.summary())
}

/// The last operations of a client after an assembly that died and may have left some of its parts.
fn clearing(world: &dyn World, op: &Op) -> Vec<Op> {
    match op {
        Op::Assemble { parts, .. } if !world.assembly_is_atomic() => {
            let sessions: BTreeSet<_> = parts.iter().map(|(slot, _)| slot.0.clone()).collect();
            sessions.into_iter().map(|session| Op::DeleteSession { session }).collect()
        }
        _ => Vec::new(),
    }
}

/// One crash at a step of the operation, if it has so many; returns the names of the steps taken.
async fn crash(
    world: &dyn World,
    names: &Arc<Names>,
    case: &Case,
    step: u64,
    goal: &[String],
) -> Result<(bool, Vec<&'static str>), String> {
    let mut stage = Stage::new(world, names);
    let host = stage.open(0).await?;
    stage.prepare(&host, &case.setup).await?;
    host.faults.die_after(step);
    let _ = host.perform(case.op.clone(), &mut fastrand::Rng::with_seed(1)).await;
    world.settle().await;
    let (died, at) = (host.faults.is_dead(), host.faults.happened_at());
    let mut seen = host.faults.names();
    drop(host);

    // The opening dies too, at a later step each time, until it has no more steps.
    let openings = if world.opening_repairs() || step == 0 { STEPS_MAX } else { 0 };
    for step in 0..openings {
        let faults = Arc::new(Faults::none());
        faults.die_after(step);
        let opened = world.open(0, &faults).await;
        seen.extend(faults.names());
        match opened {
            Err(_) if faults.is_dead() => {}
            Err(error) => return Err(format!("(at {at:?}) opened after it: {error}")),
            Ok(_) => break,
        }
    }
    stage.close().await.map_err(|story| format!("(at {at:?}) {story}"))?;

    let host = stage.open(0).await?;
    let again = std::slice::from_ref(&case.op);
    for op in if case.retry.is_empty() { again } else { &case.retry[..] } {
        // Some of its effects may exist already; the final state counts.
        let _ = host.perform(op.clone(), &mut fastrand::Rng::with_seed(1)).await;
    }
    stage.prepare(&host, &clearing(world, &case.op)).await?;
    drop(host);
    stage.close().await.map_err(|story| format!("(at {at:?}) done again: {story}"))?;
    let there = stage.start.summary();
    if there != goal {
        return Err(format!("(at {at:?}) done again, there is {there:#?}\nand undisturbed {goal:#?}"));
    }
    Ok((died, seen))
}

//! What is going on in upload sessions in this process: running puts, claims on ranges of a session's own file, seals.
//!
//! Invariants, which make it safe to write parts straight into a session's file:
//! - two claims of one session never overlap, and none is given while the session is sealed;
//! - after a gate is interrupted and idle, no byte is written and nothing is committed through it;
//! - whoever removes, truncates or publishes a session's file holds its seal and has waited for its gates, those of
//!   dropped puts whose claims are still there included: so nobody can be writing to it;
//! - a session's file that was made here and holds no part goes with the last claim on it, under a seal.

use crate::local::files::aside::Aside;
use crate::watched::Watched;
use crate::{Error, Result, Scope, SessionId, limits};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

type Name = (Scope, SessionId);

/// All sessions with activity.
#[derive(Clone, Default)]
pub(crate) struct Sessions(Arc<Watched<HashMap<Name, Active>>>);

#[derive(Default)]
struct Active {
    /// The gates of the running puts, and whether each keeps a prefix of its content.
    puts: Vec<(Arc<Gate>, bool)>,
    claims: Vec<Claimed>,
    sealed: Option<SealedFor>,
    /// Removes the session's own file, if a claim has created it.
    unused: Option<Remove>,
    /// Whether a part was committed in that file since this entry was created.
    used: bool,
    /// Whether the existence of a part is in doubt, until the store is opened again.
    doubted: bool,
    /// Whether a sync of the session's own file has failed. Bytes that share a page with lost ones can't be written
    /// there any more, see `cached.rs`, so no part is placed in that file, and it becomes no object.
    distrusted: bool,
}

type Remove = Box<dyn FnOnce() + Send>;

/// A claimed half-open range, and the gate of its writes. The last write of a dropped put may still run; its claim
/// stays until that write has ended.
struct Claimed {
    start: u64,
    end: u64,
    gate: Arc<Gate>,
}

/// Why a session is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SealedFor {
    /// An assembly makes a final object of its parts, which may take long.
    Assembly,
    /// Clearing or sweeping.
    Upkeep,
    /// Whether the session has become an object is in doubt, until the store is opened again.
    Doubt,
}

/// The gate of a put. Every write and commit passes through it, so that the put can be ended from outside.
#[derive(Default)]
pub(crate) struct Gate(Watched<GateState>);

#[derive(Default)]
struct GateState {
    /// The put was asked to end its content and to commit it.
    asked: bool,
    interrupted: bool,
    busy: usize,
    /// The put was dropped, or has returned.
    over: bool,
}

impl Gate {
    /// Enters for one write or for the commit.
    ///
    /// # Errors
    /// [`Error::Interrupted`] once the put was interrupted.
    pub(crate) fn enter(self: &Arc<Self>) -> Result<Passage> {
        let mut state = self.0.lock();
        if state.interrupted {
            return Err(Error::Interrupted { received: 0 });
        }
        state.busy += 1;
        Ok(Passage(self.clone()))
    }

    /// Resolves once the put was interrupted, or asked to end its content.
    pub(crate) async fn interrupted(&self) {
        self.0.until(|state| (state.interrupted || state.asked).then_some(())).await;
    }

    /// Asks a put to end its content and to commit it, and waits until the put is over, at most
    /// [`limits::KEEP_PREFIX_WAIT`].
    async fn end_content(&self) {
        self.0.lock().asked = true;
        self.0.notify();
        let over = self.0.until(|state| state.over.then_some(()));
        // A put that takes longer is interrupted, and keeps nothing.
        let _ = tokio::time::timeout(limits::KEEP_PREFIX_WAIT, over).await;
    }

    fn interrupt(&self) {
        self.0.lock().interrupted = true;
        self.0.notify();
    }

    async fn idle(&self) {
        self.0.until(|state| (state.busy == 0).then_some(())).await;
    }
}

/// A passage through a gate, which lasts as long as one write or commit.
pub(crate) struct Passage(Arc<Gate>);

impl Drop for Passage {
    fn drop(&mut self) {
        self.0.0.lock().busy -= 1;
        self.0.0.notify();
    }
}

impl Sessions {
    /// Registers a put, with its background work, until the returned value is dropped.
    pub(crate) fn register(&self, scope: &Scope, session: &SessionId, aside: Aside, keeps_prefix: bool) -> Running {
        let (name, gate) = ((scope.clone(), session.clone()), Arc::default());
        let running = Running { sessions: self.clone(), name, gate, aside, in_doubt: AtomicBool::new(false) };
        self.0.lock().entry(running.name.clone()).or_default().puts.push((running.gate.clone(), keeps_prefix));
        running
    }

    /// Claims a range of a session's own file for a put; `None` if another claim overlaps it or the session is sealed.
    pub(crate) fn claim(&self, running: &Running, start: u64, end: u64) -> Option<Claim> {
        let name = running.name.clone();
        let mut active = self.0.lock();
        let entry = active.entry(name.clone()).or_default();
        if entry.sealed.is_some()
            || entry.distrusted
            || entry.claims.iter().any(|other| other.start < end && start < other.end)
        {
            forget_if_idle(&mut active, &name);
            return None;
        }
        entry.claims.push(Claimed { start, end, gate: running.gate.clone() });
        let aside = running.aside.clone();
        Some(Claim { sessions: self.clone(), name, range: (start, end), aside, in_doubt: false })
    }

    /// Seals a session against new claims; `None` if it is sealed already.
    pub(crate) fn try_seal(&self, scope: &Scope, session: &SessionId) -> Option<Seal> {
        let name = (scope.clone(), session.clone());
        let sealed = seal_for(&mut self.0.lock(), &name, SealedFor::Upkeep);
        sealed.is_ok().then(|| Seal { sessions: self.clone(), name })
    }

    /// Seals a session, after waiting for the end of other seals.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if a seal can't end.
    pub(crate) async fn seal(&self, scope: &Scope, session: &SessionId) -> Result<Seal> {
        let name = (scope.clone(), session.clone());
        let sealed = self.0.until(|active| match seal_for(active, &name, SealedFor::Upkeep) {
            Ok(()) => Some(Ok(())),
            Err(SealedFor::Doubt) => Some(Err(doubt())),
            Err(SealedFor::Assembly | SealedFor::Upkeep) => None,
        });
        sealed.await.map(|()| Seal { sessions: self.clone(), name })
    }

    /// Seals a session for an assembly.
    ///
    /// # Errors
    /// [`Error::Conflict`] if another assembly has it; [`Error::Unavailable`] if one of it is in doubt.
    pub(crate) async fn seal_for_assembly(&self, scope: &Scope, session: &SessionId) -> Result<Seal> {
        let name = (scope.clone(), session.clone());
        let sealed = self.0.until(|active| match seal_for(active, &name, SealedFor::Assembly) {
            Ok(()) => Some(Ok(())),
            Err(SealedFor::Assembly) => Some(Err(Error::Conflict)),
            Err(SealedFor::Doubt) => Some(Err(doubt())),
            Err(SealedFor::Upkeep) => None,
        });
        sealed.await.map(|()| Seal { sessions: self.clone(), name })
    }

    /// Asks the current puts that keep a prefix to commit it, and returns when they are over.
    pub(crate) async fn end_contents(&self, scope: &Scope, session: &SessionId) {
        let gates: Vec<Arc<Gate>> = match self.0.lock().get(&(scope.clone(), session.clone())) {
            Some(entry) => entry.puts.iter().filter(|(_, keeps)| *keeps).map(|(gate, _)| gate.clone()).collect(),
            None => return,
        };
        futures_util::future::join_all(gates.iter().map(|gate| gate.end_content())).await;
    }

    /// Interrupts the current puts and the last writes of dropped ones, and returns when none of them writes or commits
    /// any more.
    pub(crate) async fn interrupt(&self, scope: &Scope, session: &SessionId) {
        let name = (scope.clone(), session.clone());
        let gates: Vec<Arc<Gate>> = match self.0.lock().get(&name) {
            Some(entry) => {
                let puts = entry.puts.iter().map(|(gate, _)| gate);
                puts.chain(entry.claims.iter().map(|claim| &claim.gate)).cloned().collect()
            }
            None => return,
        };
        for gate in &gates {
            gate.interrupt();
        }
        for gate in &gates {
            gate.idle().await;
        }
    }

    /// Records that a sync of the session's own file has failed.
    pub(crate) fn distrust(&self, scope: &Scope, session: &SessionId) {
        self.0.lock().entry((scope.clone(), session.clone())).or_default().distrusted = true;
    }

    /// Records that the session has no such file any more.
    pub(crate) fn trust(&self, scope: &Scope, session: &SessionId) {
        self.change(&(scope.clone(), session.clone()), |entry| entry.distrusted = false);
    }

    /// Whether a sync of the session's own file has failed.
    pub(crate) fn is_distrusted(&self, scope: &Scope, session: &SessionId) -> bool {
        self.0.lock().get(&(scope.clone(), session.clone())).is_some_and(|entry| entry.distrusted)
    }

    /// Checks that the parts of the session are known.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if the commit of one is in doubt.
    pub(crate) fn are_parts_certain(&self, scope: &Scope, session: &SessionId) -> Result<()> {
        match self.0.lock().get(&(scope.clone(), session.clone())) {
            Some(entry) if entry.doubted => {
                Err(Error::unavailable("the existence of a part is in doubt until the store is opened again"))
            }
            _ => Ok(()),
        }
    }

    /// Whether a put or claim of the session exists.
    pub(crate) fn is_busy(&self, scope: &Scope, session: &SessionId) -> bool {
        let active = self.0.lock();
        active
            .get(&(scope.clone(), session.clone()))
            .is_some_and(|entry| !entry.puts.is_empty() || !entry.claims.is_empty())
    }

    fn change(&self, name: &Name, change: impl FnOnce(&mut Active)) {
        let mut active = self.0.lock();
        if let Some(entry) = active.get_mut(name) {
            change(entry);
        }
        forget_if_idle(&mut active, name);
    }
}

/// Seals a session.
///
/// # Errors
/// The purpose of its current seal.
fn seal_for(active: &mut HashMap<Name, Active>, name: &Name, purpose: SealedFor) -> Result<(), SealedFor> {
    let entry = active.entry(name.clone()).or_default();
    match entry.sealed {
        Some(purpose) => Err(purpose),
        None => {
            entry.sealed = Some(purpose);
            Ok(())
        }
    }
}

fn forget_if_idle(active: &mut HashMap<Name, Active>, name: &Name) {
    let is_idle = |entry: &Active| {
        entry.puts.is_empty() && entry.claims.is_empty() && entry.sealed.is_none() && !entry.distrusted
    };
    if active.get(name).is_some_and(is_idle) {
        active.remove(name);
    }
}

fn doubt() -> Error {
    Error::unavailable("whether the session has become an object is in doubt until the store is opened again")
}

/// A running put.
pub(crate) struct Running {
    sessions: Sessions,
    name: Name,
    gate: Arc<Gate>,
    aside: Aside,
    in_doubt: AtomicBool,
}

impl Running {
    /// Its gate.
    pub(crate) fn gate(&self) -> &Arc<Gate> {
        &self.gate
    }

    /// The background work of the put.
    pub(crate) fn aside(&self) -> &Aside {
        &self.aside
    }

    /// Leaves the put registered until the store is opened again.
    pub(crate) fn keep_in_doubt(&self) {
        self.sessions.change(&self.name, |entry| entry.doubted = true);
        self.in_doubt.store(true, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if *self.in_doubt.get_mut() {
            return;
        }
        self.sessions.change(&self.name, |entry| entry.puts.retain(|(gate, _)| !Arc::ptr_eq(gate, &self.gate)));
        self.gate.0.lock().over = true;
        self.gate.0.notify();
    }
}

/// A claim on a range. The writing job owns it, and dropping it ends the claim.
pub(crate) struct Claim {
    sessions: Sessions,
    name: Name,
    range: (u64, u64),
    aside: Aside,
    in_doubt: bool,
}

impl Claim {
    /// The first byte of the range, and its end.
    pub(crate) fn range(&self) -> (u64, u64) {
        self.range
    }

    /// The background work of its put.
    pub(crate) fn aside(&self) -> &Aside {
        &self.aside
    }

    /// Records that this claim's put has created the session's own file, and how to remove that file if it gets no
    /// part.
    pub(crate) fn made_file(&self, remove: impl FnOnce() + Send + 'static) {
        self.sessions.change(&self.name, |entry| entry.unused = Some(Box::new(remove)));
    }

    /// Records that the session's own file has a part.
    pub(crate) fn committed(&self) {
        self.sessions.change(&self.name, |entry| entry.used = true);
    }

    /// Leaves the range claimed until the store is opened again.
    pub(crate) fn keep_in_doubt(&mut self) {
        self.in_doubt = true;
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.in_doubt {
            return;
        }
        let mut unused = None;
        self.sessions.change(&self.name, |entry| {
            // Claims do not overlap, so the start identifies a claim.
            entry.claims.retain(|claim| claim.start != self.range.0);
            if entry.claims.is_empty() && entry.sealed.is_none() && !entry.used {
                unused = entry.unused.take();
                entry.sealed = unused.as_ref().map(|_| SealedFor::Upkeep);
            }
        });
        if let Some(remove) = unused {
            let seal = Seal { sessions: self.sessions.clone(), name: self.name.clone() };
            self.aside.run(move || {
                remove();
                drop(seal);
            });
        }
    }
}

/// The seal of a session. Dropping it ends the seal.
pub(crate) struct Seal {
    sessions: Sessions,
    name: Name,
}

impl Seal {
    /// Leaves the session sealed until the store is opened again.
    pub(crate) fn keep_in_doubt(self) {
        self.sessions.change(&self.name, |entry| entry.sealed = Some(SealedFor::Doubt));
    }
}

impl Drop for Seal {
    fn drop(&mut self) {
        self.sessions.change(&self.name, |entry| {
            entry.sealed = entry.sealed.filter(|purpose| *purpose == SealedFor::Doubt);
        });
        self.sessions.0.notify();
    }
}

#[cfg(test)]
mod tests;

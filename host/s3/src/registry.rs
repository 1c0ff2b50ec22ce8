//! The running puts and assemblies of this process, by upload session.
//!
//! Invariants: a put changes from open to committing or from open to interrupted, never both. So after
//! [`Registry::interrupt`] returns, no put that ran before commits. After [`Registry::consumed`] returns, the caller
//! sees no part that a finished assembly of this process still removes.

use portico_store::watched::Watched;
use portico_store::{Error, Result, Scope, SessionId};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use tokio::sync::watch;

type Session = (Scope, SessionId);

/// The stage of a put.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    /// Asked to end its content and to commit it.
    Asked,
    Interrupted,
    Committing,
    Ended,
}

/// All sessions with running puts or assemblies.
#[derive(Default)]
pub(crate) struct Registry(Watched<Sessions>);

/// The stage of a running put, and whether the put keeps a prefix of its content.
type Put = (Arc<watch::Sender<Stage>>, bool);

#[derive(Default)]
struct Sessions {
    puts: HashMap<Session, Vec<Put>>,
    assembling: HashSet<Session>,
    /// Sessions of `assembling` whose object exists, and whose parts are being removed.
    consuming: HashSet<Session>,
}

impl Registry {
    /// Registers a put.
    pub(crate) fn register(self: &Arc<Self>, scope: &Scope, session: &SessionId, keeps_prefix: bool) -> Running {
        let stage = Arc::new(watch::Sender::new(Stage::Open));
        let session = (scope.clone(), session.clone());
        self.0.lock().puts.entry(session.clone()).or_default().push((stage.clone(), keeps_prefix));
        Running { registry: self.clone(), session, stage }
    }

    /// Asks the puts that keep a prefix to commit it, and returns when they are over, at most
    /// [`KEEP_PREFIX_WAIT`](portico_store::limits::KEEP_PREFIX_WAIT) later.
    pub(crate) async fn end_contents(&self, scope: &Scope, session: &SessionId) {
        let puts = self.0.lock().puts.get(&(scope.clone(), session.clone())).cloned().unwrap_or_default();
        let ends = puts.into_iter().filter(|(_, keeps)| *keeps).map(|(put, _)| async move {
            put.send_if_modified(|stage| {
                let open = *stage == Stage::Open;
                if open {
                    *stage = Stage::Asked;
                }
                open
            });
            let _ = put.subscribe().wait_for(|stage| *stage == Stage::Ended).await;
        });
        let ends = futures_util::future::join_all(ends);
        // A put that takes longer is interrupted, and keeps nothing.
        let _ = tokio::time::timeout(portico_store::limits::KEEP_PREFIX_WAIT, ends).await;
    }

    /// Interrupts the open puts of a session, and waits for its committing puts.
    pub(crate) async fn interrupt(&self, scope: &Scope, session: &SessionId) {
        let puts = self.0.lock().puts.get(&(scope.clone(), session.clone())).cloned().unwrap_or_default();
        for (put, _) in &puts {
            put.send_if_modified(|stage| {
                let open = matches!(*stage, Stage::Open | Stage::Asked);
                if open {
                    *stage = Stage::Interrupted;
                }
                open
            });
        }
        for (put, _) in puts {
            let _ = put.subscribe().wait_for(|stage| *stage != Stage::Committing).await;
        }
    }

    /// Marks sessions as being assembled, after finished assemblies have removed their parts.
    ///
    /// # Errors
    /// [`Error::Conflict`] if this process is assembling one of the sessions.
    pub(crate) async fn assemble(self: &Arc<Self>, sessions: Vec<Session>) -> Result<Assembling> {
        self.0
            .until(|inner| {
                let has = |set: &HashSet<Session>| sessions.iter().any(|session| set.contains(session));
                if has(&inner.consuming) {
                    return None;
                }
                if has(&inner.assembling) {
                    return Some(Err(Error::Conflict));
                }
                inner.assembling.extend(sessions.iter().cloned());
                Some(Ok(Assembling { registry: self.clone(), sessions: sessions.clone() }))
            })
            .await
    }

    /// Waits until no finished assembly is removing parts of a session.
    pub(crate) async fn consumed(&self, scope: &Scope, session: &SessionId) {
        let session = (scope.clone(), session.clone());
        self.0.until(|inner| (!inner.consuming.contains(&session)).then_some(())).await;
    }

    /// Waits for all sessions of a scope, as [`Registry::consumed`] does for one.
    pub(crate) async fn all_consumed(&self, scope: &Scope) {
        self.0.until(|inner| (!inner.consuming.iter().any(|(there, _)| there == scope)).then_some(())).await;
    }
}

/// A running put. Dropping it releases everybody who waits for this put.
pub(crate) struct Running {
    registry: Arc<Registry>,
    session: Session,
    stage: Arc<watch::Sender<Stage>>,
}

impl Running {
    /// Resolves when the put is interrupted.
    pub(crate) async fn interrupted(&self) {
        let _ = self.stage.subscribe().wait_for(|stage| *stage == Stage::Interrupted).await;
    }

    /// Resolves when the put was asked to end its content.
    pub(crate) async fn asked(&self) {
        let _ = self.stage.subscribe().wait_for(|stage| *stage == Stage::Asked).await;
    }

    /// Fails if the put was interrupted.
    pub(crate) fn check(&self) -> Result<()> {
        match *self.stage.borrow() {
            Stage::Interrupted => Err(Error::Interrupted { received: 0 }),
            _ => Ok(()),
        }
    }

    /// Starts the commit. The put cannot be interrupted any more.
    pub(crate) fn commit(&self) -> Result<()> {
        let mut result = Ok(());
        self.stage.send_if_modified(|stage| {
            match *stage {
                Stage::Interrupted => result = Err(Error::Interrupted { received: 0 }),
                _ => *stage = Stage::Committing,
            }
            true
        });
        result
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stage.send_replace(Stage::Ended);
        let mut inner = self.registry.0.lock();
        if let Some(puts) = inner.puts.get_mut(&self.session) {
            puts.retain(|(put, _)| !Arc::ptr_eq(put, &self.stage));
            if puts.is_empty() {
                inner.puts.remove(&self.session);
            }
        }
    }
}

/// Sessions that are being assembled.
pub(crate) struct Assembling {
    registry: Arc<Registry>,
    sessions: Vec<Session>,
}

impl Assembling {
    /// Marks the object as existing, so that only its parts remain to be removed.
    pub(crate) fn consume(&self) {
        self.registry.0.lock().consuming.extend(self.sessions.iter().cloned());
    }
}

impl Drop for Assembling {
    fn drop(&mut self) {
        let mut inner = self.registry.0.lock();
        for session in &self.sessions {
            inner.assembling.remove(session);
            inner.consuming.remove(session);
        }
        drop(inner);
        self.registry.0.notify();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_put_is_either_interrupted_or_committed() {
        let registry = Arc::new(Registry::default());
        let (scope, session) = (Scope::root(), SessionId::parse("session").unwrap());
        let open = registry.register(&scope, &session, false);
        let committing = registry.register(&scope, &session, false);
        committing.commit().unwrap();
        let other = registry.register(&scope, &SessionId::parse("other").unwrap(), false);
        let interrupt = tokio::spawn({
            let (registry, scope, session) = (registry.clone(), scope.clone(), session.clone());
            async move { registry.interrupt(&scope, &session).await }
        });
        open.interrupted().await;
        assert!(matches!(open.commit(), Err(Error::Interrupted { .. })));
        assert!(committing.check().is_ok() && other.check().is_ok());
        assert!(!interrupt.is_finished(), "it waits for the one that is being committed");
        drop(committing);
        interrupt.await.unwrap();
        assert!(registry.register(&scope, &session, false).commit().is_ok());
    }

    #[tokio::test]
    async fn a_session_is_assembled_once_at_a_time() {
        let registry = Arc::new(Registry::default());
        let session = (Scope::root(), SessionId::parse("session").unwrap());
        let first = registry.assemble(vec![session.clone()]).await.unwrap();
        assert!(matches!(registry.assemble(vec![session.clone()]).await, Err(Error::Conflict)));
        drop(first);
        drop(registry.assemble(vec![session]).await.unwrap());
    }

    #[tokio::test]
    async fn later_calls_wait_until_an_assembly_has_removed_its_parts() {
        let registry = Arc::new(Registry::default());
        let (scope, session) = (Scope::root(), SessionId::parse("session").unwrap());
        let named = (scope.clone(), session.clone());
        let first = registry.assemble(vec![named.clone()]).await.unwrap();
        registry.consumed(&scope, &session).await;
        first.consume();
        let mut waiting = tokio::task::JoinSet::new();
        let (here, there) = (registry.clone(), (scope.clone(), session.clone()));
        waiting.spawn(async move { here.consumed(&there.0, &there.1).await });
        let (here, there) = (registry.clone(), scope.clone());
        waiting.spawn(async move { here.all_consumed(&there).await });
        let here = registry.clone();
        waiting.spawn(async move { drop(here.assemble(vec![named]).await.unwrap()) });
        registry.consumed(&scope, &SessionId::parse("other").unwrap()).await;
        tokio::task::yield_now().await;
        assert!(waiting.try_join_next().is_none());
        drop(first);
        waiting.join_all().await;
    }
}

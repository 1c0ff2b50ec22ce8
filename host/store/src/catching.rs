//! Background hashing of parts that arrived out of order, so that an assembly need not read them: for backends.
//!
//! A backend supplies the work by [`Catch`], a step at a time; this module schedules it. Invariants: a session has at
//! most one catcher; a store works on [`limits::CATCHERS`] at once, in turns, and knows at most
//! [`limits::CATCH_SESSIONS`]; after [`Catchers::pause`] has returned, no step runs for the session until the returned
//! value is dropped; after [`Catchers::close`] no catcher begins. Catchers are best effort: an assembly hashes what
//! they have not.

use crate::watched::Watched;
use crate::{Result, Scope, SessionId, limits};
use async_trait::async_trait;
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Notify, Semaphore};

/// Hashes, in the background, the parts of a session that arrived out of order.
#[async_trait]
pub trait Catch: Send + 'static {
    /// Works for a short while; false when nothing is left to do. Dropping the future loses at most the work of this
    /// step.
    ///
    /// # Errors
    /// Any; the catcher ends then.
    async fn step(&mut self) -> Result<bool>;
}

#[async_trait]
impl Catch for Box<dyn Catch> {
    async fn step(&mut self) -> Result<bool> {
        (**self).step().await
    }
}

type Name = (Scope, SessionId);

/// The catchers of a store.
pub struct Catchers<C: Catch>(Arc<Shared<C>>);

struct Shared<C> {
    sessions: Watched<Sessions<C>>,
    turns: Semaphore,
    searched: Searched,
}

struct Sessions<C> {
    known: HashMap<Name, Session<C>>,
    closed: bool,
}

/// A session that has a catcher, or must not have one.
struct Session<C> {
    running: bool,
    halt: Arc<Notify>,
    /// The catcher that begins when the current one ends.
    next: Option<C>,
    pauses: usize,
}

impl<C> Default for Session<C> {
    fn default() -> Self {
        Session { running: false, halt: Arc::default(), next: None, pauses: 0 }
    }
}

impl<C: Catch> Default for Catchers<C> {
    fn default() -> Self {
        let sessions = Watched::new(Sessions { known: HashMap::new(), closed: false });
        let turns = Semaphore::new(limits::CATCHERS);
        Catchers(Arc::new(Shared { sessions, turns, searched: Searched::default() }))
    }
}

impl<C: Catch> Catchers<C> {
    /// Starts a catcher, at once or after the session's current one. False if the catcher was dropped, because the
    /// session is paused or too many other sessions have work.
    pub fn begin(&self, scope: &Scope, session: &SessionId, catcher: C) -> bool {
        let has_begun = self.try_begin(scope, session, catcher);
        if !has_begun {
            self.0.searched.remove(scope, session);
        }
        has_begun
    }

    /// Marks a session as searched for parts to hash. False if it is marked already: then no catcher has been dropped,
    /// failed, or kept from beginning since its last search.
    pub fn search(&self, scope: &Scope, session: &SessionId) -> bool {
        self.0.searched.insert(scope, session)
    }

    /// Whether [`Catchers::search`] would return false.
    pub fn has_searched(&self, scope: &Scope, session: &SessionId) -> bool {
        self.0.searched.contains(scope, session)
    }

    fn try_begin(&self, scope: &Scope, session: &SessionId, catcher: C) -> bool {
        let mut sessions = self.0.sessions.lock();
        let full = sessions.known.len() >= limits::CATCH_SESSIONS;
        let closed = sessions.closed;
        match sessions.known.entry((scope.clone(), session.clone())) {
            Entry::Occupied(mut there) if there.get().pauses == 0 && !closed => {
                there.get_mut().next = Some(catcher);
                true
            }
            Entry::Vacant(free) if !full && !closed => {
                let name = free.key().clone();
                let here = free.insert(Session { running: true, ..Session::default() });
                tokio::spawn(run(self.0.clone(), name, here.halt.clone(), catcher));
                true
            }
            Entry::Occupied(_) | Entry::Vacant(_) => false,
        }
    }

    /// Halts the catcher of a session, and lets none begin for it until the returned value is dropped.
    pub async fn pause(&self, scope: &Scope, session: &SessionId) -> Pause<C> {
        let name = (scope.clone(), session.clone());
        let pause = Pause { shared: self.0.clone(), name };
        {
            let mut sessions = self.0.sessions.lock();
            let there = sessions.known.entry(pause.name.clone()).or_default();
            there.pauses += 1;
            there.next = None;
            there.halt.notify_one();
        }
        let is_running = |sessions: &Sessions<C>| sessions.known.get(&pause.name).is_some_and(|there| there.running);
        self.0.sessions.until(|sessions| (!is_running(sessions)).then_some(())).await;
        // Parts that become due during the pause are missed.
        self.0.searched.remove(scope, session);
        pause
    }

    /// Halts all catchers, and returns when they have ended.
    pub async fn halt(&self) {
        self.0.sessions.lock().halt();
        self.idle().await;
    }

    /// Halts all catchers for good.
    pub fn close(&self) {
        let mut sessions = self.0.sessions.lock();
        sessions.closed = true;
        sessions.halt();
    }

    /// Returns when no catcher has work.
    pub async fn idle(&self) {
        self.0.sessions.until(|sessions| sessions.known.values().all(|there| !there.running).then_some(())).await;
    }
}

impl<C> Sessions<C> {
    fn halt(&mut self) {
        for session in self.known.values_mut() {
            session.next = None;
            session.halt.notify_one();
        }
    }
}

impl<C> Shared<C> {
    /// The next catcher of a session whose current one has no more work. Without a next one, the session's entry ends.
    fn next(&self, name: &Name) -> Option<C> {
        let mut sessions = self.sessions.lock();
        let next = sessions.known.get_mut(name).and_then(|there| there.next.take());
        if next.is_none() {
            self.end(&mut sessions, name);
        }
        next
    }

    fn end(&self, sessions: &mut Sessions<C>, name: &Name) {
        if let Some(there) = sessions.known.get_mut(name) {
            there.running = false;
            if there.pauses == 0 {
                sessions.known.remove(name);
            }
        }
        self.sessions.notify();
    }
}

async fn run<C: Catch>(shared: Arc<Shared<C>>, name: Name, halt: Arc<Notify>, catcher: C) {
    let mut running = Running { shared: &shared, name: &name, catcher: Some(catcher) };
    while let Some(catcher) = &mut running.catcher {
        let step = async {
            // In turns, so that a large session does not keep the others waiting.
            let _turn = shared.turns.acquire().await;
            catcher.step().await
        };
        let moved = tokio::select! {
            biased;
            () = halt.notified() => return,
            moved = step => moved,
        };
        if let Err(error) = &moved {
            shared.searched.remove(&name.0, &name.1);
            tracing::debug!(session = %name.1, error = %error.told(), "parts that arrived out of order are left to the assembly");
        }
        if !matches!(moved, Ok(true)) {
            running.catcher = shared.next(&name);
        }
    }
}

/// A catcher at work. If it is dropped with its catcher, the catcher was halted or has panicked.
struct Running<'a, C> {
    shared: &'a Shared<C>,
    name: &'a Name,
    catcher: Option<C>,
}

impl<C> Drop for Running<'_, C> {
    fn drop(&mut self) {
        if self.catcher.take().is_some() {
            self.shared.end(&mut self.shared.sessions.lock(), self.name);
        }
    }
}

/// A pause of a session: no catcher runs for the session until this is dropped.
pub struct Pause<C> {
    shared: Arc<Shared<C>>,
    name: Name,
}

impl<C> Drop for Pause<C> {
    fn drop(&mut self) {
        let mut sessions = self.shared.sessions.lock();
        if let Some(there) = sessions.known.get_mut(&self.name) {
            there.pauses -= 1;
            if there.pauses == 0 && !there.running {
                sessions.known.remove(&self.name);
            }
        }
    }
}

/// The sessions that were searched for parts to hash, and have missed none since. At most [`limits::CATCH_SESSIONS`].
#[derive(Default)]
struct Searched(Mutex<HashSet<Name>>);

impl Searched {
    fn lock(&self) -> MutexGuard<'_, HashSet<Name>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a session; false if it was present.
    fn insert(&self, scope: &Scope, session: &SessionId) -> bool {
        let mut searched = self.lock();
        if searched.len() >= limits::CATCH_SESSIONS {
            searched.clear();
        }
        searched.insert((scope.clone(), session.clone()))
    }

    /// Whether a session is present.
    fn contains(&self, scope: &Scope, session: &SessionId) -> bool {
        self.lock().contains(&(scope.clone(), session.clone()))
    }

    /// Removes a session: a part may have been missed.
    fn remove(&self, scope: &Scope, session: &SessionId) {
        self.lock().remove(&(scope.clone(), session.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Error;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    /// Takes as many steps as there are permits, and counts them.
    struct Counts {
        permits: Arc<Semaphore>,
        count: Arc<AtomicUsize>,
        steps: usize,
        fails: fn() -> Error,
    }

    impl Counts {
        fn new(steps: usize) -> Self {
            let (permits, count) = (Arc::new(Semaphore::new(0)), Arc::default());
            Counts { permits, count, steps, fails: || Error::NotFound }
        }

        /// Another catcher with the same counters.
        fn again(&self) -> Self {
            Counts { permits: self.permits.clone(), count: self.count.clone(), ..*self }
        }

        fn count(&self) -> usize {
            self.count.load(Ordering::SeqCst)
        }

        async fn counted(&self, count: usize) {
            while self.count() < count {
                tokio::task::yield_now().await;
            }
        }
    }

    #[async_trait]
    impl Catch for Counts {
        async fn step(&mut self) -> Result<bool> {
            self.permits.acquire().await.map_err(Error::internal)?.forget();
            self.count.fetch_add(1, Ordering::SeqCst);
            self.steps = self.steps.checked_sub(1).ok_or_else(self.fails)?;
            Ok(self.steps > 0)
        }
    }

    fn session(name: &str) -> (Scope, SessionId) {
        (Scope::root(), SessionId::parse(name).unwrap())
    }

    #[tokio::test]
    async fn one_at_a_time_and_the_next_after_it() {
        let (catchers, (scope, id)) = (Catchers::default(), session("s"));
        let (first, second, third) = (Counts::new(3), Counts::new(2), Counts::new(2));
        for catcher in [&first, &second, &third] {
            catcher.permits.add_permits(100);
            assert!(catchers.begin(&scope, &id, catcher.again()));
        }
        catchers.idle().await;
        assert_eq!([first.count(), second.count(), third.count()], [3, 0, 2], "the latest of those that waited");
        assert!(catchers.0.sessions.lock().known.is_empty(), "nothing is kept of those that have ended");
    }

    #[tokio::test]
    async fn a_pause_halts_it() {
        let (catchers, (scope, id)) = (Catchers::default(), session("s"));
        let counts = Counts::new(10);
        assert!(catchers.begin(&scope, &id, counts.again()));
        assert!(catchers.begin(&scope, &id, Counts::new(1)));
        counts.permits.add_permits(4);
        counts.counted(4).await;
        let pause = catchers.pause(&scope, &id).await;
        let second = catchers.pause(&scope, &id).await;
        counts.permits.add_permits(4);
        drop(pause);
        assert!(!catchers.begin(&scope, &id, counts.again()));
        catchers.idle().await;
        drop(second);
        assert!(catchers.begin(&scope, &id, counts.again()));
        counts.counted(8).await;
        catchers.halt().await;
        assert!(catchers.0.sessions.lock().known.is_empty());
        catchers.close();
        assert!(!catchers.begin(&scope, &id, counts.again()));
    }

    #[tokio::test]
    async fn few_work_at_once_and_more_wait_but_not_too_many() {
        let catchers = Catchers::default();
        let counts = Counts::new(2);
        let all: Vec<_> = (0..limits::CATCH_SESSIONS).map(|at| session(&format!("s{at}"))).collect();
        for (scope, id) in &all {
            assert!(catchers.begin(scope, id, counts.again()));
        }
        let (scope, id) = session("one-too-many");
        assert!(!catchers.begin(&scope, &id, counts.again()));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(catchers.0.turns.available_permits(), 0);
        counts.permits.add_permits(2 * all.len());
        catchers.idle().await;
        assert_eq!((counts.count(), catchers.0.turns.available_permits()), (2 * all.len(), limits::CATCHERS));
    }

    #[tokio::test]
    async fn one_that_fails_or_panics_ends_alone() {
        let (catchers, (scope, id)) = (Catchers::default(), session("s"));
        let fails = Counts::new(0);
        let panics = Counts { fails: || panic!("as it should"), ..Counts::new(0) };
        for catcher in [fails, panics] {
            catcher.permits.add_permits(1);
            assert!(catchers.begin(&scope, &id, catcher.again()));
            tokio::time::timeout(Duration::from_secs(10), catchers.idle()).await.expect("it has ended");
            assert_eq!(catcher.count(), 1);
        }
        assert_eq!(catchers.0.turns.available_permits(), limits::CATCHERS);
    }
}

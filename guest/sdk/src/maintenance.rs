//! Background work of a portal, which the host asks for on a timer: rounds of short steps.
//!
//! [`Sweep`] is a ready-made round. [`walk`] runs a portal's own phases, each a walk through a listing.
//!
//! Invariant: a step that fails, or whose host dies, leaves nothing half done, because the next round begins anew.

use crate::{Argument, Error, Result, Store, clock, orphans::PAGE};
use std::time::Duration;

pub use crate::bindings::exports::portico::storage::maintenance::Progress;
pub use crate::orphans::{CLOCKS_APART, ORPHAN_GRACE, Reviewed, note_orphan, review_orphans};

#[expect(clippy::derivable_impls, reason = "the type is generated")]
impl Default for Progress {
    fn default() -> Self {
        Progress { expired: 0, cleared: 0, purged: 0, open_sessions: 0, open_bytes: 0, next: None }
    }
}

/// A step of a round, as the host asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// About how long the step may take.
    pub budget: Duration,
    /// Where the step continues: the `next` of the step before; `None` at the beginning of a round.
    pub after: Option<String>,
}

impl Step {
    /// Creates a step as the host gives it, with a budget in milliseconds.
    #[must_use]
    pub fn new(budget_ms: u32, after: Option<String>) -> Self {
        Step { budget: Duration::from_millis(budget_ms.into()), after }
    }
}

/// A phase of a round: handles a page of a listing after a cursor, and returns the cursor of the next page.
pub type Phase<S> = fn(&mut S, Option<&str>) -> Result<Option<String>>;

/// Runs the phases of a round in order, each to the end of its listing, until the budget of the step is spent. Returns where
/// the next step continues; `None` at the end of the round. Each phase has a name without a colon, for the cursor of the round.
///
/// # Errors
/// `InvalidArgument(Cursor)` if the step continues at no position of this round; the error of a phase.
pub fn walk<S>(step: &Step, state: &mut S, phases: &[(&str, Phase<S>)]) -> Result<Option<String>> {
    let began = clock::monotonic();
    let (mut at, mut cursor) = match &step.after {
        None => (0, None),
        Some(after) => position(after, phases).ok_or(Error::InvalidArgument(Argument::Cursor))?,
    };
    while let Some((_, phase)) = phases.get(at) {
        cursor = phase(state, cursor.as_deref())?;
        if cursor.is_none() {
            at += 1;
        }
        if clock::monotonic() - began >= step.budget {
            break;
        }
    }
    Ok(phases.get(at).map(|(name, _)| format!("{name}:{}", cursor.unwrap_or_default())))
}

/// Returns the phase and its cursor at which a step continues.
fn position<S>(after: &str, phases: &[(&str, Phase<S>)]) -> Option<(usize, Option<String>)> {
    let (name, cursor) = after.split_once(':')?;
    let at = phases.iter().position(|(phase, _)| *phase == name)?;
    Some((at, Some(cursor.to_owned()).filter(|cursor| !cursor.is_empty())))
}

/// Decides whether a session may go on.
type IsOpen<'a> = dyn Fn(&str) -> Result<bool> + 'a;

/// A ready-made round: it removes the parts of sessions that the portal has given up, and forgets old tombstones.
///
/// A session is given up if the portal says so twice, at least [`ORPHAN_GRACE`] apart, because one look may be wrong, and
/// deleted parts cannot be restored. The first look leaves a record `orphans/SESSION`, so that any host can take the second.
///
/// ```
/// use portico_guest::{InputStream, PartOptions, memory::Host, maintenance::{ORPHAN_GRACE, Step, Sweep}};
///
/// let host = Host::new();
/// let store = host.store();
/// store.put_temp_part("left-behind", 1, InputStream::from("content"), PartOptions::new())?;
///
/// // Sessions of this portal end within a request.
/// let round = || host.run(|| Sweep::new(|_session| Ok(false)).run(&store, Step::new(1_000, None)));
/// assert_eq!(round()?.cleared, 0);
/// host.advance(ORPHAN_GRACE);
/// assert_eq!(round()?.cleared, 1);
/// assert!(host.parts().is_empty());
/// # Ok::<(), portico_guest::Error>(())
/// ```
pub struct Sweep<'a> {
    is_open: Box<IsOpen<'a>>,
    forget_after: Duration,
}

impl<'a> Sweep<'a> {
    /// Creates a round. `is_open` says whether a session with parts may go on; a portal whose sessions end within a request
    /// always returns false. Tombstones are forgotten after 30 days.
    pub fn new(is_open: impl Fn(&str) -> Result<bool> + 'a) -> Self {
        Sweep { is_open: Box::new(is_open), forget_after: Duration::from_secs(30 * 24 * 60 * 60) }
    }

    /// Sets the time for which a deleted or voided id reports `Gone`. Afterwards it is free again.
    #[must_use]
    pub fn forget_after(self, time: Duration) -> Self {
        Sweep { forget_after: time, ..self }
    }

    /// Runs a step of the round.
    ///
    /// # Errors
    /// Those of the store and of `is_open`; `InvalidArgument(Cursor)` for a step of another kind of round.
    pub fn run(&self, store: &Store, step: Step) -> Result<Progress> {
        let mut sweep = Sweeping { sweep: self, store, now_ms: clock::now_ms(), progress: Progress::default() };
        let phases: [(&str, Phase<Sweeping<'_, '_>>); 3] =
            [("parts", Sweeping::parts), ("orphans", Sweeping::orphans), ("tombstones", Sweeping::tombstones)];
        let next = walk(&step, &mut sweep, &phases)?;
        Ok(Progress { next, ..sweep.progress })
    }
}

impl std::fmt::Debug for Sweep<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweep").field("forget_after", &self.forget_after).finish_non_exhaustive()
    }
}

struct Sweeping<'s, 'a> {
    sweep: &'s Sweep<'a>,
    store: &'s Store,
    now_ms: u64,
    progress: Progress,
}

impl Sweeping<'_, '_> {
    fn parts(&mut self, after: Option<&str>) -> Result<Option<String>> {
        let page = self.store.list_temp_sessions(after, PAGE)?;
        for session in page.items {
            if (self.sweep.is_open)(&session)? {
                self.progress.open_sessions += 1;
                self.progress.open_bytes +=
                    self.store.parts(&session).map(|part| Ok(part?.size)).sum::<Result<u64>>()?;
            } else {
                note_orphan(self.store, &session, self.now_ms)?;
            }
        }
        Ok(page.next)
    }

    fn orphans(&mut self, after: Option<&str>) -> Result<Option<String>> {
        let is_orphan = |session: &str| Ok(!(self.sweep.is_open)(session)?);
        let reviewed = review_orphans(self.store, self.now_ms, after, is_orphan)?;
        self.progress.cleared += reviewed.cleared;
        Ok(reviewed.next)
    }

    fn tombstones(&mut self, after: Option<&str>) -> Result<Option<String>> {
        let age = u64::try_from(self.sweep.forget_after.as_millis()).unwrap_or(u64::MAX);
        let (purged, next) = self.store.purge_gone(self.now_ms.saturating_sub(age), after)?;
        self.progress.purged += purged;
        Ok(next)
    }
}

#[cfg(test)]
mod tests {
    use super::{CLOCKS_APART, ORPHAN_GRACE, Phase, Progress, Step, Sweep, walk};
    use crate::{Argument, Error, FinalOptions, InputStream, PartOptions, memory::Host};
    use std::time::Duration;

    type Seen = Vec<(&'static str, Option<String>)>;

    fn letters(seen: &mut Seen, after: Option<&str>) -> crate::Result<Option<String>> {
        seen.push(("letters", after.map(str::to_owned)));
        Ok(after.is_none().then(|| "a:b".to_owned()))
    }

    fn numbers(seen: &mut Seen, after: Option<&str>) -> crate::Result<Option<String>> {
        seen.push(("numbers", after.map(str::to_owned)));
        Ok(None)
    }

    const PHASES: &[(&str, Phase<Seen>)] = &[("letters", letters), ("numbers", numbers)];

    #[test]
    fn a_round_goes_through_all_phases_and_ends() {
        let mut seen = Vec::new();
        assert_eq!(walk(&Step::new(60_000, None), &mut seen, PHASES), Ok(None));
        assert_eq!(seen, [("letters", None), ("letters", Some("a:b".to_owned())), ("numbers", None)]);
    }

    #[test]
    fn a_step_without_a_budget_handles_a_page_and_continues_there() {
        let (mut seen, mut after) = (Vec::new(), None);
        for expected in [Some("letters:a:b"), Some("numbers:"), None] {
            after = walk(&Step::new(0, after), &mut seen, PHASES).unwrap();
            assert_eq!(after.as_deref(), expected);
        }
        assert_eq!(seen, [("letters", None), ("letters", Some("a:b".to_owned())), ("numbers", None)]);
    }

    #[test]
    fn a_position_of_another_round_is_refused() {
        for text in ["", "letters", "words:", ":"] {
            let step = Step::new(0, Some(text.to_owned()));
            let refused = Err(Error::InvalidArgument(Argument::Cursor));
            assert_eq!(walk(&step, &mut Vec::new(), PHASES), refused, "{text}");
        }
    }

    fn round(host: &Host, is_open: fn(&str) -> crate::Result<bool>) -> Progress {
        let sweep = Sweep::new(is_open).forget_after(Duration::from_secs(60));
        host.run(|| sweep.run(&host.store(), Step::new(60_000, None))).unwrap()
    }

    #[test]
    fn open_sessions_are_counted_and_stay() {
        let host = Host::new();
        for (session, size) in [("open", 3), ("closed", 5)] {
            let content = InputStream::from(vec![0; size]);
            host.store().put_temp_part(session, 1, content, PartOptions::new()).unwrap();
        }
        for cleared in [0, 1, 0] {
            let progress = round(&host, |session| Ok(session == "open"));
            assert_eq!((progress.cleared, progress.open_sessions, progress.open_bytes), (cleared, 1, 3));
            host.advance(ORPHAN_GRACE);
        }
        assert_eq!(host.parts().into_values().collect::<Vec<_>>(), [[0; 3]]);
        assert_eq!(host.store().records("").count(), 0, "no note stays");
    }

    #[test]
    fn a_session_that_was_missed_once_is_kept() {
        let host = Host::new();
        host.store().put_temp_part("session", 1, InputStream::from("a"), PartOptions::new()).unwrap();
        assert_eq!(round(&host, |_| Ok(false)).cleared, 0);
        assert_eq!(host.store().records("orphans/").count(), 1);
        assert_eq!(round(&host, |_| Ok(true)).open_sessions, 1);
        assert_eq!(host.store().records("orphans/").count(), 0);
        host.advance(ORPHAN_GRACE);
        assert_eq!(round(&host, |_| Ok(false)).cleared, 0, "the first look counts anew");
        assert_eq!(host.parts().len(), 1);
        assert!(CLOCKS_APART < ORPHAN_GRACE);
    }

    #[test]
    fn tombstones_are_forgotten_after_their_time() {
        let host = Host::new();
        let store = host.store();
        let object = store.put_final("file", InputStream::from("a"), FinalOptions::new()).unwrap();
        store.delete_final(&object.bucket, &object.key).unwrap();
        assert_eq!(round(&host, |_| Ok(false)).purged, 0);
        assert_eq!(store.stat_final("file"), Err(Error::Gone { reason: "deleted".into() }));
        host.advance(Duration::from_secs(61));
        assert_eq!(round(&host, |_| Ok(false)).purged, 1);
        assert_eq!(store.stat_final("file"), Err(Error::NotFound));
    }
}

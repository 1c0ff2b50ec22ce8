//! Checks that an order explains the history of a life, name by name.

use crate::content::Stamp;
use crate::history::{Assembly, At, Entry, Excuse, Id, Inner};
use crate::linear::{Event, State, explains};
use crate::names::{File, Names, Rec, Slot};
use crate::spec::{FileAct, FileState, RecordAct, SlotAct, SlotState};
use crate::truth::Truth;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// An act and its call.
type Noted<A> = (Id, Event<A>);

/// The events of a life at each name.
#[derive(Default)]
struct Events {
    slots: BTreeMap<Slot, Vec<Noted<SlotAct>>>,
    files: BTreeMap<File, Vec<Noted<FileAct>>>,
    records: BTreeMap<Rec, Vec<Noted<RecordAct>>>,
}

/// A life that has ended.
pub(crate) struct Life<'a> {
    pub(crate) names: &'a Names,
    /// The state before it.
    pub(crate) start: &'a Truth,
    /// The state after it.
    pub(crate) found: &'a Truth,
    /// The time of its end.
    pub(crate) over: u64,
    /// Whether parts always go together with the object that is made of them.
    pub(crate) atomic: bool,
}

impl Life<'_> {
    /// Compares the state after the life with its history. Returns the contradictions.
    pub(crate) fn check(&self, history: &mut Inner) -> Vec<String> {
        let mut problems = std::mem::take(&mut history.wrong);
        problems.extend(self.found.wrong.iter().cloned());
        let (call, end) = (history.tick(), Some(history.tick()));
        let acts = self.found.acts(self.names);
        history.entries.insert(Id::MAX, Entry { what: "opened again".to_owned(), call, end, acts, ..Entry::default() });

        let events = self.events(history);
        for (slot, acts) in &events.slots {
            explain(&format!("{slot:?}"), &self.start.slot(slot), acts, history, &mut problems);
        }
        for (file, acts) in &events.files {
            explain(&format!("{file:?}"), &self.start.file(file), acts, history, &mut problems);
        }
        for (record, acts) in &events.records {
            explain(&format!("{record:?}"), &self.start.record(record), acts, history, &mut problems);
        }
        self.look_for_excuses(history, &events, &mut problems);
        problems
    }

    /// The acts of all calls, at their names.
    fn events(&self, history: &Inner) -> Events {
        let known = makers_seen(history);
        let mut events = Events::default();
        for (id, entry) in &history.entries {
            if let Some(Excuse::OtherAssembly(sessions)) = &entry.excuse
                && self.overlaps(history, *id, entry, |other| {
                    other.assembly.is_some() && other.ends_puts.iter().any(|session| sessions.contains(session))
                })
            {
                continue;
            }
            for at in &entry.acts {
                let mut happened = entry.end.is_some();
                if let (None, Some(assembly), At::Slot(..)) = (entry.end, &entry.assembly, at) {
                    match self.took_parts(*id, assembly, &known) {
                        Some(took) => happened = took && self.atomic,
                        None => continue,
                    }
                }
                if let (None, Some((slot, stamp)), At::Slot(_, SlotAct::Ended { .. })) = (entry.end, &entry.join, at)
                    && !self.may_have_joined(history, *id, slot, stamp)
                {
                    continue;
                }
                add(&mut events, history, *id, entry, at, happened, self.over);
            }
        }
        events
    }

    /// Whether an assembly that never returned has used up its parts: it must have, it may have, or, with no object to
    /// show for it, it may not have (`None`).
    fn took_parts(&self, id: Id, assembly: &Assembly, known: &BTreeSet<Id>) -> Option<bool> {
        match self.found.file(&assembly.file) {
            _ if known.contains(&id) => Some(true),
            FileState::Object { .. } if assembly.may_replay => Some(false),
            FileState::Gone { reason } if reason == "deleted" => Some(false),
            _ => None,
        }
    }

    /// Whether a join that never returned may have used up its parts: its part exists, or another call may have taken
    /// that part away.
    fn may_have_joined(&self, history: &Inner, id: Id, slot: &Slot, stamp: &Stamp) -> bool {
        let takes = |at: &At| matches!(at, At::Slot(there, SlotAct::Cleared | SlotAct::Taken { .. } | SlotAct::Ended { .. }) if there == slot);
        matches!(self.found.slot(slot), SlotState::Part { stamp: there, .. } if there == *stamp)
            || history.entries.iter().any(|(other, entry)| *other != id && entry.acts.iter().any(takes))
    }

    /// Whether the excuse of an answer holds.
    fn look_for_excuses(&self, history: &Inner, events: &Events, problems: &mut Vec<String>) {
        for (id, entry) in &history.entries {
            let excused = match &entry.excuse {
                None | Some(Excuse::OtherAssembly(_)) => true,
                Some(Excuse::Interrupted(session)) => {
                    self.overlaps(history, *id, entry, |other| other.ends_puts.contains(session))
                }
                Some(Excuse::OneOf(acts)) => acts.iter().any(|at| self.could_be(entry, at, events)),
            };
            if !excused {
                problems.push(format!("#{id} {}: nothing excuses the answer: {}", entry.what, entry.answer));
            }
        }
    }

    fn overlaps(&self, history: &Inner, id: Id, entry: &Entry, other: impl Fn(&Entry) -> bool) -> bool {
        let end = entry.end.unwrap_or(self.over);
        history.entries.iter().any(|(there, with)| {
            *there != id && with.call < end && with.end.unwrap_or(self.over) > entry.call && other(with)
        })
    }

    /// Whether an act fits among the others at its name.
    fn could_be(&self, entry: &Entry, at: &At, events: &Events) -> bool {
        let At::Slot(slot, act) = at else { return false };
        let mut all = events.slots.get(slot).map(|noted| plain(noted)).unwrap_or_default();
        all.push(Event { call: entry.call, end: entry.end.unwrap_or(self.over), happened: true, act: act.clone() });
        explains(&self.start.slot(slot), &all)
    }
}

fn add(events: &mut Events, history: &Inner, id: Id, entry: &Entry, at: &At, happened: bool, over: u64) {
    fn event<A>(entry: &Entry, act: A, happened: bool, over: u64) -> Event<A> {
        Event { call: entry.call, end: entry.end.unwrap_or(over), happened, act }
    }
    match at.clone() {
        At::Slot(slot, mut act) => {
            if let SlotAct::Replayed { token, answered, .. }
            | SlotAct::Seen { token, answered, .. }
            | SlotAct::Listed { token, answered, .. }
            | SlotAct::Taken { token, answered }
            | SlotAct::Used { token, answered } = &mut act
            {
                *answered = history.is_answered(token);
            }
            events.slots.entry(slot).or_default().push((id, event(entry, act, happened, over)));
        }
        At::File(file, act) => {
            events.files.entry(file).or_default().push((id, event(entry, act, happened, over)));
        }
        At::Record(record, act) => {
            events.records.entry(record).or_default().push((id, event(entry, act, happened, over)));
        }
    }
}

/// The operations whose object was observed.
fn makers_seen(history: &Inner) -> BTreeSet<Id> {
    let acts = history.entries.values().filter(|entry| entry.end.is_some()).flat_map(|entry| &entry.acts);
    acts.filter_map(|at| match at {
        At::File(_, FileAct::Seen { maker, .. }) => Some(*maker),
        _ => None,
    })
    .collect()
}

fn explain<S: State>(name: &str, start: &S, noted: &[Noted<S::Act>], history: &Inner, problems: &mut Vec<String>)
where
    S::Act: Clone,
{
    if !explains(start, &plain(noted)) {
        problems.push(story(name, start, noted, history));
    }
}

fn plain<A: Clone>(noted: &[Noted<A>]) -> Vec<Event<A>> {
    let event = |(_, event): &Noted<A>| Event { act: event.act.clone(), ..*event };
    noted.iter().map(event).collect()
}

/// The events at a name, for a person.
fn story<S: Debug, A: Debug>(name: &str, start: &S, noted: &[Noted<A>], history: &Inner) -> String {
    let mut lines = vec![format!("no order explains what happened at {name}, which was {start:?}:")];
    let mut noted: Vec<_> = noted.iter().collect();
    noted.sort_by_key(|(_, event)| event.call);
    for (id, event) in noted {
        let entry = &history.entries[id];
        let answer = if entry.end.is_some() { entry.answer.as_str() } else { "never answered" };
        let sure = if event.happened { "" } else { "perhaps " };
        lines.push(format!(
            "  {}..{} #{id} {}: {answer}\n      {sure}{:?}",
            event.call, event.end, entry.what, event.act
        ));
    }
    lines.join("\n")
}

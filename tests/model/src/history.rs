//! The calls, their times and their answers.

use crate::content::{Content, Stamp};
use crate::faults::Faults;
use crate::names::{File, Rec, Session, Slot};
use crate::spec::{FileAct, RecordAct, SlotAct};
use bytes::Bytes;
use portico_store::{Digest, FinalKey, TempKey};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// An act at a name.
#[derive(Clone, Debug)]
pub(crate) enum At {
    Slot(Slot, SlotAct),
    File(File, FileAct),
    Record(Rec, RecordAct),
}

/// One call.
#[derive(Default)]
pub(crate) struct Entry {
    /// The call, for a person.
    pub(crate) what: String,
    /// The answer, for a person.
    pub(crate) answer: String,
    /// The time of the call.
    pub(crate) call: u64,
    /// The time of the answer; `None` if none came.
    pub(crate) end: Option<u64>,
    /// The acts that the answer reports; without an answer, the acts that may have happened.
    pub(crate) acts: Vec<At>,
    /// Sessions whose running puts the call ends.
    pub(crate) ends_puts: Vec<Session>,
    /// The object and parts of an assembly.
    pub(crate) assembly: Option<Assembly>,
    /// The new part of a join.
    pub(crate) join: Option<(Slot, Stamp)>,
    /// What excuses the answer, beside its acts.
    pub(crate) excuse: Option<Excuse>,
    /// The host that continues the call in the background. The work is done when that host is idle, unless the host has
    /// died.
    pub(crate) later: Option<Arc<Faults>>,
}

impl Entry {
    /// The call for a person.
    pub(crate) fn tell(&self, id: Id) -> String {
        let end = self.end.map(|end| end.to_string()).unwrap_or_default();
        let answer = if self.end.is_some() { self.answer.as_str() } else { "never answered" };
        format!("  {}..{end} #{id} {}: {answer}", self.call, self.what)
    }
}

/// An assembly, for the relation between its parts and its object.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    pub(crate) file: File,
    /// The object may exist already, made by another call.
    pub(crate) may_replay: bool,
}

/// A condition under which an answer is right.
#[derive(Clone, Debug)]
pub(crate) enum Excuse {
    /// A call ended the puts of that session meanwhile.
    Interrupted(Session),
    /// An assembly of one of those sessions ran meanwhile; otherwise the acts hold.
    OtherAssembly(Vec<Session>),
    /// At least one of those acts.
    OneOf(Vec<At>),
}

/// The number of a call, and of what the call makes.
pub(crate) type Id = u64;

/// The history of one life of the store, and the known facts of earlier lives.
#[derive(Default)]
pub(crate) struct History(Mutex<Inner>);

#[derive(Default)]
pub(crate) struct Inner {
    clock: u64,
    /// The calls of this life.
    pub(crate) entries: BTreeMap<Id, Entry>,
    next: Id,
    /// Contradictions in any order.
    pub(crate) wrong: Vec<String>,
    /// Tokens that puts returned in all lives, with their content.
    answered: HashMap<String, (Slot, Stamp)>,
    /// Tokens that other calls observed.
    seen: HashMap<String, (Slot, Stamp)>,
    versions: HashMap<String, Id>,
    /// Contents that were sent or assembled.
    contents: HashMap<Digest, Bytes>,
    /// Keys of parts, latest last.
    keys: HashMap<Slot, Vec<TempKey>>,
    record_versions: HashMap<Rec, Vec<String>>,
    final_keys: HashMap<File, FinalKey>,
}

impl Inner {
    /// Returns a time later than all before.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Whether the put of a write has returned.
    pub(crate) fn is_answered(&self, token: &str) -> bool {
        self.answered.contains_key(token)
    }
}

impl History {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a call; `entry` says what it may do if it never returns.
    pub(crate) fn call(&self, mut entry: Entry) -> Id {
        let mut inner = self.lock();
        entry.call = inner.tick();
        inner.next += 1;
        let id = inner.next;
        inner.entries.insert(id, entry);
        id
    }

    /// Reserves a number for a call that [`History::call_as`] records later.
    pub(crate) fn reserve(&self) -> Id {
        let mut inner = self.lock();
        inner.next += 1;
        inner.next
    }

    /// Records a call under a reserved number.
    pub(crate) fn call_as(&self, id: Id, mut entry: Entry) {
        let mut inner = self.lock();
        entry.call = inner.tick();
        inner.entries.insert(id, entry);
    }

    /// Records the acts that a call may have done from now on if it never returns.
    pub(crate) fn may_do(&self, id: Id, acts: Vec<At>) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.acts = acts;
        }
    }

    /// The current time.
    pub(crate) fn now(&self) -> u64 {
        self.lock().tick()
    }

    /// Records an answer at a time, and the acts that it reports.
    pub(crate) fn answer_at(&self, id: Id, end: u64, answer: String, acts: Vec<At>, excuse: Option<Excuse>) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.end = Some(end);
            entry.answer = answer;
            entry.acts = acts;
            entry.excuse = excuse;
        }
    }

    /// Records an answer.
    pub(crate) fn answer(&self, id: Id, answer: String, acts: Vec<At>) {
        let now = self.now();
        self.answer_at(id, now, answer, acts, None);
    }

    /// Records the acts that a call continues after its answer, from when on, and on which host.
    pub(crate) fn goes_on(&self, id: Id, acts: Vec<At>, host: &Arc<Faults>) {
        self.beside(id, acts, Some(host.clone()));
    }

    /// Records acts of a call that its answer does not report.
    pub(crate) fn may_have_done(&self, id: Id, acts: Vec<At>) {
        self.beside(id, acts, None);
    }

    fn beside(&self, id: Id, acts: Vec<At>, later: Option<Arc<Faults>>) {
        let beside = self.reserve();
        let mut inner = self.lock();
        let Some(of) = inner.entries.get(&id) else { return };
        let (what, call) = (format!("beside #{id}"), of.call);
        inner.entries.insert(beside, Entry { what, call, acts, later, ..Entry::default() });
    }

    /// Records that all hosts are idle.
    pub(crate) fn settled(&self) {
        let mut inner = self.lock();
        let now = inner.tick();
        for entry in inner.entries.values_mut().filter(|entry| entry.end.is_none()) {
            if entry.later.as_ref().is_some_and(|host| !host.is_dead()) {
                entry.end = Some(now);
                entry.answer = "settled".to_owned();
            }
        }
    }

    /// Records an answer that is wrong in any order.
    pub(crate) fn wrong(&self, id: Id, why: impl std::fmt::Display) {
        let mut inner = self.lock();
        let what = inner.entries.get(&id).map(|entry| entry.what.clone()).unwrap_or_default();
        inner.wrong.push(format!("#{id} {what}: {why}"));
    }

    /// Records the token that a put returned.
    pub(crate) fn stored(&self, id: Id, slot: &Slot, key: &TempKey, stamp: Stamp) {
        let mut inner = self.lock();
        if inner.answered.insert(key.token.to_string(), (slot.clone(), stamp)).is_some() {
            inner.wrong.push(format!("#{id} the token {} was given to two writes", key.token));
        }
        drop(inner);
        self.saw_key(slot, key);
    }

    /// Records an observed key.
    pub(crate) fn saw_key(&self, slot: &Slot, key: &TempKey) {
        let mut inner = self.lock();
        let keys = inner.keys.entry(slot.clone()).or_default();
        keys.retain(|there| there != key);
        keys.push(key.clone());
    }

    /// Records the content that a read found of a write.
    pub(crate) fn saw_content(&self, id: Id, slot: &Slot, token: &str, stamp: Stamp) {
        let mut inner = self.lock();
        let before = inner.seen.insert(token.to_owned(), (slot.clone(), stamp));
        if before.is_some_and(|before| before != (slot.clone(), stamp)) {
            inner.wrong.push(format!("#{id} the write {token} has two contents"));
        }
    }

    /// The content of a write, if it is known.
    pub(crate) fn content_of(&self, token: &str) -> Option<Content> {
        let inner = self.lock();
        let (_, stamp) = inner.answered.get(token).or_else(|| inner.seen.get(token))?;
        Some(Content { bytes: inner.contents.get(&stamp.sha256)?.clone(), stamp: *stamp })
    }

    /// Records content that is sent.
    pub(crate) fn sends(&self, content: &Content) {
        self.lock().contents.insert(content.stamp.sha256, content.bytes.clone());
    }

    /// Content that was sent or assembled.
    pub(crate) fn content(&self, stamp: &Stamp) -> Option<Bytes> {
        self.lock().contents.get(&stamp.sha256).cloned()
    }

    /// The observed keys of a part number, latest last.
    pub(crate) fn keys(&self, slot: &Slot) -> Vec<TempKey> {
        self.lock().keys.get(slot).cloned().unwrap_or_default()
    }

    /// Records a returned or observed version, with the call that wrote it.
    pub(crate) fn saw_version(&self, id: Id, record: &Rec, version: &str, writer: Id) {
        let mut inner = self.lock();
        if inner.versions.insert(version.to_owned(), writer).is_some_and(|before| before != writer) {
            inner.wrong.push(format!("#{id} the version {version} was given to two writes"));
        }
        let versions = inner.record_versions.entry(record.clone()).or_default();
        versions.retain(|there| there != version);
        versions.push(version.to_owned());
    }

    /// Records the location of an object.
    pub(crate) fn saw_final(&self, file: &File, key: &FinalKey) {
        self.lock().final_keys.insert(file.clone(), key.clone());
    }

    /// The observed location of an object, past or present.
    pub(crate) fn final_key(&self, file: &File) -> Option<FinalKey> {
        self.lock().final_keys.get(file).cloned()
    }

    /// The observed versions of a record, latest last.
    pub(crate) fn versions(&self, record: &Rec) -> Vec<String> {
        self.lock().record_versions.get(record).cloned().unwrap_or_default()
    }
}

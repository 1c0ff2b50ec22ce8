//! What was called, when, and what was answered.

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
    /// What was called, for a person.
    pub(crate) what: String,
    /// What it answered, for a person.
    pub(crate) answer: String,
    /// When it was called.
    pub(crate) call: u64,
    /// When it had answered; `None` if it never did.
    pub(crate) end: Option<u64>,
    /// What it did or saw, if it answered; else what it may have done.
    pub(crate) acts: Vec<At>,
    /// Sessions whose running puts it ends.
    pub(crate) ends_puts: Vec<Session>,
    /// What it assembles.
    pub(crate) assembly: Option<Assembly>,
    /// What its answer is excused by, beside its acts.
    pub(crate) excuse: Option<Excuse>,
    /// The host that does it in the background, and has done it when that is settled, unless it has died.
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

/// An assembly, for what its parts and its object have to do with each other.
#[derive(Clone, Debug)]
pub(crate) struct Assembly {
    pub(crate) file: File,
    /// It may have found its object there, made by another.
    pub(crate) may_replay: bool,
}

/// What must have been so for an answer to be right.
#[derive(Clone, Debug)]
pub(crate) enum Excuse {
    /// Something ended the puts of that session meanwhile.
    Interrupted(Session),
    /// An assembly of one of those sessions went on meanwhile; else the acts hold.
    OtherAssembly(Vec<Session>),
    /// At least one of those acts.
    OneOf(Vec<At>),
}

/// The number of a call, and of what it makes.
pub(crate) type Id = u64;

/// The history of one life of the store, and what is known of earlier ones.
#[derive(Default)]
pub(crate) struct History(Mutex<Inner>);

#[derive(Default)]
pub(crate) struct Inner {
    clock: u64,
    /// The calls of this life.
    pub(crate) entries: BTreeMap<Id, Entry>,
    next: Id,
    /// What can't be, whatever the order.
    pub(crate) wrong: Vec<String>,
    /// Tokens that puts have answered, of all lives, with their content.
    answered: HashMap<String, (Slot, Stamp)>,
    /// Tokens that others saw.
    seen: HashMap<String, (Slot, Stamp)>,
    versions: HashMap<String, Id>,
    /// Contents that somebody sent or assembled.
    contents: HashMap<Digest, Bytes>,
    /// Keys of parts, latest last.
    keys: HashMap<Slot, Vec<TempKey>>,
    record_versions: HashMap<Rec, Vec<String>>,
    final_keys: HashMap<File, FinalKey>,
}

impl Inner {
    /// A moment later than all before.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Whether the put that made a write has answered.
    pub(crate) fn is_answered(&self, token: &str) -> bool {
        self.answered.contains_key(token)
    }
}

impl History {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes a call; `entry` says what it may do if it never answers.
    pub(crate) fn call(&self, mut entry: Entry) -> Id {
        let mut inner = self.lock();
        entry.call = inner.tick();
        inner.next += 1;
        let id = inner.next;
        inner.entries.insert(id, entry);
        id
    }

    /// A number for a call that is noted afterwards by [`History::call_as`].
    pub(crate) fn reserve(&self) -> Id {
        let mut inner = self.lock();
        inner.next += 1;
        inner.next
    }

    /// Notes a call under a reserved number.
    pub(crate) fn call_as(&self, id: Id, mut entry: Entry) {
        let mut inner = self.lock();
        entry.call = inner.tick();
        inner.entries.insert(id, entry);
    }

    /// Notes what a call may have done from here on if it never answers.
    pub(crate) fn may_do(&self, id: Id, acts: Vec<At>) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.acts = acts;
        }
    }

    /// This moment.
    pub(crate) fn now(&self) -> u64 {
        self.lock().tick()
    }

    /// Notes an answer that came at a moment, and what it says was done or seen.
    pub(crate) fn answer_at(&self, id: Id, end: u64, answer: String, acts: Vec<At>, excuse: Option<Excuse>) {
        if let Some(entry) = self.lock().entries.get_mut(&id) {
            entry.end = Some(end);
            entry.answer = answer;
            entry.acts = acts;
            entry.excuse = excuse;
        }
    }

    /// Notes an answer.
    pub(crate) fn answer(&self, id: Id, answer: String, acts: Vec<At>) {
        let now = self.now();
        self.answer_at(id, now, answer, acts, None);
    }

    /// Notes what a call goes on to do after its answer, since when it may have done it, and on which host.
    pub(crate) fn goes_on(&self, id: Id, acts: Vec<At>, host: &Arc<Faults>) {
        self.beside(id, acts, Some(host.clone()));
    }

    /// Notes what a call may have done that its answer does not tell.
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

    /// Notes that all hosts have settled.
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

    /// Notes an answer that can't be right, whatever the order.
    pub(crate) fn wrong(&self, id: Id, why: impl std::fmt::Display) {
        let mut inner = self.lock();
        let what = inner.entries.get(&id).map(|entry| entry.what.clone()).unwrap_or_default();
        inner.wrong.push(format!("#{id} {what}: {why}"));
    }

    /// Notes the token that a put answered.
    pub(crate) fn stored(&self, id: Id, slot: &Slot, key: &TempKey, stamp: Stamp) {
        let mut inner = self.lock();
        if inner.answered.insert(key.token.to_string(), (slot.clone(), stamp)).is_some() {
            inner.wrong.push(format!("#{id} the token {} was given to two writes", key.token));
        }
        drop(inner);
        self.saw_key(slot, key);
    }

    /// Notes a key that somebody saw.
    pub(crate) fn saw_key(&self, slot: &Slot, key: &TempKey) {
        let mut inner = self.lock();
        let keys = inner.keys.entry(slot.clone()).or_default();
        keys.retain(|there| there != key);
        keys.push(key.clone());
    }

    /// Notes the content that somebody read of a write.
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

    /// Notes content that somebody sends.
    pub(crate) fn sends(&self, content: &Content) {
        self.lock().contents.insert(content.stamp.sha256, content.bytes.clone());
    }

    /// Content that somebody sent or assembled.
    pub(crate) fn content(&self, stamp: &Stamp) -> Option<Bytes> {
        self.lock().contents.get(&stamp.sha256).cloned()
    }

    /// The keys seen of a part number, latest last.
    pub(crate) fn keys(&self, slot: &Slot) -> Vec<TempKey> {
        self.lock().keys.get(slot).cloned().unwrap_or_default()
    }

    /// Notes a version that a write answered or somebody saw, with the call that wrote it.
    pub(crate) fn saw_version(&self, id: Id, record: &Rec, version: &str, writer: Id) {
        let mut inner = self.lock();
        if inner.versions.insert(version.to_owned(), writer).is_some_and(|before| before != writer) {
            inner.wrong.push(format!("#{id} the version {version} was given to two writes"));
        }
        let versions = inner.record_versions.entry(record.clone()).or_default();
        versions.retain(|there| there != version);
        versions.push(version.to_owned());
    }

    /// Notes where an object is.
    pub(crate) fn saw_final(&self, file: &File, key: &FinalKey) {
        self.lock().final_keys.insert(file.clone(), key.clone());
    }

    /// Where an object is or was, if somebody saw it.
    pub(crate) fn final_key(&self, file: &File) -> Option<FinalKey> {
        self.lock().final_keys.get(file).cloned()
    }

    /// The versions seen of a record, latest last.
    pub(crate) fn versions(&self, record: &Rec) -> Vec<String> {
        self.lock().record_versions.get(record).cloned().unwrap_or_default()
    }
}

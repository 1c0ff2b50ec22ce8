//! What a store says that it holds, while nothing runs: all of it, read to the end, and looked at from several sides.

use crate::content::{Stamp, drain, writer_of};
use crate::history::{At, Id};
use crate::names::{File, NUMBERS, Names, Rec, Slot};
use crate::spec::{FileAct, FileState, RecordAct, RecordState, SlotAct, SlotState, Write};
use portico_store::{
    Backend, ByteRange, Cursor, Error, FileId, FinalReceipt, ListedPart, Page, PartReceipt, Record, RecordName, Result,
    Scope, SessionId, limits,
};
use std::collections::{BTreeMap, BTreeSet};

/// What a store holds.
#[derive(Default)]
pub struct Truth {
    /// The parts, with their content.
    pub parts: BTreeMap<(Scope, SessionId, u32), (PartReceipt, Vec<u8>)>,
    /// The final objects, with their content.
    pub finals: BTreeMap<(Scope, FileId), (FinalReceipt, Vec<u8>)>,
    /// The records.
    pub records: BTreeMap<(Scope, RecordName), Record>,
    /// Where the sides contradict each other.
    pub wrong: Vec<String>,
    gone: BTreeMap<File, String>,
}

impl Truth {
    /// Reads all that a store has in these scopes, while nothing runs.
    ///
    /// # Errors
    /// Those of the store; what is there can't be read then.
    pub async fn read(store: &dyn Backend, scopes: &[Scope]) -> Result<Truth> {
        let mut truth = Truth::default();
        for scope in scopes {
            truth.read_parts(store, scope).await?;
            truth.read_finals(store, scope).await?;
            truth.read_records(store, scope).await?;
        }
        Ok(truth)
    }

    /// Reads all that a store has, of which these are all names.
    pub(crate) async fn of(store: &dyn Backend, names: &Names) -> Result<Truth> {
        let mut truth = Truth::read(store, &names.scopes).await?;
        for file in &names.files {
            truth.read_tombstone(store, file).await?;
        }
        truth.look_for_strangers(names);
        Ok(truth)
    }

    async fn read_parts(&mut self, store: &dyn Backend, scope: &Scope) -> Result<()> {
        let sessions = self
            .pages(format!("sessions of {scope}"), async |after, limit| store.list_sessions(scope, after, limit).await);
        for session in sessions.await? {
            let parts = self.pages(format!("parts of {scope}:{session}"), async |after, limit| {
                let Page { entries, next } = store.list_parts(scope, &session, after, limit).await?;
                // A listing may leave offsets out, which depends on its length.
                Ok(Page {
                    entries: entries.into_iter().map(|part| ListedPart { offset: None, ..part }).collect(),
                    next,
                })
            });
            let parts = parts.await?;
            if parts.is_empty() {
                self.wrong.push(format!("session {scope}:{session} is listed and has no parts"));
            }
            for ListedPart { key, size, .. } in parts {
                let part = store.stat_part(scope, &key).await?;
                if (&part.key, part.size) != (&key, size) {
                    self.wrong.push(format!("{key} of {size} bytes is listed, and its receipt is {part:?}"));
                }
                let mut stream = store.read_part(scope, &part.key, ByteRange::default()).await?;
                let content = drain(&mut *stream, &mut fastrand::Rng::with_seed(0)).await?;
                let stamp = Stamp::of(&content);
                if stamp.size != part.size || part.sha256.is_some_and(|sha256| sha256 != stamp.sha256) {
                    self.wrong.push(format!("{part:?} has content {stamp:?}"));
                }
                self.parts.insert((scope.clone(), session.clone(), part.key.number), (part, content));
            }
        }
        Ok(())
    }

    async fn read_finals(&mut self, store: &dyn Backend, scope: &Scope) -> Result<()> {
        let finals =
            self.pages(format!("finals of {scope}"), async |after, limit| store.list_finals(scope, after, limit).await);
        let finals = finals.await?;
        let receipts = store.stat_finals(scope, &finals).await?;
        for (file, receipt) in finals.into_iter().zip(receipts) {
            let reader = store.open_final(scope, &file).await?;
            let opened = reader.receipt().clone();
            if receipt.as_ref() != Some(&opened) {
                self.wrong.push(format!("{opened:?} was opened, and its receipt is {receipt:?}"));
            }
            let receipt = opened;
            let mut stream = reader.stream(ByteRange::default()).await?;
            let content = drain(&mut *stream, &mut fastrand::Rng::with_seed(0)).await?;
            if Stamp::of(&content) != Stamp::from(&receipt) {
                self.wrong.push(format!("{receipt:?} has content {:?}", Stamp::of(&content)));
            }
            let stated = store.stat_final(scope, &receipt.file).await?;
            if stated != receipt {
                self.wrong.push(format!("{receipt:?} was opened, and its receipt is {stated:?}"));
            }
            self.finals.insert((scope.clone(), receipt.file.clone()), (receipt, content));
        }
        Ok(())
    }

    async fn read_tombstone(&mut self, store: &dyn Backend, file: &File) -> Result<()> {
        let listed = self.finals.contains_key(&(file.0.clone(), file.1.clone()));
        match store.stat_final(&file.0, &file.1).await {
            Ok(_) if listed => {}
            Ok(receipt) => self.wrong.push(format!("{receipt:?} is not listed")),
            Err(Error::NotFound) => {}
            Err(Error::Gone(reason)) => {
                self.gone.insert(file.clone(), reason);
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn read_records(&mut self, store: &dyn Backend, scope: &Scope) -> Result<()> {
        let records = self.pages(format!("records of {scope}"), async |after, limit| {
            store.list_records(scope, "", after, limit).await
        });
        for name in records.await? {
            let record = store.get_record(scope, &name).await?;
            self.records.insert((scope.clone(), name), record);
        }
        Ok(())
    }

    /// A whole listing, by long pages; by short ones it must be the same.
    async fn pages<T: PartialEq + std::fmt::Debug>(
        &mut self,
        what: String,
        page: impl AsyncFn(Option<&Cursor>, u32) -> Result<Page<T>>,
    ) -> Result<Vec<T>> {
        let mut listings = Vec::new();
        for limit in [limits::PAGE_MAX, 2, 1] {
            let mut entries = Vec::new();
            let mut after = None;
            loop {
                let page = page(after.as_ref(), limit).await?;
                entries.extend(page.entries);
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            listings.push(entries);
        }
        if listings[0] != listings[1] || listings[0] != listings[2] {
            self.wrong.push(format!("{what} depend on the length of the pages: {listings:?}"));
        }
        Ok(listings.swap_remove(0))
    }

    /// Whatever nobody made.
    fn look_for_strangers(&mut self, names: &Names) {
        let slots: BTreeSet<_> = names.slots().map(|slot| (slot.0.0, slot.0.1, slot.1)).collect();
        let files: BTreeSet<_> = names.files.iter().map(|file| (file.0.clone(), file.1.clone())).collect();
        let records: BTreeSet<_> = names.records.iter().map(|record| (record.0.clone(), record.1.clone())).collect();
        let parts = self.parts.keys().filter(|key| !slots.contains(key)).map(|key| format!("{key:?}"));
        let finals = self.finals.keys().filter(|key| !files.contains(key)).map(|key| format!("{key:?}"));
        let strange = self.records.keys().filter(|key| !records.contains(key)).map(|key| format!("{key:?}"));
        let found: Vec<String> = parts.chain(finals).chain(strange).collect();
        self.wrong.extend(found.iter().map(|name| format!("{name} is there and nobody made it")));
        let unwritten = self.records.values().filter(|record| writer_of(&record.value).is_none());
        self.wrong.extend(unwritten.map(|record| format!("record {} has a value that nobody wrote", record.name)));
    }

    /// The token and content of a part.
    fn part(&self, slot: &Slot) -> Option<(String, Stamp)> {
        let (part, content) = self.parts.get(&(slot.0.0.clone(), slot.0.1.clone(), slot.1))?;
        Some((part.key.token.to_string(), Stamp::of(content)))
    }

    /// Who made an object, and its content.
    fn object(&self, file: &File) -> Option<(Id, Stamp)> {
        let (receipt, content) = self.finals.get(&(file.0.clone(), file.1.clone()))?;
        let maker = receipt.metadata.first().and_then(|(_, value)| value.parse().ok()).unwrap_or_default();
        Some((maker, Stamp::of(content)))
    }

    /// The version of a record and who wrote it.
    fn written(&self, record: &Rec) -> Option<(String, Id)> {
        let there = self.records.get(&(record.0.clone(), record.1.clone()))?;
        Some((there.version.clone(), writer_of(&there.value)?))
    }

    /// What was found, as acts at all names.
    pub(crate) fn acts(&self, names: &Names) -> Vec<At> {
        let slots = names.slots().map(|slot| {
            let act = match self.part(&slot) {
                Some((token, stamp)) => SlotAct::Seen { token, stamp, answered: false },
                None => SlotAct::Absent,
            };
            At::Slot(slot, act)
        });
        let files = names.files.iter().map(|file| {
            let act = match (self.object(file), self.gone.get(file)) {
                (Some((maker, stamp)), _) => FileAct::Seen { maker, stamp },
                (None, Some(reason)) => FileAct::Gone { reason: reason.clone() },
                (None, None) => FileAct::Absent,
            };
            At::File(file.clone(), act)
        });
        let records = names.records.iter().map(|record| {
            let act = match self.written(record) {
                Some((version, writer)) => RecordAct::Seen { writer, version },
                None => RecordAct::Absent,
            };
            At::Record(record.clone(), act)
        });
        slots.chain(files).chain(records).collect()
    }

    /// What stands under a part number.
    pub(crate) fn slot(&self, slot: &Slot) -> SlotState {
        match self.part(slot) {
            Some((token, stamp)) => SlotState::Part { write: Write::Token(token), stamp },
            None => SlotState::Empty,
        }
    }

    /// What stands under a file id.
    pub(crate) fn file(&self, file: &File) -> FileState {
        match (self.object(file), self.gone.get(file)) {
            (Some((maker, stamp)), _) => FileState::Object { maker, stamp },
            (None, Some(reason)) => FileState::Gone { reason: reason.clone() },
            (None, None) => FileState::Empty,
        }
    }

    /// What stands under a record's name.
    pub(crate) fn record(&self, record: &Rec) -> RecordState {
        match self.written(record) {
            Some((version, writer)) => RecordState::Record { writer, version: Some(version) },
            None => RecordState::Empty,
        }
    }

    /// What is there, without the tokens that tell one write from another of the same content.
    pub(crate) fn summary(&self) -> Vec<String> {
        let parts = self.parts.iter().map(|(key, (_, content))| format!("part {key:?} {:?}", Stamp::of(content)));
        let finals = self.finals.iter().map(|(key, (_, content))| format!("final {key:?} {:?}", Stamp::of(content)));
        let gone = self.gone.iter().map(|(file, reason)| format!("{file:?} is gone, deleted: {}", reason == "deleted"));
        let records = self.records.keys().map(|record| format!("record {record:?}"));
        parts.chain(finals).chain(gone).chain(records).collect()
    }
}

impl Names {
    /// All part numbers.
    pub(crate) fn slots(&self) -> impl Iterator<Item = Slot> {
        self.sessions.iter().flat_map(|session| (1..=NUMBERS).map(|number| Slot(session.clone(), number)))
    }
}

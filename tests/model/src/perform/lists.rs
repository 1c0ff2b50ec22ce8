//! Listings: each page tells what is there, and what is not between its first and its last entry.

use super::{Host, Outcome};
use crate::content::Stamp;
use crate::history::{At, Entry, Id};
use crate::names::{File, NUMBERS, Rec, Session, Slot};
use crate::spec::{FileAct, RecordAct, SlotAct};
use portico_store::{Cursor, Error, Page, PartReceipt, Scope};

/// Longest listing of a scope here, in pages: more means that it does not end.
const PAGES_MAX: usize = 10_000;

impl Host {
    pub(super) async fn list_parts(&self, session: &Session, limit: u32) -> Outcome {
        let (mut after, mut from) = (None, 1);
        for _ in 0..PAGES_MAX {
            let id = self.begin(format!("list parts {}:{} from {from}", session.0, session.1));
            let listed = self.backend.list_parts(&session.0, &session.1, after.as_ref(), limit).await;
            let page = self.page(id, listed, limit, |part| part.key.number)?;
            let last = page.entries.last().map(|part| part.key.number);
            let to = if page.next.is_some() { last.unwrap_or(0) } else { NUMBERS };
            let acts = (from..=to).map(|number| {
                let slot = Slot(session.clone(), number);
                let part = page.entries.iter().find(|part| part.key.number == number);
                let act = part.map_or(SlotAct::Absent, |part| self.listed(&slot, part));
                At::Slot(slot, act)
            });
            let acts = acts.collect();
            self.history.answer(id, format!("{page:?}"), acts);
            (after, from) = (page.next, to + 1);
            if after.is_none() {
                return Ok(());
            }
        }
        Err(Error::internal("a listing that does not end"))
    }

    fn listed(&self, slot: &Slot, part: &PartReceipt) -> SlotAct {
        self.history.saw_key(slot, &part.key);
        let (token, size) = (part.key.token.to_string(), part.size);
        match part.sha256 {
            Some(sha256) => SlotAct::Seen { token, stamp: Stamp { size, sha256 }, answered: false },
            None => SlotAct::Listed { token, size, answered: false },
        }
    }

    pub(super) async fn list_finals(&self, scope: &Scope, files: &[File], limit: u32) -> Outcome {
        let mut after: Option<Cursor> = None;
        let mut from = String::new();
        for _ in 0..PAGES_MAX {
            let id = self.begin(format!("list finals {scope} after {from:?}"));
            let listed = self.backend.list_finals(scope, after.as_ref(), limit).await;
            let page = self.page(id, listed, limit, |object| object.file.as_str().to_owned())?;
            let last = page.entries.last().map(|object| object.file.as_str().to_owned());
            let within = |file: &&File| {
                let name = file.1.as_str();
                file.0 == *scope && name > from.as_str() && (page.next.is_none() || Some(name) <= last.as_deref())
            };
            let acts = files.iter().filter(within).filter_map(|file| {
                let act = match page.entries.iter().find(|object| object.file == file.1) {
                    Some(object) => FileAct::Seen { maker: self.maker(id, file, object)?, stamp: Stamp::from(object) },
                    None => FileAct::NoObject,
                };
                Some(At::File(file.clone(), act))
            });
            let acts = acts.collect();
            self.history.answer(id, format!("{} objects", page.entries.len()), acts);
            (after, from) = (page.next, last.unwrap_or_default());
            if after.is_none() {
                return Ok(());
            }
        }
        Err(Error::internal("a listing that does not end"))
    }

    pub(super) async fn list_records(&self, scope: &Scope, prefix: &str, records: &[Rec], limit: u32) -> Outcome {
        let mut after: Option<Cursor> = None;
        let mut from = String::new();
        for _ in 0..PAGES_MAX {
            let id = self.begin(format!("list records {scope} {prefix:?} after {from:?}"));
            let listed = self.backend.list_records(scope, prefix, after.as_ref(), limit).await;
            let page = self.page(id, listed, limit, |name| name.as_str().to_owned())?;
            let last = page.entries.last().map(|name| name.as_str().to_owned());
            let within = |record: &&Rec| {
                let name = record.1.as_str();
                record.0 == *scope
                    && name.starts_with(prefix)
                    && name > from.as_str()
                    && (page.next.is_none() || Some(name) <= last.as_deref())
            };
            let acts = records.iter().filter(within).map(|record| {
                let exists = page.entries.contains(&record.1);
                At::Record(record.clone(), if exists { RecordAct::Exists } else { RecordAct::Absent })
            });
            let acts = acts.collect();
            self.history.answer(id, format!("{:?}", page.entries), acts);
            (after, from) = (page.next, last.unwrap_or_default());
            if after.is_none() {
                return Ok(());
            }
        }
        Err(Error::internal("a listing that does not end"))
    }

    /// What sessions have parts concerns many names at once; here only the form of the pages is looked at, and the rest
    /// when nothing runs.
    pub(super) async fn list_sessions(&self, scope: &Scope, limit: u32) -> Outcome {
        let mut after: Option<Cursor> = None;
        for _ in 0..PAGES_MAX {
            let id = self.begin(format!("list sessions {scope}"));
            let listed = self.backend.list_sessions(scope, after.as_ref(), limit).await;
            let page = self.page(id, listed, limit, |session| session.as_str().to_owned())?;
            self.history.answer(id, format!("{:?}", page.entries), Vec::new());
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
        Err(Error::internal("a listing that does not end"))
    }

    pub(super) fn begin(&self, what: String) -> Id {
        self.history.call(Entry { what, ..Entry::default() })
    }

    /// Looks at the form of a page.
    fn page<T, K: Ord>(
        &self,
        id: Id,
        listed: Result<Page<T>, Error>,
        limit: u32,
        key: impl Fn(&T) -> K,
    ) -> Result<Page<T>, Error> {
        let page = listed.inspect_err(|error| self.unexpected(id, error))?;
        let ascending = page.entries.windows(2).all(|two| key(&two[0]) < key(&two[1]));
        let full = page.next.is_none() || page.entries.len() == limit as usize;
        if !ascending || !full || page.entries.len() > limit as usize {
            self.history.wrong(id, "a page that is out of order, too long, or ends early");
        }
        Ok(page)
    }
}

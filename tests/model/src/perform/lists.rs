//! Listings: each page tells what is there, and what is not between its first and its last entry.

use super::{Host, Outcome, name, text};
use crate::content::Stamp;
use crate::history::{At, Entry, Id};
use crate::names::{File, NUMBERS, Rec, Session, Slot};
use crate::ops::Which;
use crate::spec::{FileAct, RecordAct, SlotAct};
use portico_store::{Cursor, Error, FileId, ListedPart, Page, Scope};

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

    fn listed(&self, slot: &Slot, part: &ListedPart) -> SlotAct {
        self.history.saw_key(slot, &part.key);
        SlotAct::Listed { token: part.key.token.to_string(), size: part.size, answered: false }
    }

    /// The receipt of one write of a part.
    pub(super) async fn stat_part(&self, slot: &Slot, which: Which) -> Outcome {
        let Some(key) = self.key(slot, which) else { return Ok(()) };
        let id = self.begin(format!("stat part {} {:.6}", name(slot), key.token.as_str()));
        let result = self.backend.stat_part(&slot.0.0, &key).await;
        let token = key.token.to_string();
        let act = match &result {
            Ok(part) => {
                if part.key != key || part.replayed {
                    self.history.wrong(id, format!("the receipt is of something else: {part:?}"));
                }
                match part.sha256 {
                    Some(sha256) => SlotAct::Seen { token, stamp: Stamp { size: part.size, sha256 }, answered: false },
                    None => SlotAct::Listed { token, size: part.size, answered: false },
                }
            }
            Err(Error::NotFound) => SlotAct::NotThere { token },
            Err(error) => {
                self.unexpected(id, error);
                return result.map(drop);
            }
        };
        self.history.answer(id, text(&result), vec![At::Slot(slot.clone(), act)]);
        result.map(drop).or_else(|error| if matches!(error, Error::NotFound) { Ok(()) } else { Err(error) })
    }

    pub(super) async fn list_finals(&self, scope: &Scope, files: &[File], limit: u32) -> Outcome {
        let mut after: Option<Cursor> = None;
        let mut from = String::new();
        for _ in 0..PAGES_MAX {
            let id = self.begin(format!("list finals {scope} after {from:?}"));
            let listed = self.backend.list_finals(scope, after.as_ref(), limit).await;
            let page = self.page(id, listed, limit, |file| file.as_str().to_owned())?;
            let last = page.entries.last().map(|file| file.as_str().to_owned());
            let within = |file: &&File| {
                let name = file.1.as_str();
                file.0 == *scope && name > from.as_str() && (page.next.is_none() || Some(name) <= last.as_deref())
            };
            let acts = files.iter().filter(within).map(|file| {
                let act = if page.entries.contains(&file.1) { FileAct::Listed } else { FileAct::NoObject };
                At::File(file.clone(), act)
            });
            let acts = acts.collect();
            self.history.answer(id, format!("{} objects", page.entries.len()), acts);
            self.stat_finals(scope, files, &page.entries).await?;
            (after, from) = (page.next, last.unwrap_or_default());
            if after.is_none() {
                return Ok(());
            }
        }
        Err(Error::internal("a listing that does not end"))
    }

    /// The receipts of ids that were listed, of which some may have been deleted since.
    async fn stat_finals(&self, scope: &Scope, files: &[File], ids: &[FileId]) -> Outcome {
        let id = self.begin(format!("stat {} finals {scope}", ids.len()));
        let receipts = self.backend.stat_finals(scope, ids).await.inspect_err(|error| self.unexpected(id, error))?;
        if receipts.len() != ids.len() {
            self.history.wrong(id, format!("{} receipts of {} ids", receipts.len(), ids.len()));
        }
        let acts = ids.iter().zip(&receipts).filter_map(|(file, receipt)| {
            let file = files.iter().find(|there| there.0 == *scope && there.1 == *file)?;
            let act = match receipt {
                Some(object) => FileAct::Seen { maker: self.maker(id, file, object)?, stamp: Stamp::from(object) },
                None => FileAct::NoObject,
            };
            Some(At::File(file.clone(), act))
        });
        let acts = acts.collect();
        self.history.answer(id, format!("{} receipts", receipts.len()), acts);
        Ok(())
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

//! Compares each row of the index with its file, while another process may use the store.
//!
//! Invariants: nothing is written, and no lock is held; the index is open for moments only, because no process can open
//! the store meanwhile; a row whose file differs is read again before it counts, because data go only after their row.

use crate::local::files::layout::{self, FINAL, PLACED, STAGING, TEMP};
use crate::local::index::finals::FinalRow;
use crate::local::index::parts::{PartFile, PartRow};
use crate::local::index::{finals, parts};
use crate::local::open::error::OpenError;
use crate::local::operations::read;
use crate::local::operations::reader::Reader;
use crate::local::shared::LocalStore;
use crate::verify::{Depth, DifferenceKind, Findings, PAGE, Verified};
use crate::{Digest, Error, FileId, Result, Scope, SessionId, Sha256, Token};
use std::fs::File;
use std::path::Path;

impl LocalStore {
    /// Compares each row of a store with its file, and reports the differences. Another process may use the store
    /// meanwhile. Blocks.
    ///
    /// # Errors
    /// [`OpenError`] if the folder is no store, or its index can't be read.
    pub fn verify(path: &Path, depth: Depth, mut findings: Findings<'_>) -> Result<Verified, OpenError> {
        let comparison = Comparison { store: Reader::open(path)?, depth };
        let compared = comparison
            .compare_finals(&mut findings)
            .and_then(|()| comparison.compare_parts(&mut findings))
            .and_then(|()| comparison.find_unknown(&mut findings));
        compared.map_err(|error| OpenError::fault(comparison.store.root.path(), error))?;
        Ok(findings.report())
    }
}

/// A running comparison.
struct Comparison {
    store: Reader,
    depth: Depth,
}

impl Comparison {
    fn compare_finals(&self, findings: &mut Findings<'_>) -> Result<()> {
        let mut after = (String::new(), String::new());
        while !findings.is_stopped() {
            let page = self.store.rows(|conn| finals::next_of_all(conn, &after, PAGE))?;
            let Some((scope, last)) = page.last() else { break };
            after = (scope.as_str().to_owned(), last.file.as_str().to_owned());
            for (scope, row) in page {
                let path = layout::final_path(&scope, &row.file);
                let digest = (self.depth == Depth::Digests).then_some(Expected::Sha256(row.sha256));
                if let Some(kind) = self.compare(&path, 0, row.size, true, digest)
                    && self.store.is_live(&scope, &row.file)?
                {
                    findings.differs(path.display(), None, kind);
                }
                findings.compared(false, row.size);
            }
        }
        Ok(())
    }

    fn compare_parts(&self, findings: &mut Findings<'_>) -> Result<()> {
        let mut after = (String::new(), String::new(), -1);
        while !findings.is_stopped() {
            let page = self.store.rows(|conn| parts::next_of_all(conn, &after, PAGE))?;
            let Some((scope, last)) = page.last() else { break };
            after = (scope.as_str().to_owned(), last.key.session.as_str().to_owned(), last.key.number.into());
            for (scope, row) in page {
                let (path, start) = read::place(&scope, &row);
                let digest = if self.depth == Depth::Digests { self.expected(&scope, &row)? } else { None };
                if self.depth == Depth::Digests && digest.is_none() {
                    findings.undigested();
                }
                if let Some(kind) = self.compare(&path, start, row.size, row.file == PartFile::Own, digest)
                    && self.store.rows(|conn| parts::by_key(conn, &scope, &row.key))?.is_some()
                {
                    findings.differs(path.display(), Some(row.key.number), kind);
                }
                findings.compared(true, row.size);
            }
        }
        Ok(())
    }

    /// The expected content of a part: its digest, or its effect on the digest of the whole, where the state before it
    /// is known.
    fn expected(&self, scope: &Scope, row: &PartRow) -> Result<Option<Expected>> {
        if let Some(sha256) = row.sha256 {
            return Ok(Some(Expected::Sha256(sha256)));
        }
        let (Some(chain), Some(offset)) = (&row.chain, row.offset) else { return Ok(None) };
        let before = if offset == 0 {
            Some(Sha256::new())
        } else {
            let state = self.store.rows(|conn| parts::state_at(conn, scope, &row.key.session, offset))?;
            state.and_then(|state| Sha256::resume(&state))
        };
        let before = before.filter(|before| before.so_far() == chain.before);
        let after = Sha256::resume(&chain.state);
        Ok(before.zip(after).map(|(before, after)| Expected::From(Box::new(before), after.finish())))
    }

    /// Compares a range of a file with its row. `whole` says that the file must contain nothing else.
    fn compare(
        &self,
        path: &Path,
        start: u64,
        size: u64,
        whole: bool,
        expected: Option<Expected>,
    ) -> Option<DifferenceKind> {
        let compared = || {
            let Some(stat) = self.store.disk.stat(path)? else { return Ok(Some(DifferenceKind::Missing { size })) };
            if !stat.is_file {
                return Ok(Some(DifferenceKind::Unreadable("it is no regular file".to_owned())));
            }
            let found = stat.size.saturating_sub(start);
            if found < size || (whole && found > size) {
                return Ok(Some(DifferenceKind::Size { expected: size, found }));
            }
            let Some(expected) = expected else { return Ok(None) };
            // Reading a large file takes long.
            self.store.pause();
            let Some(file) = self.store.disk.open_read(path)? else {
                return Ok(Some(DifferenceKind::Missing { size }));
            };
            Ok(if expected.matches_digest(&file, start, size)? { None } else { Some(DifferenceKind::Content) })
        };
        compared().unwrap_or_else(|error| Some(DifferenceKind::Unreadable(chain(&error))))
    }

    /// Looks at files without a row: those of puts that run or were killed, and foreign ones.
    fn find_unknown(&self, findings: &mut Findings<'_>) -> Result<()> {
        self.each_name(Path::new(STAGING), findings, |findings, name| {
            match Token::parse(name) {
                Ok(_) => findings.unfinished(),
                Err(_) => unknown(findings, &Path::new(STAGING).join(name)),
            }
            Ok(())
        })?;
        self.each_scope(FINAL, findings, |findings, scope| {
            self.each_name(&layout::final_dir(scope), findings, |findings, name| self.find_final(findings, scope, name))
        })?;
        self.each_scope(TEMP, findings, |findings, scope| {
            let dir = Path::new(TEMP).join(scope.as_str());
            self.each_name(&dir, findings, |findings, name| match SessionId::parse(name) {
                Ok(session) => self.find_parts(findings, scope, &session),
                Err(_) => {
                    unknown(findings, &dir.join(name));
                    Ok(())
                }
            })
        })
    }

    fn find_final(&self, findings: &mut Findings<'_>, scope: &Scope, name: &str) -> Result<()> {
        let path = layout::final_dir(scope).join(name);
        let Ok(file) = FileId::parse(name) else {
            unknown(findings, &path);
            return Ok(());
        };
        let row = || self.store.rows(|conn| finals::get(conn, scope, &file));
        // A file comes before its row and goes after it, so a file without a row is looked at again, and then its row.
        if row()?.is_some_and(|row| is_live(&row)) {
            return Ok(());
        }
        let Some(stat) = self.store.disk.stat(&path)? else { return Ok(()) };
        match row()? {
            Some(FinalRow::Live(_)) => {}
            Some(FinalRow::Gone(_)) => findings.unfinished(),
            // A publication has two names until its row exists.
            None if stat.is_file && stat.links > 1 => findings.unfinished(),
            None => unknown(findings, &path),
        }
        Ok(())
    }

    fn find_parts(&self, findings: &mut Findings<'_>, scope: &Scope, session: &SessionId) -> Result<()> {
        let dir = layout::session_dir(scope, session);
        let (own, placed) = self
            .store
            .rows(|conn| Ok((parts::own(conn, scope, session)?, parts::session_has_placed(conn, scope, session)?)))?;
        self.each_name(&dir, findings, |findings, name| {
            match Token::parse(name) {
                Ok(token) if own.contains(&token) => {}
                Err(_) if name == PLACED && placed => {}
                Err(_) if name != PLACED => unknown(findings, &dir.join(name)),
                _ => findings.unfinished(),
            }
            Ok(())
        })
    }

    fn each_scope(
        &self,
        folder: &'static str,
        findings: &mut Findings<'_>,
        mut each: impl FnMut(&mut Findings<'_>, &Scope) -> Result<()>,
    ) -> Result<()> {
        self.each_name(Path::new(folder), findings, |findings, name| match Scope::from_written(name) {
            Some(scope) => each(findings, &scope),
            None => {
                unknown(findings, &Path::new(folder).join(name));
                Ok(())
            }
        })
    }

    /// Visits the names in a folder. A path that names something else is unknown.
    fn each_name<'f>(
        &self,
        dir: &Path,
        findings: &mut Findings<'f>,
        mut each: impl FnMut(&mut Findings<'f>, &str) -> Result<()>,
    ) -> Result<()> {
        let is_folder = self.store.disk.each_name(dir, |name| {
            let goes_on = !findings.is_stopped();
            if goes_on {
                each(findings, name)?;
            }
            Ok(goes_on)
        })?;
        if !is_folder {
            unknown(findings, dir);
        }
        Ok(())
    }
}

/// The expected content.
enum Expected {
    /// Content with this digest.
    Sha256(Digest),
    /// Content that leads from this hash state to this digest.
    From(Box<Sha256>, Digest),
}

impl Expected {
    fn matches_digest(self, file: &File, start: u64, size: u64) -> Result<bool> {
        let (mut sha256, expected) = match self {
            Expected::Sha256(expected) => (Sha256::new(), expected),
            Expected::From(before, expected) => (*before, expected),
        };
        read::hash(file, start, start + size, &mut sha256)?;
        Ok(sha256.finish() == expected)
    }
}

fn is_live(row: &FinalRow) -> bool {
    matches!(row, FinalRow::Live(_))
}

fn unknown(findings: &mut Findings<'_>, path: &Path) {
    findings.differs(path.display(), None, DifferenceKind::Unknown);
}

/// An error and its causes, in one line.
fn chain(error: &Error) -> String {
    let causes = std::iter::successors(std::error::Error::source(error), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}

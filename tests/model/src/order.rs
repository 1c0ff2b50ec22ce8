//! The system calls that a local store must make before it returns, as far as a log of the calls can show.

use crate::strace::Call;
use portico_store::limits::WRITE_CHUNK;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The log of a traced process.
pub struct Trace {
    /// The folder of its store.
    pub root: PathBuf,
    /// Its calls, by their ends.
    pub calls: Vec<Call>,
}

impl Trace {
    /// The calls of a process whose store is in a folder.
    pub fn new(root: PathBuf, calls: Vec<Call>) -> Self {
        Trace { root, calls }
    }

    /// The call by which the process sent a text, as strace shows it, to its caller.
    ///
    /// # Errors
    /// The text was never sent.
    pub fn said(&self, text: &str) -> Result<&Call, String> {
        let sends = |call: &&Call| matches!(&*call.name, "write" | "writev" | "sendto" | "sendmsg");
        let said = self.calls.iter().filter(sends).find(|call| call.args.contains(text));
        said.ok_or_else(|| format!("it never said {text}"))
    }

    /// The first such call that begins after another has ended, and ends before a third begins.
    ///
    /// # Errors
    /// No such call exists; `what` names it.
    pub fn between(
        &self,
        what: &str,
        after: &Call,
        before: &Call,
        is: impl Fn(&Call) -> bool,
    ) -> Result<&Call, String> {
        let found = self.calls.iter().find(|call| call.begun > after.ended && call.ended < before.begun && is(call));
        found.ok_or_else(|| format!("no {what} between {after:?} and {before:?}"))
    }

    /// All such calls that overlap the time between two others.
    pub fn all<'a>(
        &'a self,
        after: &Call,
        before: &Call,
        is: impl Fn(&Call) -> bool + 'a,
    ) -> impl Iterator<Item = &'a Call> {
        let (after, before) = (after.ended, before.begun);
        self.calls.iter().filter(move |call| call.ended > after && call.begun < before && is(call))
    }

    /// Checks that a range of bytes of a file was written once, completely and in short writes ([`WRITE_CHUNK`]), and
    /// synced through the same descriptor. Returns the sync.
    ///
    /// # Errors
    /// A call that is missing, early or repeated.
    pub fn written(&self, path: &Path, range: Range<u64>, from: &Call, answer: &Call) -> Result<&Call, String> {
        let writes: Vec<&Call> = self.all(from, answer, |call| call.is_write() && call.is_on(path)).collect();
        let chunk = |at: u64| at / WRITE_CHUNK as u64;
        let mut at = range.start;
        for write in &writes {
            if write.last_number() != Some(at) {
                return Err(format!("the write at byte {at} is {write:?}"));
            }
            let begun = at;
            at += write.result.unsigned_abs();
            if at > begun && chunk(at - 1) != chunk(begun) {
                return Err(format!("{write:?} goes beyond a multiple of {WRITE_CHUNK} bytes"));
            }
        }
        let last = writes
            .iter()
            .max_by_key(|write| write.ended)
            .ok_or_else(|| format!("nothing was written to {}", path.display()))?;
        if at != range.end {
            return Err(format!("{} was written to byte {at}, not {}", path.display(), range.end));
        }
        let descriptor = last.descriptor().map(|(number, _)| number);
        let sync = self.between("sync of the data", last, answer, |call| call.is_sync() && call.is_on(path))?;
        let same = sync.descriptor().map(|(number, _)| number) == descriptor;
        if same { Ok(sync) } else { Err(format!("{last:?} and {sync:?} are not of one descriptor")) }
    }

    /// Checks that a commit followed a call, and was durable before an answer. Returns its sync.
    ///
    /// # Errors
    /// A call that is missing or early.
    pub fn committed(&self, from: &Call, after: &Call, answer: &Call) -> Result<&Call, String> {
        let log = self.root.join("index.sqlite-wal");
        let writes: Vec<&Call> = self.all(from, answer, |call| call.is_write() && call.is_on(&log)).collect();
        if let Some(early) = writes.iter().find(|write| write.begun < after.ended) {
            return Err(format!("{early:?} is before {after:?}"));
        }
        let last = writes.last().ok_or("nothing was committed")?;
        self.between("sync of the index", last, answer, |call| call.is_sync() && call.is_on(&log))
    }

    /// Checks that the name of every new folder was synced before an answer.
    ///
    /// # Errors
    /// The folder whose name was not.
    pub fn folders(&self, from: &Call, answer: &Call) -> Result<(), String> {
        for made in self.all(from, answer, |call| call.name.starts_with("mkdir")) {
            let (_, parent) = made.descriptor().ok_or_else(|| format!("a folder made nowhere: {made:?}"))?;
            self.between("sync of the folder above", made, answer, |call| call.is_sync() && call.is_on(parent))?;
        }
        Ok(())
    }

    /// Checks that a final object of that size, which arrived between two calls, was written, synced, linked, and
    /// committed, in this order.
    ///
    /// # Errors
    /// A call that is missing or early.
    pub fn final_object(&self, opened: &Call, answer: &Call, file: &str, size: u64) -> Result<(), String> {
        let staging = self.root.join("staging");
        let first = self.between("write", opened, answer, |call| call.is_write() && call.is_beneath(&staging))?;
        let (_, staged) = first.descriptor().ok_or("a write to nowhere")?;
        let synced = self.written(staged, 0..size, opened, answer)?;
        self.between("sync of the staging folder", synced, answer, |call| call.is_sync() && call.is_on(&staging))?;
        self.published(staged, file, synced, opened, answer)
    }

    /// Checks that a synced file got its final name, then the name was synced, then the row, and then the answer was
    /// sent.
    ///
    /// # Errors
    /// A call that is missing or early.
    pub fn published(
        &self,
        from: &Path,
        file: &str,
        synced: &Call,
        opened: &Call,
        answer: &Call,
    ) -> Result<(), String> {
        let dir = self.root.join("final/main");
        let name = from.file_name().and_then(|name| name.to_str()).ok_or("a file without a name")?;
        let link = format!("\"{name}\", ");
        let link = self.between("link", synced, answer, |call| call.name == "linkat" && call.args.contains(&link))?;
        if !link.args.ends_with(&format!("<{}>, \"{file}\", 0", dir.display())) {
            return Err(format!("{link:?} is not to the final name"));
        }
        let folder = self.between("sync of the finals", link, answer, |call| call.is_sync() && call.is_on(&dir))?;
        let committed = self.committed(opened, folder, answer)?;
        self.folders(opened, answer)?;
        let unlink = format!("\"{name}\"");
        self.between("removal of the first name", committed, answer, |call| {
            call.name == "unlinkat" && call.args.contains(&unlink)
        })
        .map(|_| ())
    }
}

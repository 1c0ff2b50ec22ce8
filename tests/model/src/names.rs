//! The names of a history: few, so that tasks meet at them.

use crate::content::Content;
use bytes::Bytes;
use portico_store::{FileId, RecordName, Scope, SessionId};

/// A session of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Session(pub(crate) Scope, pub(crate) SessionId);

/// A part number of a session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Slot(pub(crate) Session, pub(crate) u32);

/// A file id of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct File(pub(crate) Scope, pub(crate) FileId);

/// A record of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Rec(pub(crate) Scope, pub(crate) RecordName);

/// The largest part number; the smallest is 1.
pub(crate) const NUMBERS: u32 = 4;

/// All names of a run, with the planned parts of its sessions.
pub(crate) struct Names {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) files: Vec<File>,
    pub(crate) records: Vec<Rec>,
    /// For each session the planned sizes of parts 1 to [`NUMBERS`], in bytes.
    pub(crate) sizes: Vec<[usize; NUMBERS as usize]>,
}

impl Names {
    /// The sessions and records of a run. [`Names::add_files`] adds files.
    pub(crate) fn new(mut size: impl FnMut() -> usize) -> Self {
        let root = Scope::root();
        let narrow = root.narrow("t").expect("a scope");
        let session = |scope: &Scope, id| Session(scope.clone(), SessionId::parse(id).expect("an id"));
        let record = |scope: &Scope, name| Rec(scope.clone(), RecordName::parse(name).expect("a name"));
        // The same ids in both scopes, which are unrelated.
        let sessions = vec![session(&root, "a"), session(&root, "b"), session(&narrow, "a")];
        let records = vec![record(&root, "x/1"), record(&root, "x/2"), record(&narrow, "x/1")];
        // Sessions of one scope can be assembled to the same content.
        let (a, b) = (std::array::from_fn(|_| size()), std::array::from_fn(|_| size()));
        let sizes = vec![a, a, b];
        Names { scopes: vec![root, narrow], sessions, files: Vec::new(), records, sizes }
    }

    /// Adds unused file ids: one in each scope under the same name and one more.
    pub(crate) fn add_files(&mut self, life: usize) {
        for (scope, name) in [(0, "f"), (0, "g"), (1, "f")] {
            let id = FileId::parse(&format!("{name}{life}")).expect("an id");
            self.files.push(File(self.scopes[scope].clone(), id));
        }
    }

    /// The planned offset of a part, in bytes.
    pub(crate) fn offset(&self, session: usize, number: u32) -> u64 {
        self.sizes[session][..number as usize - 1].iter().map(|size| *size as u64).sum()
    }

    /// The planned size of a part, in bytes.
    pub(crate) fn size(&self, session: usize, number: u32) -> usize {
        self.sizes[session][number as usize - 1]
    }

    /// The content that an assembly of a session makes if its parts are as planned.
    pub(crate) fn whole(&self, session: usize) -> Content {
        let pieces = self.sizes[session].iter().map(|size| Content::of(*size, 0).bytes);
        Content::from(Bytes::from(pieces.collect::<Vec<_>>().concat()))
    }

    /// The index of a session in the list of sessions.
    pub(crate) fn index(&self, session: &Session) -> usize {
        self.sessions.iter().position(|there| there == session).expect("a session of this run")
    }
}

//! The names that a history is about: few, so that tasks meet at them.

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

/// Part numbers are 1 to this.
pub(crate) const NUMBERS: u32 = 4;

/// All names of a run, with what the parts of its sessions are meant to be.
pub(crate) struct Names {
    pub(crate) scopes: Vec<Scope>,
    pub(crate) sessions: Vec<Session>,
    pub(crate) files: Vec<File>,
    pub(crate) records: Vec<Rec>,
    /// For each session the sizes in bytes that parts 1 to [`NUMBERS`] are meant to have.
    pub(crate) sizes: Vec<[usize; NUMBERS as usize]>,
}

impl Names {
    /// The sessions and records of a run. Files come with [`Names::add_files`].
    pub(crate) fn new(mut size: impl FnMut() -> usize) -> Self {
        let root = Scope::root();
        let narrow = root.narrow("t").expect("a scope");
        let session = |scope: &Scope, id| Session(scope.clone(), SessionId::parse(id).expect("an id"));
        let record = |scope: &Scope, name| Rec(scope.clone(), RecordName::parse(name).expect("a name"));
        // The same ids in both scopes: they have nothing to do with each other.
        let sessions = vec![session(&root, "a"), session(&root, "b"), session(&narrow, "a")];
        let records = vec![record(&root, "x/1"), record(&root, "x/2"), record(&narrow, "x/1")];
        // Sessions of one scope can be assembled to the same content.
        let (a, b) = (std::array::from_fn(|_| size()), std::array::from_fn(|_| size()));
        let sizes = vec![a, a, b];
        Names { scopes: vec![root, narrow], sessions, files: Vec::new(), records, sizes }
    }

    /// Adds file ids that nothing was done to yet, one in each scope under the same name and one more.
    pub(crate) fn add_files(&mut self, life: usize) {
        for (scope, name) in [(0, "f"), (0, "g"), (1, "f")] {
            let id = FileId::parse(&format!("{name}{life}")).expect("an id");
            self.files.push(File(self.scopes[scope].clone(), id));
        }
    }

    /// The offset that a part is meant to have, in bytes.
    pub(crate) fn offset(&self, session: usize, number: u32) -> u64 {
        self.sizes[session][..number as usize - 1].iter().map(|size| *size as u64).sum()
    }

    /// The size that a part is meant to have, in bytes.
    pub(crate) fn size(&self, session: usize, number: u32) -> usize {
        self.sizes[session][number as usize - 1]
    }

    /// The content that an assembly of a session makes if its parts are as they are meant to be.
    pub(crate) fn whole(&self, session: usize) -> Content {
        let pieces = self.sizes[session].iter().map(|size| Content::of(*size, 0).bytes);
        Content::from(Bytes::from(pieces.collect::<Vec<_>>().concat()))
    }

    /// Where a session stands in the list of sessions.
    pub(crate) fn index(&self, session: &Session) -> usize {
        self.sessions.iter().position(|there| there == session).expect("a session of this run")
    }
}

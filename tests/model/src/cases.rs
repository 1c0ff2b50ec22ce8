//! Operations of every kind with their preconditions, for trials alone and in pairs.

use crate::content::Content;
use crate::names::{File, NUMBERS, Names, Slot};
use crate::ops::{Claimed, How, Op, Which};
use portico_store::IfExists;

/// An operation and the operations before it.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) name: &'static str,
    pub(crate) setup: Vec<Op>,
    pub(crate) op: Op,
    /// The client's operations after a lost answer; if empty, the same operation again.
    pub(crate) retry: Vec<Op>,
}

/// Sizes in bytes of the parts of all sessions: more than a batch, less, empty, and tiny.
const SIZES: [usize; NUMBERS as usize] = [600_000, 70_000, 0, 1_000];

/// The names that the cases are about.
pub(crate) fn names() -> Names {
    let mut sizes = SIZES.iter().copied().cycle();
    let mut names = Names::new(|| sizes.next().unwrap_or_default());
    names.add_files(0);
    names
}

/// Makes operations on those names.
pub(crate) struct Ops<'a>(pub(crate) &'a Names);

impl Ops<'_> {
    pub(crate) fn slot(&self, session: usize, number: u32) -> Slot {
        Slot(self.0.sessions[session].clone(), number)
    }

    pub(crate) fn file(&self, file: usize) -> File {
        self.0.files[file].clone()
    }

    fn content(&self, session: usize, number: u32, seed: u64) -> Content {
        Content::of(self.0.size(session, number), seed)
    }

    /// A part at its offset.
    pub(crate) fn placed(&self, session: usize, number: u32, seed: u64) -> Op {
        Op::PutPart {
            slot: self.slot(session, number),
            content: self.content(session, number, seed),
            offset: Some(self.0.offset(session, number)),
            unless: None,
            how: How::plain(IfExists::SameContentOk),
        }
    }

    /// A part without an offset.
    pub(crate) fn anywhere(&self, session: usize, number: u32, seed: u64) -> Op {
        Op::PutPart {
            slot: self.slot(session, number),
            content: self.content(session, number, seed),
            offset: None,
            unless: None,
            how: How::plain(IfExists::SameContentOk),
        }
    }

    /// A part at its offset, unless something exists under a file id.
    pub(crate) fn unless(&self, file: usize, session: usize, number: u32) -> Op {
        let Op::PutPart { slot, content, offset, how, .. } = self.placed(session, number, 0) else { unreachable!() };
        Op::PutPart { slot, content, offset, unless: Some(self.file(file)), how }
    }

    /// A part at its offset whose source fails.
    pub(crate) fn cut_off(&self, session: usize, number: u32) -> Op {
        let size = self.0.size(session, number);
        Op::PutPart {
            slot: self.slot(session, number),
            content: self.content(session, number, 1),
            offset: Some(self.0.offset(session, number)),
            unless: None,
            how: How { cut: Some(size), ..How::plain(IfExists::SameContentOk) },
        }
    }

    /// A part at its offset whose source fails half-way, which keeps what had arrived.
    pub(crate) fn prefix(&self, session: usize, number: u32) -> Op {
        let size = self.0.size(session, number);
        Op::PutPart {
            slot: self.slot(session, number),
            content: self.content(session, number, 0),
            offset: Some(self.0.offset(session, number)),
            unless: None,
            how: How { cut: Some(size / 2 + 1), keep: true, ..How::plain(IfExists::SameContentOk) },
        }
    }

    /// A join of parts of a session under a number.
    pub(crate) fn join(&self, session: usize, number: u32, parts: &[u32]) -> Op {
        let parts = parts.iter().map(|part| (self.slot(session, *part), Which::Latest)).collect();
        Op::Join { slot: self.slot(session, number), parts }
    }

    /// All parts of a session at their offsets, in order.
    pub(crate) fn session(&self, session: usize) -> Vec<Op> {
        (1..=NUMBERS).map(|number| self.placed(session, number, 0)).collect()
    }

    /// An object with the content that an assembly of a session makes.
    pub(crate) fn whole(&self, file: usize) -> Op {
        let how = How { sha256: Claimed::Truth, ..How::plain(IfExists::SameContentOk) };
        Op::PutFinal { file: self.file(file), content: self.0.whole(0), how }
    }

    pub(crate) fn assemble(&self, file: usize, parts: &[(usize, u32)]) -> Op {
        let how = How { sha256: Claimed::Truth, ..How::plain(IfExists::SameContentOk) };
        let parts = parts.iter().map(|(session, number)| (self.slot(*session, *number), Which::Latest)).collect();
        Op::Assemble { file: self.file(file), parts, how }
    }

    pub(crate) fn delete(&self, session: usize, number: u32) -> Op {
        Op::DeletePart { slot: self.slot(session, number), which: Which::Latest }
    }

    pub(crate) fn clear(&self, session: usize) -> Op {
        Op::DeleteSession { session: self.0.sessions[session].clone() }
    }

    pub(crate) fn list(&self, session: usize) -> Op {
        Op::ListParts { session: self.0.sessions[session].clone(), page: 1_000 }
    }
}

/// All parts of the first session, in order.
pub(crate) const ALL: [(usize, u32); 4] = [(0, 1), (0, 2), (0, 3), (0, 4)];

/// A case for each kind of operation, and for each of its outcomes.
pub(crate) fn all(names: &Names) -> Vec<Case> {
    let ops = Ops(names);
    let record = names.records[0].clone();
    let create = Op::CreateRecord { record: record.clone() };
    let replace = Op::ReplaceRecord { record: record.clone(), which: Which::Latest };
    let get = Op::GetRecord { record: record.clone() };
    let with_gap = [ops.placed(0, 1, 0), ops.anywhere(0, 2, 0), ops.placed(0, 3, 0), ops.placed(0, 4, 0)];
    let case = |name, setup: &[Op], op: Op| Case { name, setup: setup.to_vec(), op, retry: Vec::new() };
    let then = |case: Case, retry: Vec<Op>| Case { retry, ..case };
    // After a lost answer the new part and the joined ones may both exist.
    let join = |name, setup: &[Op], parts: &[u32]| {
        let op = ops.join(0, 4, parts);
        let deletions = parts.iter().map(|part| ops.delete(0, *part));
        let retry = std::iter::once(op.clone()).chain(deletions).collect();
        then(case(name, setup, op), retry)
    };
    let mut full_and_deleted = ops.session(0);
    full_and_deleted.push(ops.delete(0, 4));
    vec![
        case("put final", &[], ops.whole(0)),
        case("put final again", &[ops.whole(0)], ops.whole(0)),
        case("put placed part", &[], ops.placed(0, 1, 0)),
        case("put placed part beside others", &[ops.placed(0, 2, 0)], ops.placed(0, 1, 0)),
        case("put part anywhere", &[], ops.anywhere(0, 1, 0)),
        case("put part unless it has ended", &[], ops.unless(0, 0, 1)),
        case("put part again", &[ops.placed(0, 1, 0)], ops.placed(0, 1, 0)),
        case("put part where one was", &[ops.placed(0, 1, 0), ops.delete(0, 1)], ops.placed(0, 1, 1)),
        case("put prefix", &[], ops.prefix(0, 1)),
        case("put prefix beside others", &[ops.placed(0, 1, 0), ops.placed(0, 4, 0)], ops.prefix(0, 2)),
        join("join neighbours", &[ops.placed(0, 1, 0), ops.placed(0, 2, 0)], &[1, 2]),
        join("join a part and a prefix", &[ops.placed(0, 1, 0), ops.prefix(0, 2)], &[1, 2]),
        join("join parts of their own", &[ops.anywhere(0, 1, 0), ops.anywhere(0, 2, 0)], &[1, 2]),
        join("join with a gap", &with_gap[..3], &[1, 2, 3]),
        join("join in another order", &[ops.placed(0, 1, 0), ops.placed(0, 2, 0)], &[2, 1]),
        case("delete placed part", &ops.session(0), ops.delete(0, 1)),
        case("delete last placed part", &[ops.placed(0, 1, 0)], ops.delete(0, 1)),
        case("delete part of its own", &[ops.anywhere(0, 1, 0)], ops.delete(0, 1)),
        case("delete session", &with_gap, ops.clear(0)),
        case("assemble in place", &ops.session(0), ops.assemble(0, &ALL)),
        case("assemble with a gap", &with_gap, ops.assemble(0, &ALL)),
        case("assemble in another order", &ops.session(0), ops.assemble(0, &[(0, 2), (0, 1), (0, 4)])),
        case("assemble some", &full_and_deleted, ops.assemble(0, &ALL[..3])),
        case("assemble two sessions", &[ops.session(0), ops.session(1)].concat(), ops.assemble(0, &[(0, 1), (1, 2)])),
        case("assemble nothing", &[], ops.assemble(0, &[])),
        case("assemble again", &[vec![ops.whole(0)], ops.session(0)].concat(), ops.assemble(0, &ALL)),
        case("void", &[], Op::Void { file: ops.file(0) }),
        case("delete final", &[ops.whole(0)], Op::DeleteFinal { file: ops.file(0) }),
        case(
            "delete assembled final",
            &[ops.session(0), vec![ops.assemble(0, &ALL)]].concat(),
            Op::DeleteFinal { file: ops.file(0) },
        ),
        then(case("create record", &[], create.clone()), vec![get.clone(), create.clone()]),
        then(case("replace record", std::slice::from_ref(&create), replace.clone()), vec![get, replace]),
        case("delete record", &[create], Op::DeleteRecord { record, which: None }),
        case("sweep what a put left", &[ops.cut_off(0, 1)], Op::Sweep),
        case("sweep what was deleted", &[ops.placed(0, 1, 0), ops.delete(0, 1)], Op::Sweep),
        case("sweep the data of a final", &[ops.whole(0), Op::DeleteFinal { file: ops.file(0) }], Op::Sweep),
        case("interrupt", &[ops.placed(0, 1, 0)], Op::Interrupt { session: names.sessions[0].clone() }),
    ]
}

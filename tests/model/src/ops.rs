//! The operations of tasks, as data, and their random choice.

use crate::content::Content;
use crate::names::{File, NUMBERS, Names, Rec, Session, Slot};
use portico_store::{IfExists, Scope};

/// An operation.
#[derive(Clone, Debug)]
pub(crate) enum Op {
    PutPart { slot: Slot, content: Content, offset: Option<u64>, unless: Option<File>, how: How },
    PutFinal { file: File, content: Content, how: How },
    Join { slot: Slot, parts: Vec<(Slot, Which)> },
    DeletePart { slot: Slot, which: Which },
    ReadPart { slot: Slot, which: Which },
    StatPart { slot: Slot, which: Which },
    ListParts { session: Session, page: u32 },
    ListSessions { scope: Scope, page: u32 },
    ListFinals { scope: Scope, page: u32 },
    ListRecords { scope: Scope, prefix: &'static str, page: u32 },
    DeleteSession { session: Session },
    Interrupt { session: Session },
    Assemble { file: File, parts: Vec<(Slot, Which)>, how: How },
    ReadFinal { file: File, piece: bool },
    Stat { file: File },
    DeleteFinal { file: File },
    Void { file: File },
    CreateRecord { record: Rec },
    ReplaceRecord { record: Rec, which: Which },
    DeleteRecord { record: Rec, which: Option<Which> },
    GetRecord { record: Rec },
    Sweep,
}

/// How content is sent, and what its caller claims.
#[derive(Clone, Copy, Debug)]
pub(crate) struct How {
    pub(crate) if_exists: IfExists,
    pub(crate) size: Claimed,
    pub(crate) sha256: Claimed,
    /// The claim is made at the end, not at the beginning.
    pub(crate) late: bool,
    /// The offset at which the source fails.
    pub(crate) cut: Option<usize>,
    /// The part keeps what had arrived when its source failed.
    pub(crate) keep: bool,
}

/// What is claimed of content in advance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Claimed {
    Nothing,
    Truth,
    Lie,
}

/// Which of the observed keys or versions of a name.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Which {
    Latest,
    /// An earlier one, counted back from the latest.
    Earlier(usize),
}

impl How {
    /// Sends all content, and claims the truth where the contract needs a claim.
    pub(crate) fn plain(if_exists: IfExists) -> Self {
        How { if_exists, size: Claimed::Truth, sha256: Claimed::Nothing, late: false, cut: None, keep: false }
    }

    fn random(rng: &mut fastrand::Rng, size: usize) -> Self {
        let claim = |rng: &mut fastrand::Rng| match rng.u8(..100) {
            0..4 => Claimed::Lie,
            4..40 => Claimed::Nothing,
            _ => Claimed::Truth,
        };
        How {
            if_exists: if rng.bool() { IfExists::Fail } else { IfExists::SameContentOk },
            size: claim(rng),
            sha256: claim(rng),
            late: rng.u8(..5) == 0,
            cut: (rng.u8(..12) == 0).then(|| rng.usize(..=size)),
            keep: false,
        }
    }

    /// As this, and keeps what had arrived; such a part has no digest, and claims nothing at its end.
    fn keeping(self, rng: &mut fastrand::Rng, size: usize) -> Self {
        let claimed = if self.size == Claimed::Lie { Claimed::Truth } else { self.size };
        let cut = self.cut.or_else(|| rng.bool().then(|| rng.usize(..=size)));
        How { size: claimed, sha256: Claimed::Nothing, late: false, cut, keep: true, ..self }
    }
}

/// A size in bytes: mostly small, often at a border of a backend's buffers, seldom one of these.
pub(crate) fn random_size(rng: &mut fastrand::Rng, also: &[usize]) -> usize {
    match rng.u8(..20) {
        _ if !also.is_empty() && rng.u8(..16) == 0 => *pick(rng, also),
        0..2 => 0,
        2..5 => rng.usize(1..100),
        5..11 => rng.usize(100..70_000),
        11..13 => (64 << 10) - 1 + rng.usize(..3),
        13..17 => (512 << 10) - 1 + rng.usize(..3),
        17 => (1 << 20) + 1,
        18 => rng.usize(600_000..1_500_000),
        _ => 1_500_000,
    }
}

fn pick<'a, T>(rng: &mut fastrand::Rng, from: &'a [T]) -> &'a T {
    &from[rng.usize(..from.len())]
}

fn which(rng: &mut fastrand::Rng) -> Which {
    if rng.u8(..8) == 0 { Which::Earlier(rng.usize(1..4)) } else { Which::Latest }
}

impl Op {
    /// A random operation on the names of a run.
    pub(crate) fn random(rng: &mut fastrand::Rng, names: &Names) -> Op {
        let session = pick(rng, &names.sessions).clone();
        let slot = Slot(session.clone(), rng.u32(1..=NUMBERS));
        // The files of this life are the last ones; earlier ones are mostly decided.
        let recent = names.files.len().saturating_sub(3);
        let file = if rng.u8(..6) == 0 { pick(rng, &names.files) } else { pick(rng, &names.files[recent..]) }.clone();
        let record = pick(rng, &names.records).clone();
        let scope = pick(rng, &names.scopes).clone();
        let page = *pick(rng, &[1, 2, 1_000]);
        match rng.u32(..132) {
            0..32 => Self::put_part(rng, names, slot),
            32..40 => {
                let content = match rng.u8(..3) {
                    0 => Content::of(random_size(rng, &[]), rng.u64(..2)),
                    _ => names.whole(names.index(&session)),
                };
                let how = How::random(rng, content.bytes.len());
                Op::PutFinal { file, content, how }
            }
            40..45 => Op::DeletePart { slot, which: which(rng) },
            45..51 => Op::ReadPart { slot, which: which(rng) },
            51..56 => Op::ListParts { session, page },
            56..58 => Op::ListSessions { scope, page },
            58..60 => Op::ListFinals { scope, page },
            60..62 => Op::ListRecords { scope, prefix: ["", "x", "x/2"][rng.usize(..3)], page },
            62..65 => Op::DeleteSession { session },
            65..68 => Op::Interrupt { session },
            68..86 => Self::assemble(rng, names, &session, file),
            86..91 => Op::ReadFinal { file, piece: rng.bool() },
            91..94 => Op::Stat { file },
            94..97 => Op::DeleteFinal { file },
            97..101 => Op::Void { file },
            101..104 => Op::CreateRecord { record },
            104..109 => Op::ReplaceRecord { record, which: which(rng) },
            109..111 => Op::DeleteRecord { record, which: rng.bool().then(|| which(rng)) },
            111..115 => Op::GetRecord { record },
            115..117 => Op::StatPart { slot, which: which(rng) },
            117..127 => Self::join(rng, names, slot),
            _ => Op::Sweep,
        }
    }

    /// A client's frequent next operation: the part again, or a finalize.
    pub(crate) fn followed_by(&self, done: bool, rng: &mut fastrand::Rng, names: &Names) -> Option<Op> {
        if rng.bool() {
            return None;
        }
        if let (Op::Join { slot, parts }, true) = (self, done) {
            return Some(Self::assemble_join(rng, names, slot, parts));
        }
        let Op::PutPart { slot, .. } = self else { return None };
        let (session, number) = (names.index(&slot.0), slot.1);
        if !done {
            return Some(Op::PutPart {
                slot: slot.clone(),
                content: Content::of(names.size(session, number), rng.u64(..2)),
                offset: Some(names.offset(session, number)),
                unless: None,
                how: How::plain(IfExists::SameContentOk),
            });
        }
        let files: Vec<&File> = names.files.iter().rev().take(3).filter(|file| file.0 == slot.0.0).collect();
        let file = (*pick(rng, &files)).clone();
        (rng.u8(..3) == 0).then(|| Self::assemble(rng, names, &slot.0, file))
    }

    /// A part, mostly of the planned size at the planned offset, with one of two contents.
    fn put_part(rng: &mut fastrand::Rng, names: &Names, slot: Slot) -> Op {
        let at = names.index(&slot.0);
        let size = if rng.u8(..10) == 0 { random_size(rng, &[]) } else { names.size(at, slot.1) };
        let content = Content::of(size, rng.u64(..3) / 2);
        let offset = match rng.u8(..10) {
            0 => None,
            1 => Some(rng.u64(..1_000_000)),
            _ => Some(names.offset(at, slot.1)),
        };
        let mut how = How::random(rng, size);
        if rng.bool() {
            how = How { if_exists: how.if_exists, ..How::plain(how.if_exists) };
        }
        if rng.u8(..3) == 0 {
            how = how.keeping(rng, size);
        }
        let files: Vec<&File> = names.files.iter().rev().take(3).filter(|file| file.0 == slot.0.0).collect();
        let unless = (rng.u8(..3) == 0).then(|| (*pick(rng, &files)).clone());
        Op::PutPart { slot, content, offset, unless, how }
    }

    /// A join, mostly of neighbours in order.
    fn join(rng: &mut fastrand::Rng, names: &Names, slot: Slot) -> Op {
        let others = |session: &Session| -> Vec<(Slot, Which)> {
            let numbers = (1..=NUMBERS).filter(|number| *number != slot.1);
            numbers.map(|number| (Slot(session.clone(), number), Which::Latest)).collect()
        };
        let mut parts = others(&slot.0);
        match rng.u8(..20) {
            0 => rng.shuffle(&mut parts),
            1 => parts.extend(others(pick(rng, &names.sessions)).into_iter().take(1)),
            2 => parts[0].1 = Which::Earlier(1),
            3 => parts[0].0.1 = slot.1,
            4..8 => {}
            _ => drop(parts.remove([0, parts.len() - 1][rng.usize(..2)])),
        }
        Op::Join { slot, parts }
    }

    /// An assembly of a join and the other parts of its session.
    fn assemble_join(rng: &mut fastrand::Rng, names: &Names, slot: &Slot, joined: &[(Slot, Which)]) -> Op {
        let is_other = |other: &Slot| other != slot && joined.iter().all(|(part, _)| part != other);
        let others = (1..=NUMBERS).map(|number| Slot(slot.0.clone(), number)).filter(is_other);
        let parts = std::iter::once(slot.clone()).chain(others).map(|slot| (slot, Which::Latest)).collect();
        let files: Vec<&File> = names.files.iter().rev().take(3).filter(|file| file.0 == slot.0.0).collect();
        let file = (*pick(rng, &files)).clone();
        Op::Assemble { file, parts, how: How { sha256: Claimed::Truth, ..How::plain(IfExists::SameContentOk) } }
    }

    /// An assembly, mostly of all parts of one session in order.
    fn assemble(rng: &mut fastrand::Rng, names: &Names, session: &Session, file: File) -> Op {
        // The parts of a session become a file of its own scope.
        let sessions: Vec<&Session> = names.sessions.iter().filter(|there| there.0 == file.0).collect();
        let session = if session.0 == file.0 { session } else { *pick(rng, &sessions) };
        let slots =
            |session: &Session| (1..=NUMBERS).map(|number| (Slot(session.clone(), number), Which::Latest)).collect();
        let mut parts: Vec<(Slot, Which)> = slots(session);
        match rng.u8(..20) {
            0..2 => parts.truncate(rng.usize(..=parts.len())),
            2 => rng.shuffle(&mut parts),
            3 => parts.extend(slots(sessions[rng.usize(..sessions.len())])),
            4 => parts[0].1 = Which::Earlier(1),
            5 => drop(parts.remove(rng.usize(..parts.len()))),
            _ => {}
        }
        let how = How { cut: None, late: false, ..How::random(rng, 0) };
        Op::Assemble { file, parts, how }
    }
}

//! Doing an operation, and noting what it answered as acts at names.
//!
//! An answer that the contract does not know in any state is noted as wrong at once; whether it fits the others is for
//! [`crate::check`].

mod assemble;
mod join;
mod lists;
mod parts;
pub(crate) mod small;

use crate::World;
use crate::content::{Content, Source, Stamp, drain};
use crate::faults::Faults;
use crate::history::{At, Entry, History, Id};
use crate::names::{File, Names, Slot};
use crate::ops::{Claimed, How, Op, Which};
use crate::spec::FileAct;
use portico_store::{
    Backend, ByteRange, Digest, Error, Expected, FinalOptions, FinalReceipt, IfExists, TempKey, Upload,
};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;

/// A host that operations are done on.
#[derive(Clone)]
pub(crate) struct Host {
    pub(crate) backend: Arc<dyn Backend>,
    pub(crate) faults: Arc<Faults>,
    pub(crate) history: Arc<History>,
    pub(crate) names: Arc<Names>,
    pub(crate) promises: Promises,
}

/// What a world promises, of what others leave open.
#[derive(Clone, Copy)]
pub(crate) struct Promises {
    /// See [`World::assembly_is_atomic`].
    pub(crate) assembly_is_atomic: bool,
    /// See [`World::failures_are_certain`].
    pub(crate) failures_are_certain: bool,
}

impl Promises {
    pub(crate) fn of(world: &dyn World) -> Self {
        Promises { assembly_is_atomic: world.assembly_is_atomic(), failures_are_certain: world.failures_are_certain() }
    }
}

/// How an operation ended, for whoever did it alone.
pub(crate) type Outcome = Result<(), Error>;

/// Polls a future so many times, then drops it.
pub(crate) async fn abandon<T>(future: impl Future<Output = T>, polls: u32) -> Option<T> {
    let mut future = pin!(future);
    let mut left = polls;
    std::future::poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending if left == 0 => Poll::Ready(None),
        Poll::Pending => {
            left -= 1;
            Poll::Pending
        }
    })
    .await
}

impl Host {
    /// Does an operation.
    pub(crate) async fn perform(&self, op: Op, rng: &mut fastrand::Rng) -> Outcome {
        match op {
            Op::PutPart { slot, content, offset, unless, how } => {
                self.put_part(&slot, &content, offset, unless, how, rng).await
            }
            Op::Join { slot, parts } => self.join(&slot, &parts, rng).await,
            Op::PutFinal { file, content, how } => self.put_final(&file, &content, how, rng).await,
            Op::DeletePart { slot, which } => self.delete_part(&slot, which).await,
            Op::ReadPart { slot, which } => self.read_part(&slot, which, rng).await,
            Op::Assemble { file, parts, how } => self.assemble(&file, &parts, how, rng).await,
            Op::ReadFinal { file, piece } => self.read_final(&file, piece, rng).await,
            other => self.perform_small(other, rng).await,
        }
    }

    /// Notes an error that no state excuses, unless the host is dead, or fails without knowing what it did: then nothing
    /// is known of what was done, as if it had never answered.
    pub(crate) fn unexpected(&self, id: Id, error: &Error) {
        if !self.faults.is_dead() && !self.is_in_doubt(error) {
            use std::error::Error as _;
            let cause = error.source().map(|cause| format!(" ({cause})")).unwrap_or_default();
            self.history.wrong(id, format!("answered: {error}{cause}"));
        }
    }

    fn is_in_doubt(&self, error: &Error) -> bool {
        !self.promises.failures_are_certain && matches!(error, Error::Unavailable { .. })
    }

    /// The key of a write at a part number, if one was seen.
    pub(crate) fn key(&self, slot: &Slot, which: Which) -> Option<TempKey> {
        let keys = self.history.keys(slot);
        match which {
            Which::Latest => keys.last().cloned(),
            Which::Earlier(back) => keys.iter().rev().nth(back).or(keys.first()).cloned(),
        }
    }

    /// Notes that content was refused for what was claimed of it.
    fn refused_for_content(&self, id: Id, error: &Error, how: &How) {
        let excused = match error {
            Error::SizeMismatch { .. } => how.size == Claimed::Lie,
            Error::DigestMismatch => how.sha256 == Claimed::Lie,
            _ => false,
        };
        if excused {
            self.history.answer(id, error.to_string(), Vec::new());
        } else {
            self.unexpected(id, error);
        }
    }

    async fn put_final(&self, file: &File, content: &Content, how: How, rng: &mut fastrand::Rng) -> Outcome {
        let stamp = content.stamp;
        self.history.sends(content);
        let what = format!("put final {} {stamp:?} {how:?}", file_name(file));
        let id = self.history.call(Entry { what, ..Entry::default() });
        let (early, late) = expected(&how, &stamp, rng);
        let options = final_options(id, early, how.if_exists);
        let mut source = Source::new(content, how.cut, rng.fork());
        let put = async {
            let mut upload = Upload::final_object(&*self.backend, &file.0, &file.1, options).await?;
            upload.pull(&mut source).await?;
            self.history.may_do(id, vec![At::File(file.clone(), FileAct::Made { maker: id, stamp })]);
            upload.finish(late).await
        };
        let result = put.await;
        if result.is_ok() && (how.cut.is_some() || lies(&how)) {
            self.history.wrong(id, "stored what it should have refused");
        }
        match &result {
            Err(Error::Interrupted { .. }) if how.cut.is_some() => {
                self.history.answer(id, "interrupted".to_owned(), Vec::new());
            }
            result => {
                if let Some(acts) = self.made(id, file, &stamp, &how, result) {
                    self.history.answer(id, text(result), acts);
                }
            }
        }
        result.map(drop)
    }

    /// What a put or assembly of a final object did or saw at its id; `None` if it answered what it may not.
    fn made(
        &self,
        id: Id,
        file: &File,
        stamp: &Stamp,
        how: &How,
        result: &Result<FinalReceipt, Error>,
    ) -> Option<Vec<At>> {
        let act = match result {
            Ok(receipt) => {
                let maker = self.maker(id, file, receipt)?;
                if Stamp::from(receipt) != *stamp || (!receipt.replayed && maker != id) {
                    self.history.wrong(id, format!("the receipt is of something else: {receipt:?}"));
                }
                if receipt.replayed {
                    FileAct::Seen { maker, stamp: *stamp }
                } else {
                    FileAct::Made { maker, stamp: *stamp }
                }
            }
            Err(Error::Conflict) => {
                let other_than = (how.if_exists == IfExists::SameContentOk && !lies(how)).then_some(*stamp);
                FileAct::Conflict { other_than }
            }
            Err(Error::Gone(reason)) => FileAct::Gone { reason: reason.clone() },
            Err(error) => {
                self.refused_for_content(id, error, how);
                return None;
            }
        };
        Some(vec![At::File(file.clone(), act)])
    }

    /// The call that made an object, as its metadata says.
    pub(crate) fn maker(&self, id: Id, file: &File, receipt: &FinalReceipt) -> Option<Id> {
        let maker = match &receipt.metadata[..] {
            [(key, value)] if key == "maker" => value.parse().ok(),
            _ => None,
        };
        self.history.saw_final(file, &receipt.key);
        let typed = maker.map(|maker: Id| format!("model/{maker}"));
        if maker.is_none() || receipt.content_type != typed || receipt.file != file.1 {
            self.history.wrong(id, format!("a receipt that nobody's write has: {receipt:?}"));
        }
        maker
    }

    async fn read_final(&self, file: &File, piece: bool, rng: &mut fastrand::Rng) -> Outcome {
        let (receipt, reader) = if rng.bool() {
            let Some(reader) = self.open_final(file).await? else { return Ok(()) };
            (reader.receipt().clone(), Some(reader))
        } else {
            let Some(receipt) = self.stat(file).await? else { return Ok(()) };
            (receipt, None)
        };
        let range = if piece {
            let start = rng.u64(..=receipt.size);
            ByteRange { start, end: rng.bool().then(|| rng.u64(start..=receipt.size)) }
        } else {
            ByteRange::default()
        };
        let what = format!("read final {} {range:?}", file_name(file));
        let id = self.history.call(Entry { what, ..Entry::default() });
        let opened = match &reader {
            Some(reader) => reader.stream(range).await,
            None => self.backend.read_final(&file.0, &receipt.key, range).await,
        };
        let now = self.history.now();
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(Error::Gone(reason)) => {
                let act = At::File(file.clone(), FileAct::Gone { reason });
                self.history.answer_at(id, now, "gone".to_owned(), vec![act], None);
                return Ok(());
            }
            Err(error) => {
                self.unexpected(id, &error);
                return Err(error);
            }
        };
        let read = drain(&mut *stream, rng).await.inspect_err(|error| self.unexpected(id, error))?;
        let stamp = Stamp::from(&receipt);
        let within = range.within(receipt.size);
        let (start, end) = within.inspect_err(|error| self.unexpected(id, error))?;
        let sent = self.history.content(&stamp);
        if sent.is_none_or(|sent| sent[start as usize..end as usize] != read) {
            self.history.wrong(id, format!("its stream is not the content of {stamp:?} that was sent"));
        }
        let maker = self.maker(id, file, &receipt).unwrap_or_default();
        // A reader may serve an object that has been deleted since it was opened.
        let act = reader.is_none().then(|| At::File(file.clone(), FileAct::Seen { maker, stamp }));
        self.history.answer_at(id, now, format!("{} bytes", read.len()), act.into_iter().collect(), None);
        Ok(())
    }
}

impl From<&FinalReceipt> for Stamp {
    fn from(receipt: &FinalReceipt) -> Self {
        Stamp { size: receipt.size, sha256: receipt.sha256 }
    }
}

/// What the metadata of an object say of who made it.
pub(crate) fn final_options(id: Id, expected: Expected, if_exists: IfExists) -> FinalOptions {
    FinalOptions {
        expected,
        if_exists,
        content_type: Some(format!("model/{id}")),
        metadata: vec![("maker".to_owned(), id.to_string())],
    }
}

/// What is claimed at the beginning and at the end.
pub(crate) fn expected(how: &How, stamp: &Stamp, rng: &mut fastrand::Rng) -> (Expected, Expected) {
    let size = match how.size {
        Claimed::Nothing => None,
        Claimed::Truth => Some(stamp.size),
        Claimed::Lie if rng.bool() || stamp.size == 0 => Some(stamp.size + 1),
        Claimed::Lie => Some(stamp.size - 1),
    };
    let sha256 = match how.sha256 {
        Claimed::Nothing => None,
        Claimed::Truth => Some(stamp.sha256),
        Claimed::Lie => Some(Digest([7; 32])),
    };
    let expected = Expected { size, sha256, ..Expected::default() };
    if how.late { (Expected::default(), expected) } else { (expected, Expected::default()) }
}

/// Whether something untrue is claimed.
pub(crate) fn lies(how: &How) -> bool {
    how.size == Claimed::Lie || how.sha256 == Claimed::Lie
}

/// A result for a person.
pub(crate) fn text<T: std::fmt::Debug>(result: &Result<T, Error>) -> String {
    match result {
        Ok(value) => format!("{value:?}"),
        Err(error) => error.to_string(),
    }
}

/// A part number for a person.
pub(crate) fn name(slot: &Slot) -> String {
    format!("{}:{}/{}", slot.0.0, slot.0.1, slot.1)
}

/// A file id for a person.
pub(crate) fn file_name(file: &File) -> String {
    format!("{}:{}", file.0, file.1)
}

//! Parts.

use super::{Host, Outcome, expected, file_name, lies, name};
use crate::content::{Content, Source, Stamp, drain};
use crate::history::{At, Entry, Excuse, Id};
use crate::names::{File, Slot};
use crate::ops::{How, Which};
use crate::spec::{FileAct, SlotAct, Write};
use portico_store::{ByteRange, Error, IfExists, PartOptions, PartReceipt, Upload};

impl Host {
    pub(super) async fn put_part(
        &self,
        slot: &Slot,
        content: &Content,
        offset: Option<u64>,
        unless: Option<File>,
        how: How,
        rng: &mut fastrand::Rng,
    ) -> Outcome {
        let mut stamp = content.stamp;
        self.history.sends(content);
        let for_file = unless.as_ref().map(|file| format!(" for {}", file_name(file))).unwrap_or_default();
        let what = format!("put part {} {stamp:?} at {offset:?}{for_file} {how:?}", name(slot));
        let id = self.history.call(Entry { what, ..Entry::default() });
        let (early, late) = expected(&how, &stamp, rng);
        let unless_final = unless.as_ref().map(|file| file.1.clone());
        let options = PartOptions {
            expected: early,
            if_exists: how.if_exists,
            offset,
            want_sha256: rng.bool(),
            unless_final,
            keep_prefix: how.keep,
            ..PartOptions::default()
        };
        let mut source = Source::new(content, how.cut, rng.fork());
        let put = async {
            let mut upload = Upload::part(&*self.backend, &slot.0.0, &slot.0.1, slot.1, options).await?;
            upload.pull(&mut source).await?;
            if how.keep {
                let arrived = content.prefix(upload.received());
                self.history.sends(&arrived);
                stamp = arrived.stamp;
            }
            let put = SlotAct::Put { write: Write::Unanswered(id), stamp };
            self.history.may_do(id, vec![At::Slot(slot.clone(), put)]);
            upload.finish(late).await
        };
        let result = put.await;
        let refused = |act| vec![At::Slot(slot.clone(), act)];
        match &result {
            Ok(receipt) => {
                self.check_part(id, slot, receipt, &stamp);
                let sent = how.cut.map_or(content.stamp.size, |cut| content.stamp.size.min(cut as u64));
                let keeps = how.keep && stamp.size > 0;
                if (how.cut.is_some() && !keeps) || lies(&how) {
                    self.history.wrong(id, "stored what it should have refused");
                }
                // Of what the source sent, only an interrupt loses the end.
                let excuse = (stamp.size < sent).then(|| Excuse::Interrupted(slot.0.clone()));
                let token = receipt.key.token.to_string();
                let act = if receipt.replayed {
                    self.history.saw_key(slot, &receipt.key);
                    SlotAct::Replayed { token, stamp, answered: false }
                } else {
                    if receipt.offset != offset {
                        self.history.wrong(id, format!("the receipt's offset is {:?}", receipt.offset));
                    }
                    self.history.stored(id, slot, &receipt.key, stamp);
                    SlotAct::Put { write: Write::Token(token), stamp }
                };
                let absent = unless.map(|file| At::File(file, FileAct::Absent));
                let acts = absent.into_iter().chain(refused(act)).collect();
                let now = self.history.now();
                self.history.answer_at(id, now, format!("{receipt:?}"), acts, excuse);
            }
            Err(error @ Error::Ended) => match unless {
                Some(file) => self.ended(id, slot, file, stamp),
                None => self.unexpected(id, error),
            },
            Err(Error::Conflict) => {
                let other_than = (how.if_exists == IfExists::SameContentOk && !lies(&how)).then_some(stamp);
                self.history.answer(id, "conflict".to_owned(), refused(SlotAct::Conflict { other_than }));
            }
            Err(Error::Interrupted { .. }) => {
                let by_source = if how.keep { how.cut == Some(0) } else { how.cut.is_some() };
                let excuse = (!by_source).then(|| Excuse::Interrupted(slot.0.clone()));
                let now = self.history.now();
                self.history.answer_at(id, now, "interrupted".to_owned(), Vec::new(), excuse);
            }
            // The part of the comparison was deleted meanwhile.
            Err(error @ Error::Unavailable { .. })
                if how.if_exists == IfExists::SameContentOk && !self.is_in_doubt(error) =>
            {
                self.history.answer(id, "unavailable".to_owned(), refused(SlotAct::Absent));
            }
            Err(error) => self.refused_for_content(id, error, &how),
        }
        result.map(drop)
    }

    /// Records that a part was refused because something existed under a file id. Where the backend is not atomic, it
    /// may have existed until it was removed.
    fn ended(&self, id: Id, slot: &Slot, file: File, stamp: Stamp) {
        self.history.answer(id, "ended".to_owned(), vec![At::File(file, FileAct::Decided)]);
        if !self.promises.assembly_is_atomic {
            let put = SlotAct::Put { write: Write::Unanswered(id), stamp };
            let acts = [put, SlotAct::Cleared].map(|act| At::Slot(slot.clone(), act));
            self.history.may_have_done(id, acts.to_vec());
        }
    }

    fn check_part(&self, id: Id, slot: &Slot, receipt: &PartReceipt, stamp: &Stamp) {
        let right = receipt.key.session == slot.0.1
            && receipt.key.number == slot.1
            && receipt.size == stamp.size
            && receipt.sha256.is_none_or(|sha256| sha256 == stamp.sha256);
        if !right {
            self.history.wrong(id, format!("the receipt is of something else: {receipt:?}"));
        }
    }

    pub(super) async fn delete_part(&self, slot: &Slot, which: Which) -> Outcome {
        let Some(key) = self.key(slot, which) else { return Ok(()) };
        let token = key.token.to_string();
        let taken = At::Slot(slot.clone(), SlotAct::Taken { token: token.clone(), answered: false });
        let what = format!("delete part {} {token:.6}", name(slot));
        let id = self.history.call(Entry { what, acts: vec![taken.clone()], ..Entry::default() });
        let result = self.backend.delete_part(&slot.0.0, &key).await;
        match &result {
            Ok(true) => self.history.answer(id, "true".to_owned(), vec![taken]),
            Ok(false) => {
                let act = SlotAct::NotThere { token };
                self.history.answer(id, "false".to_owned(), vec![At::Slot(slot.clone(), act)]);
            }
            Err(error) => self.unexpected(id, error),
        }
        result.map(drop)
    }

    pub(crate) async fn read_part(&self, slot: &Slot, which: Which, rng: &mut fastrand::Rng) -> Outcome {
        let Some(key) = self.key(slot, which) else { return Ok(()) };
        let token = key.token.to_string();
        let id = self.history.call(Entry { what: format!("read part {} {token:.6}", name(slot)), ..Entry::default() });
        let opened = self.backend.read_part(&slot.0.0, &key, ByteRange::default()).await;
        let now = self.history.now();
        let mut stream = match opened {
            Ok(stream) => stream,
            Err(Error::NotFound) => {
                let act = SlotAct::NotThere { token };
                self.history.answer_at(id, now, "not found".to_owned(), vec![At::Slot(slot.clone(), act)], None);
                return Err(Error::NotFound);
            }
            Err(error) => {
                self.unexpected(id, &error);
                return Err(error);
            }
        };
        match drain(&mut *stream, rng).await {
            Ok(bytes) => {
                let stamp = Stamp::of(&bytes);
                self.history.saw_content(id, slot, &token, stamp);
                let act = SlotAct::Seen { token, stamp, answered: false };
                self.history.answer_at(id, now, format!("{stamp:?}"), vec![At::Slot(slot.clone(), act)], None);
                Ok(())
            }
            Err(error) => {
                self.unexpected(id, &error);
                Err(error)
            }
        }
    }
}

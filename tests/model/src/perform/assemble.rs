//! Assemblies.

use super::{Host, Outcome, expected, file_name, final_options, lies, name, text};
use crate::content::Content;
use crate::history::{Assembly, At, Entry, Excuse, Id};
use crate::names::{File, Slot};
use crate::ops::{How, Which};
use crate::spec::{FileAct, SlotAct};
use bytes::Bytes;
use portico_store::{Argument, Error, FinalReceipt, IfExists, TempKey, assemble_final};
use std::collections::HashSet;

impl Host {
    pub(super) async fn assemble(
        &self,
        file: &File,
        parts: &[(Slot, Which)],
        how: How,
        rng: &mut fastrand::Rng,
    ) -> Outcome {
        let parts: Vec<(Slot, TempKey)> =
            parts.iter().filter_map(|(slot, which)| Some((slot.clone(), self.key(slot, *which)?))).collect();
        // A claim about the whole needs the content of each part; the content of a write that never returned must be
        // read.
        for (slot, key) in &parts {
            if self.history.content_of(key.token.as_str()).is_none() {
                let _ = self.read_part(slot, Which::Latest, rng).await;
            }
        }
        let pieces: Option<Vec<Content>> =
            parts.iter().map(|(_, key)| self.history.content_of(key.token.as_str())).collect();
        // Unreadable content belongs to a missing part, which the answer must report.
        let content =
            Content::from(Bytes::from(pieces.unwrap_or_default().iter().fold(Vec::new(), |mut whole, piece| {
                whole.extend_from_slice(&piece.bytes);
                whole
            })));
        self.history.sends(&content);
        let id = self.history.reserve();
        let keys: Vec<TempKey> = parts.iter().map(|(_, key)| key.clone()).collect();
        let sessions: Vec<_> =
            parts.iter().map(|(slot, _)| slot.0.clone()).collect::<HashSet<_>>().into_iter().collect();
        let stamp = content.stamp;
        let mut may_do = vec![At::File(file.clone(), FileAct::Made { maker: id, stamp })];
        may_do.extend(taken(&parts));
        let names: Vec<String> =
            parts.iter().map(|(slot, key)| format!("{}#{:.6}", name(slot), key.token.as_str())).collect();
        self.history.call_as(
            id,
            Entry {
                what: format!("assemble {} of {names:?} {stamp:?} {how:?}", file_name(file)),
                acts: may_do,
                ends_puts: sessions.clone(),
                assembly: Some(Assembly { file: file.clone(), may_replay: how.if_exists == IfExists::SameContentOk }),
                ..Entry::default()
            },
        );
        let options = final_options(id, expected(&how, &stamp, rng).0, how.if_exists);
        let result = assemble_final(&*self.backend, &file.0, &file.1, &keys, options).await;
        if result.is_ok() && lies(&how) {
            self.history.wrong(id, "assembled what it should have refused");
        }
        if self.faults.is_dead() && !self.promises.assembly_is_atomic {
            // The host died between the object and the end of the parts, or before, so no caller got this answer.
            return result.map(drop);
        }
        let (acts, excuse) = match &result {
            Err(Error::NotFound) => {
                let missing = |(slot, key): &(Slot, TempKey)| {
                    At::Slot(slot.clone(), SlotAct::NotThere { token: key.token.to_string() })
                };
                (Vec::new(), Some(Excuse::OneOf(parts.iter().map(missing).collect())))
            }
            Err(Error::InvalidArgument(Argument::Parts)) if repeats(&keys) => (Vec::new(), None),
            result => match self.assembled(id, file, &stamp, &how, &parts, result) {
                Some(acts) => {
                    let refused = matches!(result, Err(Error::Conflict));
                    (acts, refused.then_some(Excuse::OtherAssembly(sessions)))
                }
                None => return result.as_ref().map(drop).map_err(Error::repeat),
            },
        };
        let now = self.history.now();
        self.history.answer_at(id, now, text(&result), acts, excuse);
        if result.is_ok() && !self.promises.assembly_is_atomic {
            self.history.goes_on(id, ended(&parts).collect(), &self.faults);
        }
        result.map(drop)
    }

    fn assembled(
        &self,
        id: Id,
        file: &File,
        stamp: &crate::Stamp,
        how: &How,
        parts: &[(Slot, TempKey)],
        result: &Result<FinalReceipt, Error>,
    ) -> Option<Vec<At>> {
        let mut acts = self.made(id, file, stamp, how, result)?;
        if result.is_ok() && self.promises.assembly_is_atomic {
            acts.extend(taken(parts));
        } else if result.is_ok() {
            acts.extend(used(parts));
        }
        Some(acts)
    }
}

fn taken(parts: &[(Slot, TempKey)]) -> impl Iterator<Item = At> {
    parts
        .iter()
        .map(|(slot, key)| At::Slot(slot.clone(), SlotAct::Taken { token: key.token.to_string(), answered: false }))
}

/// Each existed.
fn used(parts: &[(Slot, TempKey)]) -> impl Iterator<Item = At> {
    parts
        .iter()
        .map(|(slot, key)| At::Slot(slot.clone(), SlotAct::Used { token: key.token.to_string(), answered: false }))
}

/// Each exists no more.
fn ended(parts: &[(Slot, TempKey)]) -> impl Iterator<Item = At> {
    parts.iter().map(|(slot, key)| At::Slot(slot.clone(), SlotAct::Ended { token: key.token.to_string() }))
}

fn repeats(keys: &[TempKey]) -> bool {
    keys.iter().collect::<HashSet<_>>().len() < keys.len()
}

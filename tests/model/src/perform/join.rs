//! Joins.

use super::{Host, Outcome, name, text};
use crate::content::Content;
use crate::history::{At, Entry, Excuse};
use crate::names::Slot;
use crate::ops::Which;
use crate::spec::{SlotAct, Write};
use bytes::Bytes;
use portico_store::{Argument, Error, TempKey, join_parts};
use std::collections::HashSet;

impl Host {
    pub(super) async fn join(&self, slot: &Slot, parts: &[(Slot, Which)], rng: &mut fastrand::Rng) -> Outcome {
        let parts: Vec<(Slot, TempKey)> =
            parts.iter().filter_map(|(slot, which)| Some((slot.clone(), self.key(slot, *which)?))).collect();
        for (slot, key) in &parts {
            if self.history.content_of(key.token.as_str()).is_none() {
                let _ = self.read_part(slot, Which::Latest, rng).await;
            }
        }
        let pieces: Option<Vec<Content>> =
            parts.iter().map(|(_, key)| self.history.content_of(key.token.as_str())).collect();
        let bytes = pieces.unwrap_or_default().iter().flat_map(|piece| piece.bytes.to_vec()).collect::<Vec<u8>>();
        let content = Content::from(Bytes::from(bytes));
        self.history.sends(&content);
        let (id, stamp) = (self.history.reserve(), content.stamp);
        let names: Vec<String> =
            parts.iter().map(|(slot, key)| format!("{}#{:.6}", name(slot), key.token.as_str())).collect();
        let put = |write| At::Slot(slot.clone(), SlotAct::Put { write, stamp });
        let gone =
            |(slot, key): &(Slot, TempKey)| At::Slot(slot.clone(), SlotAct::Ended { token: key.token.to_string() });
        let used = |(slot, key): &(Slot, TempKey)| {
            At::Slot(slot.clone(), SlotAct::Used { token: key.token.to_string(), answered: false })
        };
        self.history.call_as(
            id,
            Entry {
                what: format!("join {} of {names:?} {stamp:?}", name(slot)),
                acts: std::iter::once(put(Write::Unanswered(id))).chain(parts.iter().map(gone)).collect(),
                join: Some((slot.clone(), stamp)),
                ..Entry::default()
            },
        );
        let keys: Vec<TempKey> = parts.iter().map(|(_, key)| key.clone()).collect();
        let result = join_parts(&*self.backend, &slot.0.0, &slot.0.1, slot.1, &keys).await;
        if self.faults.is_dead() {
            // The host died between the new part and the end of the joined ones, or before, so no caller got this
            // answer.
            return result.map(drop);
        }
        let distinct: HashSet<&TempKey> = keys.iter().collect();
        let is_valid =
            keys.len() >= 2 && distinct.len() == keys.len() && parts.iter().all(|(part, _)| part.0.1 == slot.0.1);
        // A session of another scope has other parts, whatever its id.
        let is_here = parts.iter().all(|(part, _)| part.0.0 == slot.0.0);
        let (acts, excuse) = match &result {
            Ok(receipt) => {
                if !is_valid
                    || !is_here
                    || receipt.size != stamp.size
                    || receipt.key.number != slot.1
                    || receipt.replayed
                {
                    self.history.wrong(id, format!("the receipt is of something else: {receipt:?}"));
                }
                self.history.stored(id, slot, &receipt.key, stamp);
                let put = std::iter::once(put(Write::Token(receipt.key.token.to_string())));
                (put.chain(parts.iter().map(used)).chain(parts.iter().map(gone)).collect(), None)
            }
            Err(Error::InvalidArgument(Argument::Parts)) if !is_valid => (Vec::new(), None),
            Err(Error::Conflict) => (vec![At::Slot(slot.clone(), SlotAct::Conflict { other_than: None })], None),
            Err(Error::NotFound) if !is_here => (Vec::new(), None),
            Err(Error::NotFound) => {
                let missing = |(slot, key): &(Slot, TempKey)| {
                    At::Slot(slot.clone(), SlotAct::NotThere { token: key.token.to_string() })
                };
                (Vec::new(), Some(Excuse::OneOf(parts.iter().map(missing).collect())))
            }
            Err(Error::Interrupted { .. }) => (Vec::new(), Some(Excuse::Interrupted(slot.0.clone()))),
            Err(error) => {
                self.unexpected(id, error);
                return result.map(drop);
            }
        };
        let now = self.history.now();
        self.history.answer_at(id, now, text(&result), acts, excuse);
        result.map(drop)
    }
}

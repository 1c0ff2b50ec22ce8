//! Parts of one session, and the bytes that an assembly of them reads back.

use super::{content, file, part, scope};
use portico_store::local::LocalStore;
use portico_store::{Digest, FinalOptions, FinalReceipt, Result, Sha256, TempKey, assemble_final};

pub(crate) const MIB: usize = 1 << 20;

/// The content of parts, each after the one before it.
pub(crate) struct Parts(pub(crate) Vec<Vec<u8>>);

impl Parts {
    pub(crate) fn of(sizes: &[usize]) -> Self {
        Parts(sizes.iter().enumerate().map(|(at, &size)| content(at as u8 + 1, size)).collect())
    }

    pub(crate) fn many(count: usize, size: usize) -> Self {
        Parts::of(&vec![size; count])
    }

    pub(crate) fn size(&self) -> u64 {
        self.0.iter().map(|part| part.len() as u64).sum()
    }

    pub(crate) fn offset(&self, at: usize) -> u64 {
        self.0[..at].iter().map(|part| part.len() as u64).sum()
    }

    pub(crate) fn sha256(&self) -> Digest {
        let mut sha256 = Sha256::new();
        self.0.iter().for_each(|part| sha256.update(part));
        sha256.finish()
    }

    /// Puts one of them, by its index.
    pub(crate) async fn put(&self, store: &LocalStore, at: usize) -> TempKey {
        let put = part(store, "s", at as u32 + 1, Some(self.offset(at)), self.0[at].clone()).await;
        put.expect("a part").key
    }

    /// Puts them one after the other, in this order. Returns their keys in the order of the parts.
    pub(crate) async fn put_all(&self, store: &LocalStore, order: impl IntoIterator<Item = usize>) -> Vec<TempKey> {
        let mut keys = vec![None; self.0.len()];
        for at in order {
            keys[at] = Some(self.put(store, at).await);
        }
        keys.into_iter().map(|key| key.expect("each part")).collect()
    }
}

pub(crate) async fn assemble(store: &LocalStore, keys: &[TempKey]) -> Result<FinalReceipt> {
    assemble_final(store, &scope(), &file("f"), keys, FinalOptions::default()).await
}

/// Assembles parts; returns the bytes that the assembly read back.
pub(crate) async fn read_back(store: &LocalStore, parts: &Parts, keys: &[TempKey]) -> u64 {
    let receipt = assemble(store, keys).await.expect("an object");
    assert_eq!((receipt.size, receipt.sha256), (parts.size(), parts.sha256()));
    store.counters().hash_read_back
}

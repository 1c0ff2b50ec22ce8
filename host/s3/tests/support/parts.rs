//! Parts of one session, each at its offset.

use super::{Framed, MIB, content, options, read, sha256, sized};
use portico_s3::S3Store;
use portico_store::{
    FileId, IfExists, PartOptions, PartReceipt, Result, Scope, SessionId, TempKey, Upload, assemble_final, put_part,
};

/// More than a piece of the store, less, and nothing.
pub(crate) const SIZES: [usize; 8] = [300_000, 6 * MIB, 1, 0, 70_000, 11 * MIB, 1_000, 200_000];

pub(crate) const BACKWARDS: [usize; 8] = [7, 6, 5, 4, 3, 2, 1, 0];
pub(crate) const LANES: [usize; 8] = [3, 2, 1, 0, 7, 6, 5, 4];
pub(crate) const MIXED: [usize; 8] = [5, 0, 2, 1, 7, 3, 6, 4];

pub(crate) fn session() -> SessionId {
    SessionId::parse("session").unwrap()
}

/// The content of successive parts.
pub(crate) struct Parts(pub(crate) Vec<Vec<u8>>);

impl Parts {
    pub(crate) fn of(sizes: &[usize]) -> Self {
        Parts(sizes.iter().enumerate().map(|(at, &size)| content(size, 1 + at as u64)).collect())
    }

    pub(crate) fn options(&self, at: usize) -> PartOptions {
        let offset = self.0[..at].iter().map(|part| part.len() as u64).sum();
        PartOptions { expected: sized(Some(self.0[at].len())), offset: Some(offset), ..Default::default() }
    }

    pub(crate) async fn put(&self, store: &S3Store, at: usize) -> Result<PartReceipt> {
        let content = &mut Framed::new(&self.0[at]);
        put_part(store, &Scope::root(), &session(), at as u32, content, self.options(at)).await
    }

    /// Begins a put of one part and sends all its content.
    pub(crate) async fn arrived(&self, store: &S3Store, at: usize, options: PartOptions) -> Upload<PartReceipt> {
        let begun = Upload::part(store, &Scope::root(), &session(), at as u32, options).await;
        let mut upload = begun.expect("a put begins");
        upload.pull(&mut Framed::new(&self.0[at])).await.expect("its content arrives");
        upload
    }

    /// Puts parts in the given order, each through the next of the stores. Returns their keys in the order of parts.
    pub(crate) async fn put_all(&self, stores: &[&S3Store], order: &[usize]) -> Vec<TempKey> {
        let mut keys = vec![None; self.0.len()];
        for (at, store) in order.iter().zip(stores.iter().cycle()) {
            keys[*at] = Some(self.put(store, *at).await.expect("a part").key);
        }
        keys.into_iter().map(|key| key.expect("each part")).collect()
    }

    /// Assembles the parts, and checks the object. Returns the bytes that were read back for it.
    pub(crate) async fn read_back(&self, store: &S3Store, keys: &[TempKey]) -> u64 {
        let (scope, file) = (Scope::root(), FileId::parse("file").unwrap());
        let made = assemble_final(store, &scope, &file, keys, options(None, IfExists::Fail)).await.expect("an object");
        let bytes = self.0.concat();
        assert_eq!((made.size, made.sha256), (bytes.len() as u64, sha256(&bytes)));
        assert!(read(store, &scope, &made.key).await.unwrap() == bytes);
        store.traffic().read_back
    }
}

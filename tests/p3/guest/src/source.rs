//! Streams with their statuses, and content.

use crate::bindings::portico::storage0_3_0::storage::{
    ByteRange, Error, Expected, FinalOptions, IfExists, PartOptions, Store, StoredObject, TempPart,
};
use crate::bindings::{wit_future, wit_stream};
use futures_util::future::join;
use sha2::{Digest as _, Sha256};
use wit_bindgen::{FutureReader, FutureWriter, StreamReader, StreamWriter};

/// A status of a stream.
pub(crate) type Status = Result<(), Error>;

/// What a put takes, and the ends that feed it.
pub(crate) struct Pipe {
    pub(crate) content: StreamWriter<u8>,
    pub(crate) status: FutureWriter<Status>,
}

/// Makes a stream and its status. A status that is dropped says `interrupted`.
pub(crate) fn pipe() -> (Pipe, StreamReader<u8>, FutureReader<Status>) {
    let (content, reader) = wit_stream::new();
    let (status, verdict) = wit_future::new(|| Err(Error::Interrupted(0)));
    (Pipe { content, status }, reader, verdict)
}

impl Pipe {
    /// Writes content and then a status. Returns how many bytes were not taken.
    pub(crate) async fn send(self, content: &[u8], status: Status) -> usize {
        let Pipe { content: mut stream, status: verdict } = self;
        let mut left = content.len();
        for chunk in content.chunks(200_000) {
            let rest = stream.write_all(chunk.to_vec()).await;
            left -= chunk.len() - rest.len();
            if !rest.is_empty() {
                break;
            }
        }
        drop(stream);
        let _ = verdict.write(status).await;
        left
    }
}

/// Bytes that differ from seed to seed and hardly repeat.
pub(crate) fn content(size: usize, seed: u32) -> Vec<u8> {
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let step = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()[0]
    };
    (0..size).map(step).collect()
}

pub(crate) fn sha256(bytes: &[u8]) -> Vec<u8> {
    Sha256::digest(bytes).to_vec()
}

pub(crate) fn nothing_expected() -> Expected {
    Expected { size: None, sha256: None, others: Vec::new() }
}

pub(crate) fn final_options() -> FinalOptions {
    FinalOptions { expected: nothing_expected(), if_exists: IfExists::Fail, content_type: None, metadata: Vec::new() }
}

pub(crate) fn part_options() -> PartOptions {
    PartOptions {
        expected: nothing_expected(),
        if_exists: IfExists::Fail,
        offset: None,
        want_sha256: false,
        unless_final: None,
        limit: None,
        keep_prefix: false,
        previous: None,
        compute: Vec::new(),
    }
}

/// Stores an object, and returns how many bytes of the content were not taken.
pub(crate) async fn put(
    store: &Store,
    id: &str,
    content: &[u8],
    status: Status,
    options: FinalOptions,
) -> (Result<StoredObject, Error>, usize) {
    let (pipe, stream, verdict) = pipe();
    join(store.put_final(id.to_owned(), stream, verdict, options), pipe.send(content, status)).await
}

/// Stores a part, and returns how many bytes of the content were not taken.
pub(crate) async fn put_part(
    store: &Store,
    session: &str,
    number: u32,
    content: &[u8],
    status: Status,
    options: PartOptions,
) -> (Result<TempPart, Error>, usize) {
    let (pipe, stream, verdict) = pipe();
    let put = store.put_temp_part(session.to_owned(), number, stream, verdict, options);
    join(put, pipe.send(content, status)).await
}

/// Reads an object, or a range of it, and returns it with its status.
pub(crate) async fn read(
    store: &Store,
    object: &StoredObject,
    range: Option<ByteRange>,
) -> Result<(Vec<u8>, Status), Error> {
    let (stream, status) = store.get_final_stream(object.bucket.clone(), object.key.clone(), range).await?;
    let bytes = stream.collect().await;
    Ok((bytes, status.await))
}

/// Checks that a result is an error of this form.
macro_rules! assert_error {
    ($result:expr, $form:pat) => {
        match $result {
            Err($form) => {}
            other => panic!("in place of {}: {other:?}", stringify!($form)),
        }
    };
}
pub(crate) use assert_error;

//! Ranges of objects and parts.

use portico_guest_conformance::*;
use std::ops::Bound;

cases! { of_an_object, of_a_part, of_a_placed_part, of_nothing, across_the_pieces_that_a_backend_reads, reads_of_any_size }

const SIZE: u64 = 700_001;

/// Checks ranges of content of `SIZE` bytes: valid ones, ones beyond the end, and invalid ones.
fn ranges(content: &Content, read: impl Fn((Bound<u64>, Bound<u64>)) -> Result<ReadStream>) {
    use Bound::{Excluded, Included, Unbounded};
    let cut = |start, end| (Included(start), Excluded(end));
    let within = [
        (cut(0, 0), 0, 0),
        (cut(0, 1), 0, 1),
        (cut(1, 1), 1, 1),
        (cut(1, 2), 1, 2),
        (cut(0, SIZE), 0, SIZE),
        (cut(0, SIZE - 1), 0, SIZE - 1),
        (cut(1, SIZE), 1, SIZE),
        (cut(65_535, 65_537), 65_535, 65_537),
        (cut(300_000, 600_000), 300_000, 600_000),
        (cut(SIZE - 1, SIZE), SIZE - 1, SIZE),
        (cut(SIZE, SIZE), SIZE, SIZE),
        ((Included(0), Unbounded), 0, SIZE),
        ((Included(300_000), Unbounded), 300_000, SIZE),
        ((Included(SIZE - 1), Unbounded), SIZE - 1, SIZE),
        ((Included(SIZE), Unbounded), SIZE, SIZE),
        ((Unbounded, Unbounded), 0, SIZE),
    ];
    for (range, start, end) in within {
        content.slice(start, end).assert_read(read(range).unwrap_or_else(|error| panic!("{range:?}: {error}")));
    }
    let beyond = [
        cut(0, SIZE + 1),
        cut(SIZE, SIZE + 1),
        cut(SIZE + 1, SIZE + 1),
        cut(SIZE + 1, SIZE + 2),
        cut(0, u64::MAX),
        cut(u64::MAX, u64::MAX),
        (Included(SIZE + 1), Unbounded),
        (Included(u64::MAX), Unbounded),
    ];
    for range in beyond {
        refused(read(range), Error::OutOfRange { size: SIZE });
    }
    for range in [cut(1, 0), cut(SIZE, 0), cut(300_000, 299_999)] {
        refused_argument(read(range), Argument::Range);
    }
}

fn of_an_object(store: &Store) {
    let content = pattern(1, SIZE);
    let object = put(store, "file", &content);
    ranges(&content, |range| store.get_final_stream(&object.bucket, &object.key, range));
    let reader = store.open_final("file").expect("a reader");
    ranges(&content, |range| reader.stream(range));
    keep_object(store, &object, &content);
}

fn of_a_part(store: &Store) {
    let content = pattern(1, SIZE);
    let part = put_part(store, "session", 1, &content);
    ranges(&content, |range| store.get_temp_part_stream(&part.temp_key, range));
    keep_part(store, &part, &content);
}

/// The part has direct neighbours on both sides.
fn of_a_placed_part(store: &Store) {
    let (before, content, behind) = (pattern(1, 1_000), pattern(2, SIZE), pattern(3, 1_000));
    let first = put_placed(store, "session", 1, &before, 0);
    let last = put_placed(store, "session", 3, &behind, 1_000 + SIZE);
    let part = put_placed(store, "session", 2, &content, 1_000);
    ranges(&content, |range| store.get_temp_part_stream(&part.temp_key, range));
    keep_part(store, &first, &before);
    keep_part(store, &part, &content);
    keep_part(store, &last, &behind);
}

fn of_nothing(store: &Store) {
    let content = pattern(1, 0);
    let object = put(store, "empty", &content);
    let part = put_part(store, "session", 1, &content);
    let check = |read: &dyn Fn(u64, Option<u64>) -> Result<ReadStream>| {
        content.assert_read(read(0, None).expect("a stream"));
        content.assert_read(read(0, Some(0)).expect("a stream"));
        refused(read(0, Some(1)), Error::OutOfRange { size: 0 });
        refused(read(1, None), Error::OutOfRange { size: 0 });
        refused(read(1, Some(1)), Error::OutOfRange { size: 0 });
    };
    let range = |start, end: Option<u64>| (Bound::Included(start), end.map_or(Bound::Unbounded, Bound::Excluded));
    check(&|start, end| store.get_final_stream(&object.bucket, &object.key, range(start, end)));
    let reader = store.open_final("empty").expect("a reader");
    check(&|start, end| reader.stream(range(start, end)));
    check(&|start, end| store.get_temp_part_stream(&part.temp_key, range(start, end)));
    keep_object(store, &object, &content);
    keep_part(store, &part, &content);
}

fn across_the_pieces_that_a_backend_reads(store: &Store) {
    let content = pattern(1, 3 << 20);
    let object = put(store, "file", &content);
    for piece in [64 << 10, 256 << 10, 512 << 10, 1 << 20] {
        for (start, end) in [(piece - 1, 2 * piece + 1), (piece, 2 * piece), (0, piece + 1), (1, piece), (0, piece)] {
            let stream = store.get_final_stream(&object.bucket, &object.key, start..end).expect("a stream");
            content.slice(start, end).assert_read(stream);
        }
    }
    keep_object(store, &object, &content);
}

/// A guest may read more bytes than the content has, none, and more than any memory holds.
fn reads_of_any_size(store: &Store) {
    let content = pattern(1, 300_000);
    let object = put(store, "file", &content);
    for size in [1, 7, 4_096, 100_000, 1 << 20, u64::MAX] {
        let stream = read(store, &object).into_inner();
        let mut bytes = Vec::new();
        let limit = if size < 100 { 1_000 } else { 300_000 };
        while bytes.len() < limit {
            let chunk = stream.blocking_read(size).expect("bytes");
            assert!(!chunk.is_empty() && chunk.len() as u64 <= size, "{} of {size}", chunk.len());
            bytes.extend(chunk);
        }
        assert!(content.slice(0, bytes.len() as u64).bytes() == bytes, "in reads of {size}");
        assert_eq!(stream.read(0).map(|chunk| chunk.len()).unwrap_or(0), 0);
    }
    keep_object(store, &object, &content);
}

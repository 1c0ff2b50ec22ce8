//! The library of the programs about joins.

use crate::*;

/// Joins parts, checks the receipt and that of the listing, and that the joined parts are gone.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn join(store: &Store, number: u32, parts: &[&TempPart], size: u64) -> TempPart {
    let keys: Vec<String> = parts.iter().map(|part| part.temp_key.clone()).collect();
    let joined = store.join_temp_parts("session", number, &keys).expect("a join");
    let expected = TempPart {
        temp_key: joined.temp_key.clone(),
        part_number: number,
        size,
        sha256: None,
        offset: parts[0].offset,
        replayed: false,
        is_prefix: false,
    };
    assert_eq!(joined, expected);
    assert_eq!(store.stat_temp_part(&joined.temp_key), Ok(expected));
    for part in parts {
        refused(store.stat_temp_part(&part.temp_key), Error::NotFound);
    }
    joined
}

/// Assembles parts into a content, and keeps the object.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn assemble(store: &Store, parts: &[&TempPart], content: &Content) {
    let keys = parts.iter().map(|part| part.temp_key.clone());
    let options = FinalOptions::new().sha256(content.sha256()).size(content.size());
    let object = store.assemble_final("file", keys, options).expect("an object");
    keep_object(store, &object, content);
    assert_parts(store, "session", []);
}

/// The sizes of the parts of most cases: less than a batch of a backend, more, and tiny.
pub const SIZES: [u64; 4] = [70_000, 600_001, 1, 30_000];

/// Puts parts with the numbers 1, 2 and so on; those of `placed` at their offsets.
///
/// # Panics
/// If it fails.
pub fn put_parts(store: &Store, sizes: &[u64], placed: impl Fn(usize) -> bool) -> (Vec<TempPart>, Vec<Content>) {
    let (mut parts, mut contents, mut offset) = (Vec::new(), Vec::new(), 0);
    for (at, size) in sizes.iter().enumerate() {
        let (number, content) = (at as u32 + 1, pattern(at as u32 + 1, *size));
        parts.push(match placed(at) {
            true => put_placed(store, "session", number, &content, offset),
            false => put_part(store, "session", number, &content),
        });
        contents.push(content);
        offset += size;
    }
    (parts, contents)
}

/// Returns the contents one after the other.
#[must_use]
pub fn whole(contents: &[Content]) -> Content {
    contents.iter().fold(Content::default(), |whole, content| whole.then(content))
}

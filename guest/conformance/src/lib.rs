//! The library of the programs: the table of cases, content, and checks.
//!
//! A program is a file of `src/bin`. Its cases are functions of an empty [`Store`], and [`cases!`] makes a `main` of
//! them. A case declares everything that it leaves in the store with [`keep_object`] or [`keep_part`]; the runner fails
//! a case that leaves anything else.

pub mod bindings;
mod content;
pub mod hosts;
pub mod joins;
#[cfg(not(target_family = "wasm"))]
pub mod native;
mod pattern;

#[cfg(target_family = "wasm")]
pub use bindings::portico::conformance::fixture;
pub use content::{Content, Piece, endless, pattern};
#[cfg(not(target_family = "wasm"))]
pub use native as fixture;
pub use portico_guest::{
    Argument, Digest, DigestAlgorithm, Error, Expected, FinalOptions, FinalReader, InputStream, ListedPart,
    OutputStream, PartOptions, ReadStream, Record, Result, Store, StoredObject, TempPart, Writer,
};

use std::fmt::Debug;
use std::io::Write as _;

/// Generates the `main` of a program from the names of its cases, each with its requirements in brackets.
///
/// ```ignore
/// cases! { empty, two_writers [instances=2], too_large [needs=small-limit] }
/// ```
#[macro_export]
macro_rules! cases {
    ($($name:ident $([$($key:ident = $value:expr),+])?),+ $(,)?) => {
        pub(crate) const CASES: &[$crate::Case] = &[$((
            concat!(stringify!($name) $($(, " ", stringify!($key), "=", $value)+)?),
            $name as fn(&$crate::Store),
        )),+];

        fn main() {
            $crate::main(CASES);
        }
    };
}

/// A case: the line that the program prints, and the function.
pub type Case = (&'static str, fn(&Store));

/// Prints the names of the cases, or runs the case named by the argument.
///
/// # Panics
/// If no case has that name.
pub fn main(cases: &[Case]) {
    match std::env::args().nth(1) {
        None => {
            for (line, _) in cases {
                writeln!(std::io::stdout(), "{line}").expect("a standard output");
            }
        }
        Some(name) => {
            let named = |(line, _): &&Case| line.split(' ').next() == Some(&name);
            let (_, run) = cases.iter().find(named).unwrap_or_else(|| panic!("no case {name}"));
            run(&Store::open());
        }
    }
}

/// Returns a stream as the handle that the bindings take.
///
/// # Panics
/// Outside of WebAssembly, where no such handles exist.
#[must_use]
pub fn raw(stream: InputStream) -> portico_guest::bindings::wasi::io::streams::InputStream {
    #[cfg(target_family = "wasm")]
    return stream;
    #[cfg(not(target_family = "wasm"))]
    panic!("{stream:?} is no handle of a host")
}

/// Stores content as a final object, without options, and checks the receipt.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn put(store: &Store, file_id: &str, content: &Content) -> StoredObject {
    let object = store.put_final(file_id, content.source(), FinalOptions::new()).expect("a put");
    assert_eq!((object.file_id.as_str(), object.replayed), (file_id, false));
    assert_object(&object, content);
    object
}

/// Stores content as a part, without options, and checks the receipt.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn put_part(store: &Store, session: &str, number: u32, content: &Content) -> TempPart {
    put_part_with(store, session, number, content, PartOptions::new())
}

/// Stores content as a part at its place in the object, and checks the receipt.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn put_placed(store: &Store, session: &str, number: u32, content: &Content, offset: u64) -> TempPart {
    put_part_with(store, session, number, content, PartOptions::new().size(content.size()).offset(offset))
}

#[track_caller]
fn put_part_with(store: &Store, session: &str, number: u32, content: &Content, options: PartOptions) -> TempPart {
    let offset = options.offset;
    let part = store.put_temp_part(session, number, content.source(), options).expect("a put");
    let found = (part.part_number, part.size, part.sha256, part.offset, part.replayed);
    assert_eq!(found, (number, content.size(), None, offset, false));
    part
}

/// Checks that a receipt describes this content.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn assert_object(object: &StoredObject, content: &Content) {
    assert_eq!((object.size, object.sha256), (content.size(), content.sha256()), "of {object:?}");
}

/// Checks the receipt and the bytes of an object, and declares that the object stays.
///
/// # Panics
/// If it is not there.
#[track_caller]
pub fn keep_object(store: &Store, object: &StoredObject, content: &Content) {
    assert_object(object, content);
    let there = store.stat_final(&object.file_id).expect("an object");
    assert_eq!(there, StoredObject { replayed: false, ..object.clone() });
    assert_eq!(*store.open_final(&object.file_id).expect("an object").receipt(), there);
    content.assert_read(read(store, object));
    fixture::keep_object(&object.bucket, &object.key, content.pieces());
}

/// Checks the bytes of a part of the widest scope, and declares that the part stays.
///
/// # Panics
/// If it is not there.
#[track_caller]
pub fn keep_part(store: &Store, part: &TempPart, content: &Content) {
    content.assert_read(read_part(store, part));
    fixture::keep_part(&[], &part.temp_key, content.pieces());
}

/// Opens a stream of a whole object.
///
/// # Panics
/// If it is not there.
#[track_caller]
#[must_use]
pub fn read(store: &Store, object: &StoredObject) -> ReadStream {
    store.get_final_stream(&object.bucket, &object.key, ..).expect("a stream")
}

/// Opens a stream of a whole part.
///
/// # Panics
/// If it is not there.
#[track_caller]
#[must_use]
pub fn read_part(store: &Store, part: &TempPart) -> ReadStream {
    store.get_temp_part_stream(&part.temp_key, ..).expect("a stream")
}

/// Whether a listing has exactly these parts. A listing may leave offsets out.
#[must_use]
pub fn is_listing_of<'a>(listing: &[ListedPart], parts: impl IntoIterator<Item = &'a TempPart>) -> bool {
    let parts: Vec<&TempPart> = parts.into_iter().collect();
    let is_entry_of = |(listed, part): (&ListedPart, &TempPart)| {
        (&listed.temp_key, listed.part_number, listed.size) == (&part.temp_key, part.part_number, part.size)
            && (listed.offset.is_none() || listed.offset == part.offset)
    };
    listing.len() == parts.len() && listing.iter().zip(parts).all(is_entry_of)
}

/// Lists the parts of a session.
///
/// # Panics
/// If they cannot be listed.
#[track_caller]
#[must_use]
pub fn parts_of(store: &Store, session: &str) -> Vec<ListedPart> {
    store.parts(session).collect::<Result<_>>().expect("a listing")
}

/// Checks that a session has exactly these parts, with these receipts.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn assert_parts<'a>(store: &Store, session: &str, parts: impl IntoIterator<Item = &'a TempPart>) {
    let parts: Vec<&TempPart> = parts.into_iter().collect();
    let listing = parts_of(store, session);
    assert!(is_listing_of(&listing, parts.iter().copied()), "parts of {session}: {listing:?}, not {parts:?}");
    for part in parts {
        assert_eq!(store.stat_temp_part(&part.temp_key).as_ref(), Ok(part));
    }
}

/// Checks that a scope has exactly these objects.
///
/// # Panics
/// If it does not.
#[track_caller]
pub fn assert_finals<'a>(store: &Store, objects: impl IntoIterator<Item = &'a StoredObject>) {
    let found: Vec<StoredObject> = store.finals().collect::<Result<_>>().expect("a listing");
    assert_eq!(found.iter().collect::<Vec<_>>(), objects.into_iter().collect::<Vec<_>>());
}

/// Checks that a file id is free: never used, never voided.
///
/// # Panics
/// If it is not.
#[track_caller]
pub fn assert_free(store: &Store, file_id: &str) {
    refused(store.stat_final(file_id), Error::NotFound);
}

/// Checks that an operation failed with this error.
///
/// # Panics
/// If it did not.
#[track_caller]
pub fn refused<T: Debug>(result: Result<T>, error: Error) {
    match result {
        Ok(value) => panic!("{value:?} instead of {error:?}"),
        Err(found) => assert_eq!(found, error),
    }
}

/// Checks that an operation failed because of this argument.
///
/// # Panics
/// If it did not.
#[track_caller]
pub fn refused_argument<T: Debug>(result: Result<T>, argument: Argument) {
    refused(result, Error::InvalidArgument(argument));
}

/// Returns the storage error that a stream failed with.
///
/// # Panics
/// If it did not fail with one.
#[track_caller]
pub fn stream_error<T: Debug>(result: std::io::Result<T>) -> Error {
    let error = result.expect_err("a failure of the stream");
    Error::of_io(&error).cloned().unwrap_or_else(|| panic!("{error:?} is no error of the storage"))
}

/// Returns the `Gone` error with this reason.
#[must_use]
pub fn gone(reason: &str) -> Error {
    Error::Gone { reason: reason.to_owned() }
}

//! An adapter: `wasi:blobstore` (0.2.0-draft) over `portico:storage`.
//!
//! The content of an object is a final object under a random id. A record under the object's name says which, so replacing the
//! record replaces the object as a whole. `layout` has the records, `link` changes them, `container`, `value` and `listing`
//! are the resources of the interface, and `round` removes what a crash left behind.
//!
//! Invariants: content never enters this guest, except by `incoming-value-consume-sync`; a reader sees the content before or
//! after a change, and never a part of it; content that no record names has a note, by which the round finds it; no state
//! outside of the store.

mod bindings;
mod blobstore;
mod container;
mod layout;
mod limits;
mod link;
mod listing;
mod note;
mod places;
mod round;
mod value;

/// The component.
#[derive(Debug)]
pub struct Adapter;

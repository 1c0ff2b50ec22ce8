//! The rules of the portal, as pure functions of texts and numbers.
//!
//! Invariant: nothing here calls the host, so all rules are tested outside of wasm.

pub(crate) mod accept;
pub(crate) mod announced_name;
pub(crate) mod appends;
pub(crate) mod checksum;
pub(crate) mod form;
pub(crate) mod names;
pub(crate) mod parameters;
pub(crate) mod parts;
pub(crate) mod upload_fields;
pub(crate) mod upload_metadata;
pub(crate) mod zip;
pub(crate) mod zip_paths;

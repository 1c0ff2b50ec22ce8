//! The rules of the portal, as pure functions: texts and numbers in, decisions out. Nothing here calls the host, so
//! all of it is tested outside of wasm.

pub(crate) mod conditions;
pub(crate) mod digests;
pub(crate) mod disposition;
pub(crate) mod media_type;
pub(crate) mod names;
pub(crate) mod parts;
pub(crate) mod ranges;

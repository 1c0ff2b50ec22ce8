//! Opening a store: its folder, the files in it, and the faults that refuse it.

pub(crate) mod cached;
pub(crate) mod create;
pub(crate) mod error;
pub(crate) mod facts;
pub(crate) mod folder;
pub(crate) mod opening;
pub(crate) mod rebuild;
pub(crate) mod root;

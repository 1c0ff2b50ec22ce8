//! The operations of the contract, one a file. Invariant: each operation decides by one slot.

pub(crate) mod assemble;
pub(crate) mod delete;
pub(crate) mod join;
pub(crate) mod list;
pub(crate) mod plan;
pub(crate) mod purge;
pub(crate) mod put_final;
pub(crate) mod put_part;
pub(crate) mod read;
pub(crate) mod records;
pub(crate) mod sweep;
pub(crate) mod verify;

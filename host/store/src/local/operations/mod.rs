//! The operations, one file each.

pub(crate) mod assemble;
pub(crate) mod backup;
pub(crate) mod compare;
pub(crate) mod ended;
pub(crate) mod join;
pub(crate) mod publish;
pub(crate) mod put_final;
pub(crate) mod put_part;
pub(crate) mod read;
pub(crate) mod reader;
pub(crate) mod ready;
pub(crate) mod sweep;
pub(crate) mod verify;

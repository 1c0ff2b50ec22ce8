//! Bytes and names on the disk.

pub(crate) mod aside;
pub(crate) mod body;
pub(crate) mod budget;
pub(crate) mod disk;
pub(crate) mod health;
pub(crate) mod inodes;
pub(crate) mod layout;
pub(crate) mod reserve;
pub(crate) mod staging;
pub(crate) mod steps;
pub(crate) mod syncs;

//! The local filesystem backend.
mod disk;
mod layout;

//! Requests to the server, and the meaning of their responses. Invariant: nothing here knows the purpose of an object.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod failure;
pub(crate) mod frames;
pub(crate) mod multipart;
pub(crate) mod objects;
pub(crate) mod straight;

//! Requests to the server, and what their answers mean. Invariant: nothing here knows what an object is for.

pub(crate) mod answer;
pub(crate) mod client;
pub(crate) mod failure;
pub(crate) mod frames;
pub(crate) mod multipart;
pub(crate) mod objects;
pub(crate) mod straight;

//! HTTP for portals: the rules of RFC 9110 and its companions, as pure functions of texts and numbers.

pub mod conditions;
pub mod digests;
pub mod disposition;
pub mod media_type;
pub mod ranges;

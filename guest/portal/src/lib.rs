//! The upload portal: all upload logic of Portico, as a guest component. It serves HTTP requests from the store that
//! its host grants: no path, no credential, no socket.
//!
//! `policy` and `session` hold the rules as pure functions. `engine` has the operations on sessions that all protocols
//! share, `ending` their ends. `http` has the protocols, one file each. `maintenance` is the background work.
//!
//! Invariants: the host moves content between body and store, and no byte of it enters this guest's memory, except that
//! of forms and ZIP archives, piece by piece: only a parser finds the end of a file in a form, and only a reader its
//! CRC-32. One instance serves one request and keeps no state.

mod appends;
mod concatenation;
mod ending;
mod engine;
mod http;
mod idempotency;
mod limits;
mod maintenance;
mod policy;
mod refusal;
mod session;
mod settings;
mod times;

pub use http::answer;
pub use maintenance::maintain;

portico_guest::portal!(answer, maintenance = maintain);

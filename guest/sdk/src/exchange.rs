//! The exchange of a portal beyond WASI HTTP: interim responses, the host's counters, and the base URL.
//!
//! A host need not act on either function, so a portal must work without their effects. A guest that calls neither imports
//! nothing of the interface. In native tests they have no effect.

#[cfg(target_family = "wasm")]
use crate::bindings::portico::storage::exchange as wit;

pub use crate::bindings::portico::storage::exchange::{Outcome, Protocol};

/// The request header with the URL under which the client reaches the server, without a slash at its end. Only the host sets
/// the header. The header is absent if the host knows no such URL; links are relative then.
pub const BASE_URL_HEADER: &str = "x-portico-base-url";

/// Sends an interim response (RFC 9110, 15.2) before the response of this request. Returns false if the host sends none.
///
/// The host sends only status 104 (Upload Resumption Supported), over HTTP/1.1, if its operator has switched that on, and a
/// few for each request. Send it after everything that it promises is durable.
///
/// ```
/// let told = portico_guest::exchange::send_interim(104, &[("Location", "/uploads/1")]);
/// # assert!(!told);
/// ```
pub fn send_interim(status: u16, fields: &[(&str, &str)]) -> bool {
    #[cfg(target_family = "wasm")]
    {
        let fields: Vec<_> = fields.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        wit::send_interim(status, &fields)
    }
    #[cfg(not(target_family = "wasm"))]
    {
        let _ = (status, fields);
        false
    }
}

/// Counts an upload that has ended in the metrics of the host.
pub fn count_upload(protocol: Protocol, outcome: Outcome) {
    #[cfg(target_family = "wasm")]
    wit::count_upload(protocol, outcome);
    #[cfg(not(target_family = "wasm"))]
    let _ = (protocol, outcome);
}

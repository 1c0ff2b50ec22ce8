//! Interim responses (RFC 9110, 15.2) on HTTP/1.1 connections. hyper can send none but 100, so their bytes go to the socket
//! beside hyper's.
//!
//! Invariants: an interim response is written whole, after all of the previous response and before the first byte of its own
//! final one; a client that takes nothing makes the server keep at most [`INTERIM_MAX`] of them, each of at most
//! [`INTERIM_BYTES`] bytes.
//!
//! The order rests on three habits of hyper 1.12, which `tests/http/interim.rs` pins. hyper flushes its socket only when it
//! has written all that it buffered. It begins no request before it has tried to write the whole of the previous response. It
//! flushes on each turn of the connection, so a queued response needs no more than a wake-up.

use super::limits::{INTERIM_BYTES, INTERIM_MAX};
use crate::runtime::InterimSink;
use bytes::BytesMut;
use http::{HeaderName, HeaderValue, header};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

/// The only status that a guest may send before its response: "Upload Resumption Supported".
const STATUS: u16 = 104;

const STATUS_LINE: &[u8] = b"HTTP/1.1 104 Upload Resumption Supported\r\n";

/// Fields about the connection or about a body, neither of which an interim response has.
const FORBIDDEN: [HeaderName; 6] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// The interim responses of a connection that wait for its socket.
#[derive(Debug, Default)]
pub(super) struct InterimQueue(Mutex<Queue>);

#[derive(Debug, Default)]
struct Queue {
    bytes: BytesMut,
    /// Whether hyper may have bytes that the socket has not accepted.
    hyper_writes: bool,
    /// Wakes the task of the connection.
    waker: Option<Waker>,
}

/// What hyper is about to do with the socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HyperTurn {
    /// hyper writes bytes, and may have more.
    Writes,
    /// hyper has written all that it had.
    Flushes,
}

impl InterimQueue {
    /// Moves all queued bytes to the end of `to`. The caller writes them before it does what hyper asks for.
    pub(super) fn take(&self, cx: &Context<'_>, turn: HyperTurn, to: &mut BytesMut) {
        let mut queue = self.lock();
        queue.hyper_writes = turn == HyperTurn::Writes;
        if !queue.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            queue.waker = Some(cx.waker().clone());
        }
        if !queue.bytes.is_empty() {
            to.unsplit(queue.bytes.split());
        }
    }

    /// Queues a response. Returns false while hyper writes: the bytes would land within another response.
    fn push(&self, response: &[u8]) -> bool {
        let mut queue = self.lock();
        if queue.hyper_writes {
            return false;
        }
        queue.bytes.extend_from_slice(response);
        if let Some(waker) = queue.waker.take() {
            waker.wake();
        }
        true
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The interim responses of one request.
#[derive(Debug)]
pub(super) struct Interim {
    /// The queue of the connection; `None` if the server sends no interim responses.
    queue: Option<Arc<InterimQueue>>,
    /// How many more the request may have; 0 once its final response exists.
    left: Mutex<u32>,
}

impl Interim {
    /// Creates the way for a request's interim responses, by the queue of its connection.
    pub(super) fn new(queue: Option<Arc<InterimQueue>>) -> Interim {
        Interim { queue, left: Mutex::new(INTERIM_MAX) }
    }

    /// Ends the way. Call before hyper gets the final response.
    pub(super) fn close(&self) {
        *self.left.lock().unwrap_or_else(PoisonError::into_inner) = 0;
    }
}

impl InterimSink for Interim {
    fn send(&self, status: u16, fields: &[(String, String)]) -> bool {
        let Some(queue) = self.queue.as_ref().filter(|_| status == STATUS) else { return false };
        let Some(head) = head(fields) else { return false };
        // Held over the push, so that nothing is queued after `close`.
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = *left > 0 && queue.push(&head);
        if sent {
            *left -= 1;
        }
        sent
    }
}

/// Returns an interim response with these fields. Returns `None` if a field is invalid or forbidden, or if they are too large.
fn head(fields: &[(String, String)]) -> Option<Vec<u8>> {
    let mut head = STATUS_LINE.to_vec();
    for (name, value) in fields {
        // In lower case, as hyper writes names. lighttpd 1.4 passes no others on.
        let name = HeaderName::from_bytes(name.as_bytes()).ok()?;
        let value = HeaderValue::from_str(value).ok()?;
        if FORBIDDEN.contains(&name) || head.len() + name.as_str().len() + value.len() > INTERIM_BYTES {
            return None;
        }
        for piece in [name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"] {
            head.extend_from_slice(piece);
        }
    }
    head.extend_from_slice(b"\r\n");
    (head.len() <= INTERIM_BYTES).then_some(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(of: &[(&str, &str)]) -> Vec<(String, String)> {
        of.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn interim() -> Interim {
        Interim::new(Some(Arc::default()))
    }

    /// Does what the socket does, and returns the bytes that it would write.
    fn turn(interim: &Interim, turn: HyperTurn) -> Vec<u8> {
        let mut bytes = BytesMut::new();
        interim.queue.as_ref().unwrap().take(&Context::from_waker(Waker::noop()), turn, &mut bytes);
        bytes.to_vec()
    }

    #[test]
    fn a_head_has_plain_fields_of_its_own() {
        let text = |of: &[(&str, &str)]| head(&fields(of)).map(|head| String::from_utf8(head).unwrap());
        assert_eq!(text(&[]).unwrap(), "HTTP/1.1 104 Upload Resumption Supported\r\n\r\n");
        let line = String::from_utf8(STATUS_LINE.to_vec()).unwrap();
        assert_eq!(text(&[("Location", "/a"), ("X-y", "")]).unwrap(), format!("{line}location: /a\r\nx-y: \r\n\r\n"));
        for (name, value) in [
            ("", "a"),
            ("a b", "a"),
            ("a:", "a"),
            ("a\r\nb", "a"),
            ("ä", "a"),
            ("a", "b\r\nc: d"),
            ("a", "b\nc"),
            ("a", "b\rc"),
            ("a", "\0"),
            ("Content-Length", "3"),
            ("transfer-encoding", "chunked"),
            ("connection", "close"),
            ("upgrade", "h2c"),
        ] {
            assert_eq!(text(&[("ok", "ok"), (name, value)]), None, "{name:?} {value:?}");
        }
        let room = INTERIM_BYTES - STATUS_LINE.len() - "a: \r\n\r\n".len();
        assert_eq!(text(&[("a", &"x".repeat(room))]).unwrap().len(), INTERIM_BYTES);
        assert_eq!(text(&[("a", &"x".repeat(room + 1))]), None);
        assert_eq!(head(&vec![("a".to_owned(), String::new()); INTERIM_BYTES]), None);
    }

    #[test]
    fn nothing_is_queued_while_hyper_writes() {
        let interim = interim();
        assert!(interim.send(STATUS, &[]));
        // What was queued before hyper's bytes goes before them.
        assert!(!turn(&interim, HyperTurn::Writes).is_empty());
        assert!(!interim.send(STATUS, &[]));
        assert!(turn(&interim, HyperTurn::Writes).is_empty());
        assert!(turn(&interim, HyperTurn::Flushes).is_empty());
        // A refused one does not count.
        assert!(interim.send(STATUS, &[]) && interim.send(STATUS, &[]));
        assert_eq!(turn(&interim, HyperTurn::Flushes).len(), 2 * (STATUS_LINE.len() + 2));
    }

    #[test]
    fn a_request_has_so_many_and_none_after_its_response() {
        let bounded = interim();
        let sent: Vec<bool> = (0..5).map(|_| bounded.send(STATUS, &[])).collect();
        assert_eq!(sent, [true, true, true, false, false]);
        let closed = interim();
        closed.close();
        assert!(!closed.send(STATUS, &[]));
        for status in [100, 102, 103, 105, 200, 0, u16::MAX] {
            assert!(!interim().send(status, &[]), "{status}");
        }
        // The operator has not switched them on.
        assert!(!Interim::new(None).send(STATUS, &[]));
    }
}

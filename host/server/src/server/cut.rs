//! Why a response was cut off.

use std::fmt;
use std::sync::OnceLock;

/// Why a response did not reach its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client ended the connection or the stream.
    ClientGone,
    /// The client took nothing for [`Settings::body_idle_timeout`](super::Settings::body_idle_timeout).
    ClientStalled,
    /// The client took less than [`Settings::body_min_rate`](super::Settings::body_min_rate).
    ClientSlow,
    /// The guest failed, or wrote something else than it announced.
    GuestFailed,
    /// The server stopped, and the time for what still ran was over.
    Stopping,
}

impl fmt::Display for Cut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cut::ClientGone => "client-gone",
            Cut::ClientStalled => "client-stalled",
            Cut::ClientSlow => "client-slow",
            Cut::GuestFailed => "guest-failed",
            Cut::Stopping => "stopping",
        })
    }
}

/// The first reason that somebody gave; the later ones are its consequences.
#[derive(Debug, Default)]
pub(super) struct FirstCut(OnceLock<Cut>);

impl FirstCut {
    pub(super) fn give(&self, cut: Cut) {
        // A reason that was given before stays.
        let _ = self.0.set(cut);
    }

    pub(super) fn get(&self) -> Option<Cut> {
        self.0.get().copied()
    }
}

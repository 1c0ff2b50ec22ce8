//! The reasons why a response is cut off.

use std::fmt;
use std::sync::OnceLock;

/// Why a response was cut off before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cut {
    /// The client ended the connection or the stream.
    ClientGone,
    /// The client took nothing for [`Settings::body_idle_timeout`](super::Settings::body_idle_timeout).
    ClientStalled,
    /// The client took less than [`Settings::body_min_rate`](super::Settings::body_min_rate).
    ClientSlow,
    /// The guest failed, or its body differs from the announced length.
    GuestFailed,
    /// The server stopped, and its grace period was over.
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

/// The first reason that was given. Later reasons are its consequences.
#[derive(Debug, Default)]
pub(super) struct FirstCut(OnceLock<Cut>);

impl FirstCut {
    pub(super) fn give(&self, cut: Cut) {
        // An earlier reason stays.
        let _ = self.0.set(cut);
    }

    pub(super) fn get(&self) -> Option<Cut> {
        self.0.get().copied()
    }
}

//! The signals that end the process.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that end the process, and one that must not: of a file-size limit, whose write fails with an error too.
pub(super) struct Stop {
    terminate: Signal,
    interrupt: Signal,
    _file_size: Signal,
}

impl Stop {
    /// Takes them over. From here on none of them ends the process by itself.
    pub(super) fn new() -> std::io::Result<Stop> {
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Resolves at the first signal. A second one ends the process at once.
    pub(super) async fn requested(mut self) {
        self.next().await;
        tokio::spawn(async move {
            self.next().await;
            std::process::exit(1);
        });
    }

    /// Resolves at the next signal.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

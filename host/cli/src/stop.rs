//! The signals that end the process.
//!
//! Invariants: the first signal ends the process in order, the second one at once. A client command that a signal has ended
//! dies of that signal after it has cleaned up, because a shell stops its script only then. The shell shows 128 + the number.

use std::future::pending;
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::oneshot;

/// How long a command may take to notice a signal. A command that blocks on the reader of its results never does.
const NOTICE: Duration = Duration::from_secs(2);

/// A signal that ends the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopSignal {
    /// SIGHUP: the terminal was closed.
    HangUp,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGTERM.
    Terminate,
}

impl StopSignal {
    fn number(self) -> u8 {
        match self {
            StopSignal::HangUp => 1,
            StopSignal::Interrupt => 2,
            StopSignal::Terminate => 15,
        }
    }

    /// Returns the exit code that a shell shows after death by the signal.
    pub(super) fn exit_code(self) -> u8 {
        128 + self.number()
    }

    /// Ends the process by the signal's default action, at once.
    pub(super) fn end(self) -> ! {
        // Returns only if the kernel refuses.
        let _ = signal_hook::low_level::emulate_default_handler(self.number().into());
        std::process::exit(self.exit_code().into())
    }
}

/// Listens for the signals that end the process, and for SIGXFSZ. A write beyond the file-size limit then only fails.
pub(super) struct Stop {
    terminate: Signal,
    /// Absent if ignored at the start, as a shell does for a background job.
    interrupt: Option<Signal>,
    /// Absent if ignored at the start, as nohup(1) does.
    hang_up: Option<Signal>,
    _file_size: Signal,
}

impl Stop {
    /// Starts to listen. From now on no such signal ends the process by itself.
    pub(super) fn new() -> std::io::Result<Stop> {
        let ignored = ignored();
        let unless_ignored = |which: StopSignal, kind| {
            let is_ignored = ignored >> (which.number() - 1) & 1 == 1;
            if is_ignored { Ok(None) } else { signal(kind).map(Some) }
        };
        Ok(Stop {
            terminate: signal(SignalKind::terminate())?,
            interrupt: unless_ignored(StopSignal::Interrupt, SignalKind::interrupt())?,
            hang_up: unless_ignored(StopSignal::HangUp, SignalKind::hangup())?,
            _file_size: signal(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Resolves at the first signal. A second one ends the process at once.
    pub(super) async fn requested(mut self) {
        self.next().await;
        tokio::spawn(async move { self.next().await.end() });
    }

    /// Resolves at the next signal.
    pub(super) async fn next(&mut self) -> StopSignal {
        tokio::select! {
            _ = self.terminate.recv() => StopSignal::Terminate,
            () = received(&mut self.interrupt) => StopSignal::Interrupt,
            () = received(&mut self.hang_up) => StopSignal::HangUp,
        }
    }

    /// Moves the signals to a task. The task ends the process at the second signal, or [`NOTICE`] after a first one that
    /// [`Watched::first`] has not returned.
    pub(super) fn watched(mut self) -> Watched {
        let (tell, told) = oneshot::channel();
        let (notice, noticed) = oneshot::channel();
        tokio::spawn(async move {
            let first = self.next().await;
            let _ = tell.send(first);
            tokio::select! {
                is_noticed = tokio::time::timeout(NOTICE, noticed) => {
                    if !matches!(is_noticed, Ok(Ok(()))) {
                        first.end();
                    }
                }
                second = self.next() => second.end(),
            }
            self.next().await.end();
        });
        Watched { told: Some(told), notice: Some(notice) }
    }
}

/// The signals of [`Stop::watched`].
pub(super) struct Watched {
    told: Option<oneshot::Receiver<StopSignal>>,
    notice: Option<oneshot::Sender<()>>,
}

impl Watched {
    /// Resolves once, at the first signal.
    pub(super) async fn first(&mut self) -> StopSignal {
        let Some(told) = &mut self.told else { return pending().await };
        let Ok(signal) = told.await else { return pending().await };
        self.told = None;
        if let Some(notice) = self.notice.take() {
            let _ = notice.send(());
        }
        signal
    }
}

async fn received(signal: &mut Option<Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => pending().await,
    }
}

/// Returns the mask of ignored signals (proc(5)): bit 0 is signal 1.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or_default()
}

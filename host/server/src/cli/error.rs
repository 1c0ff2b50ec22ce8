//! Why a command failed, and the exit code for it.

use super::stop::StopSignal;
use crate::config::ConfigError;
use crate::runtime::{MaintenanceError, SetupError};
use portico_conformance::BoxError;
use portico_store::local::OpenError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Exit codes and their meaning.
pub(super) const EXIT_CODES: [(&str, &str); 4] = [
    (
        "0",
        "It is done. A list whose reader closes the pipe is done, and so is a server that a signal has ended in order.",
    ),
    ("1", "It failed."),
    ("2", "Wrong usage or configuration, or an S3 server that does not do what the configuration says."),
    ("128 + n", "Signal n has ended a command that is no server: 129 SIGHUP, 130 SIGINT (Ctrl-C), 143 SIGTERM."),
];

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder cannot be opened as a store.
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    /// The bucket cannot be opened as a store.
    #[error("cannot open the store")]
    OpenS3(#[from] portico_s3::OpenError),
    /// A rebuild was asked for where there is no index.
    #[error("--rebuild is for file: stores only: an S3 store has no index")]
    NoIndex,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] portico_store::Error),
    /// The file of a portal cannot be read.
    #[error("cannot read the portal {}", .path.display())]
    ReadPortal {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The portal cannot be run.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// The portal failed in its maintenance.
    #[error("the portal's maintenance failed")]
    Maintenance(#[from] MaintenanceError),
    /// The address cannot be listened on.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// The conformance programs cannot be run on the store at all.
    #[error("cannot run the conformance programs")]
    Conformance(#[source] BoxError),
    /// No case of the conformance programs has the filter in its name.
    #[error("no case has `{0}` in its name; --list shows all")]
    NoCase(String),
    /// The portal that a client's command talks to.
    #[error(transparent)]
    Client(#[from] portico_client::Error),
    /// Flags that contradict each other, or miss something.
    #[error("{0}")]
    Usage(String),
    /// A signal ended the command.
    #[error("stopped by a signal")]
    Stopped(StopSignal),
    /// The operating system refuses what every process needs.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// Standard output cannot be written, or its pipe is closed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl Error {
    /// The exit code that it ends the process with.
    pub(super) fn exit_code(&self) -> u8 {
        let wrong = match self {
            Error::Stopped(signal) => return signal.exit_code(),
            Error::Config(_) | Error::OpenS3(_) | Error::NoIndex | Error::NoCase(_) | Error::Usage(_) => true,
            Error::Client(error) => error.is_usage(),
            _ => false,
        };
        if wrong { 2 } else { 1 }
    }

    /// It and its causes, in one line.
    pub(super) fn report(&self) -> String {
        portico_store::chain(self)
    }

    /// Whether the reader of the results has closed the pipe.
    pub(super) fn is_reader_gone(&self) -> bool {
        matches!(self, Error::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}

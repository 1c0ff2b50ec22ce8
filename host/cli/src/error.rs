//! The errors of commands, and their exit codes.

use super::stop::StopSignal;
use crate::config::ConfigError;
use portico_conformance::BoxError;
use portico_server::runtime::{MaintenanceError, SetupError};
use portico_store::local::OpenError;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// The exit codes and their meanings.
pub(super) const EXIT_CODES: [(&str, &str); 4] = [
    (
        "0",
        "Success. A command whose reader closes the pipe succeeds, and so does a server that a signal has ended in order.",
    ),
    ("1", "Failure."),
    ("2", "Wrong usage or configuration, or an S3 server that does not support the configuration."),
    ("128 + n", "Signal n has ended a command other than `serve`: 129 SIGHUP, 130 SIGINT (Ctrl-C), 143 SIGTERM."),
];

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// The configuration is invalid.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The local store cannot be opened.
    #[error("cannot open the store")]
    Open(#[from] OpenError),
    /// The S3 store cannot be opened.
    #[error("cannot open the store")]
    OpenS3(#[from] portico_s3::OpenError),
    /// A rebuild was requested for a store without an index.
    #[error("--rebuild is for file: stores only: an S3 store has no index")]
    NoIndex,
    /// The store failed.
    #[error("the store failed")]
    Store(#[from] portico_store::Error),
    /// A portal cannot be run.
    #[error("cannot run the portal{}", .path.as_ref().map(|path| format!(" {}", path.display())).unwrap_or_default())]
    Portal {
        /// The file; `None` for the built-in portal.
        path: Option<PathBuf>,
        /// The cause.
        #[source]
        cause: SetupError,
    },
    /// None of several portals is the built-in one, which the client commands speak to.
    #[error(
        "no portal of the configuration is the built-in one, which this command needs: give --server, or another --config"
    )]
    NoBuiltIn,
    /// A file cannot be written.
    #[error("cannot write {}", .path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The portal's maintenance failed.
    #[error("the portal's maintenance failed")]
    Maintenance(#[from] MaintenanceError),
    /// The address cannot be bound.
    #[error("cannot listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// The conformance programs cannot run on the store at all.
    #[error("cannot run the conformance programs")]
    Conformance(#[source] BoxError),
    /// The conformance programs cannot be written to a folder.
    #[error("cannot write the conformance programs to {}", .dir.display())]
    Export {
        /// The folder.
        dir: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// No case has the filter in its name.
    #[error("no case has `{0}` in its name; --list shows all")]
    NoCase(String),
    /// The client failed.
    #[error(transparent)]
    Client(#[from] portico_client::Error),
    /// The flags contradict each other, or one is missing.
    #[error("{0}")]
    Usage(String),
    /// A signal ended the command.
    #[error("stopped by a signal")]
    Stopped(StopSignal),
    /// The operating system refused a thread, a signal handler or random bytes.
    #[error("cannot start")]
    Start(#[source] io::Error),
    /// The folder for the WIT cannot be written.
    #[error("cannot write the WIT to {}", .dir.display())]
    WriteWit {
        /// The folder.
        dir: PathBuf,
        /// The cause.
        #[source]
        cause: io::Error,
    },
    /// Standard output cannot be written, or its pipe is closed.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

impl Error {
    /// Returns the exit code of the process.
    pub(super) fn exit_code(&self) -> u8 {
        let wrong = match self {
            Error::Stopped(signal) => return signal.exit_code(),
            Error::Config(_)
            | Error::OpenS3(_)
            | Error::NoIndex
            | Error::NoCase(_)
            | Error::NoBuiltIn
            | Error::Usage(_) => true,
            Error::Client(error) => error.is_usage(),
            _ => false,
        };
        if wrong { 2 } else { 1 }
    }

    /// Returns the error and its causes in one line.
    pub(super) fn report(&self) -> String {
        portico_store::chain(self)
    }

    /// Reports whether the reader of the results has closed the pipe.
    pub(super) fn is_reader_gone(&self) -> bool {
        matches!(self, Error::Output(cause) if cause.kind() == io::ErrorKind::BrokenPipe)
    }
}

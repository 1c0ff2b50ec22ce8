//! Errors of opening a store.

use crate::limits::BadSetting;
use std::path::PathBuf;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// The reason why a store cannot be opened, and the remedy.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting has an invalid value.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The file of trusted certificates cannot be used.
    #[error("cannot trust the certificates in {}: {reason}", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// The problem.
        reason: String,
    },
    /// The client cannot be created.
    #[error("cannot create a client for S3")]
    Client(#[source] Cause),
    /// The server does not respond, or refuses.
    #[error("cannot use {location} at {endpoint}")]
    Server {
        /// The location of the store.
        location: String,
        /// The endpoint.
        endpoint: String,
        /// The server's response.
        #[source]
        cause: portico_store::Error,
    },
    /// The prefix holds something else, or a store of a later version.
    #[error("{location} is not a store of this program: {reason}")]
    Foreign {
        /// The location.
        location: String,
        /// The contents of the prefix.
        reason: String,
    },
    /// The server lacks a capability that has no replacement.
    #[error("the server at {endpoint} lacks {capability}: {advice}")]
    Lacks {
        /// The endpoint.
        endpoint: String,
        /// The capability.
        capability: &'static str,
        /// The remedy.
        advice: &'static str,
    },
}

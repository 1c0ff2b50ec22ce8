//! Why a store can't be opened.

use crate::limits::BadSetting;
use std::path::PathBuf;

type Cause = Box<dyn std::error::Error + Send + Sync>;

/// Why a store can't be opened, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A setting has a value that can't work.
    #[error(transparent)]
    Setting(#[from] BadSetting),
    /// The file of trusted certificates can't be used.
    #[error("cannot trust the certificates in {}: {reason}", .path.display())]
    CaFile {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// The client can't be made.
    #[error("cannot make a client for S3")]
    Client(#[source] Cause),
    /// The server doesn't answer, or refuses.
    #[error("cannot use {location} at {endpoint}")]
    Server {
        /// The location of the store.
        location: String,
        /// The endpoint.
        endpoint: String,
        /// What it answered.
        #[source]
        cause: portico_store::Error,
    },
    /// There is something else under the prefix, or a store of a later version.
    #[error("{location} is not a store of this program: {reason}")]
    Foreign {
        /// The location.
        location: String,
        /// What is there.
        reason: String,
    },
    /// The server lacks something that cannot be replaced.
    #[error("the server at {endpoint} lacks {capability}: {advice}")]
    Lacks {
        /// The endpoint.
        endpoint: String,
        /// What it lacks.
        capability: &'static str,
        /// What can be done.
        advice: &'static str,
    },
}

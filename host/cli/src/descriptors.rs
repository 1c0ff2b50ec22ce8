//! The limit of open files, sockets included.

use crate::config::{Config, StoreConfig};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Files that the process opens for itself: log, threads, and the store's folders, index and readers.
const OWN: u64 = 96;

/// Files that a request on a local store opens besides its connection: to write and to compare.
const LOCAL_REQUEST: u64 = 3;

/// Raises the soft limit of open files to the hard limit. Warns if that is too low for the configured limits.
pub(super) fn raise(config: &Config) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(?current, ?maximum, %error, "cannot raise the limit of open files");
    }
    let needed = needed(config);
    if let Some(limit) = getrlimit(Resource::Nofile).current.filter(|limit| *limit < needed) {
        let (connections, requests) = (config.settings.max_connections, config.settings.max_requests);
        tracing::warn!(
            limit,
            needed,
            "the limit of open files is too low for {connections} connections and {requests} requests, which will fail \
             beyond it: raise it (LimitNOFILE= of systemd, --ulimit nofile= of Docker, ulimit -Hn), or lower \
             max_connections and max_requests"
        );
    }
}

/// Returns the number of open files at the configured limits.
fn needed(config: &Config) -> u64 {
    let request = match &config.store {
        StoreConfig::Local { .. } => LOCAL_REQUEST,
        // A connection for each piece in flight, and one for other requests.
        StoreConfig::S3(options) => options.concurrency as u64 + 1,
    };
    OWN + config.settings.max_connections as u64 + config.settings.max_requests as u64 * request
}

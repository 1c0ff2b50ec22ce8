//! The files that the process may have open, sockets among them.

use crate::config::{Config, StoreConfig};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// What the process opens for itself: its log, its threads, and the store's folders, index and readers.
const OWN: u64 = 96;

/// What a request on a local store has open at most beside its connection: what it writes and what it compares with.
const LOCAL_REQUEST: u64 = 3;

/// Raises the limit of open files to the most that the process may have, and warns if that is too low for the limits
/// that are configured.
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

/// Files that are open when all connections and requests that may be there are.
fn needed(config: &Config) -> u64 {
    let request = match &config.store {
        StoreConfig::Local { .. } => LOCAL_REQUEST,
        // A connection for each piece that is on its way, and one for what is asked meanwhile.
        StoreConfig::S3(options) => options.concurrency as u64 + 1,
    };
    OWN + config.settings.max_connections as u64 + config.settings.max_requests as u64 * request
}

//! The backends that this repository's own tests run over: the local one, and S3 on each server that is wanted.

use portico_conformance::{TestBackend, backends};
use portico_test_servers::{Availability, Server, available, wanted};
use std::sync::Arc;

/// A backend, or why there is none.
pub(crate) enum Wanted {
    /// It is there.
    Ready(Arc<dyn TestBackend>),
    /// It is not there, and its cases are shown as ignored.
    Skipped(String),
    /// It is not there and must be: its cases fail, with this reason.
    Failed(String),
}

/// What the tests run over, by the names of the backends.
pub(crate) async fn backends() -> Vec<(String, Wanted)> {
    let mut backends: Vec<(String, Wanted)> = vec![("local".to_owned(), Wanted::Ready(Arc::new(backends::Local)))];
    for name in wanted() {
        let wanted = match available(&name).await {
            Availability::Ready(server) => Wanted::Ready(Arc::new(s3(server).await)),
            Availability::Skipped(why) => Wanted::Skipped(why),
            Availability::Failed(why) => Wanted::Failed(why),
        };
        backends.push((name, wanted));
    }
    backends
}

/// S3 on a server that is kept until the process ends. Pieces are small, so that much of the content has several.
async fn s3(server: Server) -> backends::S3 {
    let server: &'static Server = Box::leak(Box::new(server));
    let mut options = server.options(&server.bucket().await);
    options.part_size = portico_s3::PART_SIZE_MIN;
    options.memory = 4 * portico_s3::PART_SIZE_MIN;
    backends::S3::new(server.name(), options)
}

//! The backends of this repository's own run: the local one, and S3 on each wanted server.

use portico_conformance::{TestBackend, backends};
use portico_test_servers::{Availability, Server, available, wanted};
use std::sync::Arc;

/// A backend, or why it is missing.
pub(crate) enum Wanted {
    /// The backend is available.
    Ready(Arc<dyn TestBackend>),
    /// The backend is optional and missing: its cases are shown as ignored.
    Skipped(String),
    /// The backend is required and missing: its cases fail with this reason.
    Failed(String),
}

/// Returns the wanted backends by name.
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

/// Runs S3 on a server that lives until the process ends. The pieces are small, so that most content has several.
async fn s3(server: Server) -> backends::S3 {
    let server: &'static Server = Box::leak(Box::new(server));
    let mut options = server.options(&server.bucket().await);
    options.part_size = portico_s3::PART_SIZE_MIN;
    options.memory = 4 * portico_s3::PART_SIZE_MIN;
    backends::S3::new(server.name(), options)
}

//! The backends that the programs run over: a file each.

mod local;

pub use local::Local;

use crate::TestBackend;
use std::sync::Arc;

/// All of them, as this repository's own tests use them.
pub fn all() -> Vec<Arc<dyn TestBackend>> {
    vec![Arc::new(Local)]
}

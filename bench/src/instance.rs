//! What a fresh instance for each request costs.

use crate::context::Bench;
use portico_bench_harness::Result;
use portico_bench_harness::report::{Report, Row};
use portico_bench_harness::turns::{median, quantile};
use portico_cli::BUILT_IN_PORTAL;
use portico_server::runtime::{Limits, Runtime};
use portico_store::Scope;
use portico_store::local::{LocalOptions, LocalStore};
use std::sync::Arc;
use std::time::Instant;

/// Instances that are made, the first tenth of which does not count.
const INSTANCES: usize = 20_000;

#[tokio::main]
pub(crate) async fn measure(bench: &Bench, report: &mut Report) -> Result<()> {
    let store = LocalStore::open(&bench.dir.join("instance"), LocalOptions::default()).await?;
    let runtime = Runtime::new(BUILT_IN_PORTAL, Arc::new(store), Scope::root(), Limits::default())?;
    let id: Arc<str> = "bench".into();
    let mut micros = Vec::with_capacity(INSTANCES);
    for _ in 0..INSTANCES {
        let start = Instant::now();
        drop(runtime.instantiate(&id, Arc::default()).await?);
        micros.push(start.elapsed().as_secs_f64() * 1e6);
    }
    let counted = &micros[INSTANCES / 10..];
    let row = Row::alone("a fresh instance of the portal", median(counted), "us", 60.0);
    let how = format!(
        "store, WASI context, instantiation and drop, pooling allocator; {} of them, 99 % within {:.1} us",
        counted.len(),
        quantile(counted, 0.99)
    );
    report.row(&row, &how)
}

//! Runs work on many items side by side.

use portico_store::{Error, Result};
use tokio::task::JoinSet;

/// Runs a task for each item, at most `width` at once, and returns the results in order.
///
/// # Errors
/// The first error of a task. The tasks that still run are cancelled.
pub(crate) async fn each<I, T: Send + 'static, F: Future<Output = Result<T>> + Send + 'static>(
    width: usize,
    items: Vec<I>,
    task: impl Fn(I) -> F,
) -> Result<Vec<T>> {
    let mut results = Vec::with_capacity(items.len());
    let (mut items, mut running) = (items.into_iter().enumerate(), JoinSet::new());
    loop {
        while running.len() < width
            && let Some((at, item)) = items.next()
        {
            let task = task(item);
            running.spawn(async move { Ok::<_, Error>((at, task.await?)) });
        }
        match running.join_next().await {
            Some(result) => results.push(result.map_err(Error::internal)??),
            None => break,
        }
    }
    results.sort_by_key(|(at, _)| *at);
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

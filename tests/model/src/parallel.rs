//! Independent trials, several at once.

use tokio::runtime::Handle;
use tokio::task::{JoinError, JoinSet};

/// Trials at once: more than processors, because some of them wait.
const AT_ONCE: usize = 6;

/// Tries each item. The trials run on threads of their own, because their futures need not be `Send`.
///
/// # Errors
/// That of the first failed trial.
pub(crate) async fn each<T: Send + 'static, F: Future<Output = Result<(), String>>>(
    items: impl IntoIterator<Item = T>,
    trial: impl Fn(T) -> F + Clone + Send + 'static,
) -> Result<(), String> {
    let mut running = JoinSet::new();
    for item in items {
        if running.len() >= AT_ONCE {
            ended(running.join_next().await)?;
        }
        let (trial, runtime) = (trial.clone(), Handle::current());
        running.spawn_blocking(move || runtime.block_on(trial(item)));
    }
    while let Some(result) = running.join_next().await {
        ended(Some(result))?;
    }
    Ok(())
}

fn ended(result: Option<Result<Result<(), String>, JoinError>>) -> Result<(), String> {
    result.unwrap_or(Ok(Ok(()))).unwrap_or_else(|error| Err(format!("a trial panicked: {error}")))
}

//! The tasks of HTTP/2 streams.
//!
//! Invariant: a stream whose client has stopped reading is reset, and the others of its connection go on. The body of
//! its response cannot do that, because it is not asked for more before the client has made room.

use super::cut::Cut;
use super::flow::Flow;
use hyper::rt::Executor;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

type Exchange = Arc<OnceLock<Arc<Flow>>>;

tokio::task_local! {
    /// The exchange of the stream that the task is for.
    static EXCHANGE: Exchange;
}

/// Says which exchange the present task is for. Of HTTP/1 the task is the connection's, and nothing happens.
pub(super) fn belongs_to(flow: &Arc<Flow>) {
    let _ = EXCHANGE.try_with(|exchange| exchange.set(flow.clone()));
}

/// Runs the tasks of streams.
#[derive(Clone)]
pub(super) struct Streams {
    /// How long a client may leave its response standing.
    pub(super) idle: Duration,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let idle = self.idle;
        let exchange = Exchange::default();
        let of_stream = exchange.clone();
        let task = async move {
            tokio::select! {
                biased;
                _ = stream => {}
                // Dropping a stream that has not ended resets it.
                () = stalled(&of_stream, idle) => tracing::debug!("resetting a stream that is not read"),
            }
        };
        tokio::spawn(EXCHANGE.scope(exchange, task));
    }
}

async fn stalled(exchange: &Exchange, idle: Duration) {
    loop {
        match exchange.get() {
            Some(flow) => {
                flow.stalled(idle).await;
                flow.cut.give(Cut::ClientStalled);
                return;
            }
            None => tokio::time::sleep(idle).await,
        }
    }
}

//! The tasks of HTTP/2 streams.
//!
//! Invariant: a stream whose client has stopped reading is reset, and the other streams of its connection continue. The response
//! body cannot detect that, because it is not polled before the client has made room.

use super::cut::Cut;
use super::flow::Flow;
use hyper::rt::Executor;
use std::future::Future;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

type StreamFlow = Arc<OnceLock<Arc<Flow>>>;

tokio::task_local! {
    /// The exchange of the stream that the task runs.
    static EXCHANGE: StreamFlow;
}

/// Assigns the current task to an exchange. Over HTTP/1 the task is the connection's, and nothing happens.
pub(super) fn belongs_to(flow: &Arc<Flow>) {
    let _ = EXCHANGE.try_with(|exchange| exchange.set(flow.clone()));
}

/// An executor for the tasks of HTTP/2 streams, which resets stalled streams.
#[derive(Clone)]
pub(super) struct Streams {
    /// How long a client may stall its response.
    pub(super) idle: Duration,
}

impl<F: Future<Output: Send> + Send + 'static> Executor<F> for Streams {
    fn execute(&self, stream: F) {
        let idle = self.idle;
        let exchange = StreamFlow::default();
        let of_stream = exchange.clone();
        let task = async move {
            tokio::select! {
                biased;
                _ = stream => {}
                // Dropping an unfinished stream resets it.
                () = stalled(&of_stream, idle) => tracing::debug!("resetting a stalled stream"),
            }
        };
        tokio::spawn(EXCHANGE.scope(exchange, task));
    }
}

async fn stalled(exchange: &StreamFlow, idle: Duration) {
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

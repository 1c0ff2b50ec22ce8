//! The runtime on which all servers and proxies of a test process are.

use std::future::Future;
use std::sync::OnceLock;
use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::task::JoinHandle;

fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        Builder::new_multi_thread().worker_threads(2).thread_name("servers").enable_all().build().expect("a runtime")
    })
}

/// A task that ends when this is dropped.
pub(crate) struct Task(JoinHandle<()>);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Listens on a free port, and gives the listener to a task that runs until the answer is dropped.
pub(crate) fn serve<F: Future<Output = ()> + Send + 'static>(with: impl FnOnce(TcpListener) -> F) -> (String, Task) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let endpoint = format!("http://{}", listener.local_addr().expect("an address"));
    listener.set_nonblocking(true).expect("a listener");
    let _entered = runtime().enter();
    let listener = TcpListener::from_std(listener).expect("a listener");
    (endpoint, Task(runtime().spawn(with(listener))))
}

/// Waits on a thread that has no runtime of its own.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    runtime().block_on(future)
}

/// Runs something that blocks, beside the caller's runtime.
pub(crate) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    runtime().spawn_blocking(work).await.expect("no panic")
}

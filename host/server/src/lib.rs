//! An HTTP server around portals: guests that answer requests from storage.
//!
//! [`runtime`] compiles a component once and runs a fresh instance for each request, within [`runtime::Limits`]. [`server`] accepts
//! connections and hands their requests to portals. [`upkeep`] runs the maintenance of portals and the sweep of the store.
//!
//! # Example
//!
//! ```
//! use portico_server::runtime::{Limits, Runtime};
//! use portico_server::server::{Portals, Server, Settings};
//! use portico_server::upkeep::Upkeep;
//! use portico_store::{Backend, Scope, local::LocalStore};
//! use std::sync::Arc;
//! use std::time::Duration;
//! use tokio::io::{AsyncReadExt, AsyncWriteExt};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let folder = tempfile::tempdir()?;
//! # let (folder, component) = (folder.path(), portico_test_artifacts::PORTAL);
//! let backend: Arc<dyn Backend> = Arc::new(LocalStore::open(folder, Default::default()).await?);
//! // The guests see one scope of the store, and these settings in `wasi:config/store`.
//! let scope = Scope::root().narrow("inbox")?;
//! let runtime = Runtime::new(component, backend.clone(), scope, Limits::default())?;
//! let portals = Portals::from(runtime.with_config([("part-size", "8388608")]));
//!
//! let settings = Settings { max_connections: 64, ..Settings::default() };
//! let server = Server::bind(([127, 0, 0, 1], 0).into(), portals.clone(), backend.clone(), settings).await?;
//! let addr = server.local_addr()?;
//! let upkeep = Upkeep::start(portals, backend, Duration::from_secs(3_600), server.upkeep_metrics());
//! let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
//! let running = tokio::spawn(server.run(async { _ = stopped.await }));
//!
//! // Any HTTP client.
//! let mut client = tokio::net::TcpStream::connect(addr).await?;
//! let request = "PUT /files/greeting.txt HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello";
//! client.write_all(request.as_bytes()).await?;
//! let mut answer = String::new();
//! client.read_to_string(&mut answer).await?;
//! assert!(answer.starts_with("HTTP/1.1 201 Created\r\n"), "{answer}");
//!
//! // Running requests finish first.
//! drop(stop);
//! running.await?;
//! upkeep.stop().await;
//! # Ok(()) }) }
//! ```
//!
//! # Compiling
//!
//! [`runtime::Runtime::new`] compiles in this process. A large component takes a minute and hundreds of MiB that stay with the process,
//! so [`runtime::Compiler`] has a cache, and can compile in a process of its own; [`runtime::Runtime::link`] takes its result.

mod bindings;
pub mod bounded;
pub mod runtime;
pub mod server;
pub mod upkeep;

pub use {portico_host, portico_store};

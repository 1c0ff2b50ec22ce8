//! Portico's storage backend for S3-compatible stores.
//!
//! [`S3Store`] implements [`portico_store::Backend`], whose documentation says what each operation promises. Any number of
//! processes may use one store. [`S3Options`] has the settings; all except the location have defaults.
//!
//! ```
//! use portico_s3::{Credentials, Location, S3Options, S3Store};
//! use portico_store::{FileId, FinalOptions, Scope, put_final, stream};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
//! # let server = portico_test_servers::Server::s3s().await;
//! # let bucket = server.bucket().await;
//! # let (endpoint, key_id, secret) = (server.endpoint(), server.access_key(), server.secret_key());
//! let mut options = S3Options::new(Location::parse(&format!("{bucket}/prefix"))?);
//! // Without an endpoint it is AWS; without credentials the chain of the AWS SDK looks for them.
//! options.endpoint = Some(endpoint.to_owned());
//! options.credentials = Some(Credentials::new(key_id, secret).into());
//! let store = S3Store::open(options).await?;
//!
//! let mut content = stream::from_bytes("hello");
//! let id = FileId::parse("greeting")?;
//! let receipt = put_final(&store, &Scope::root(), &id, &mut content, FinalOptions::default()).await?;
//! assert_eq!(receipt.size, 5);
//! // Before the process ends: what dropped callers began has ended then.
//! store.settle().await;
//! # Ok(()) }) }
//! ```
//!
//! Credentials that change come from a function, which is asked again before they expire:
//!
//! ```
//! use portico_s3::{Credentials, CredentialsSource};
//! use std::time::{Duration, SystemTime};
//!
//! # struct Vault;
//! # impl Vault { async fn keys(&self) -> std::io::Result<(String, String, String)> { Err(std::io::ErrorKind::Other.into()) } }
//! # let vault = std::sync::Arc::new(Vault);
//! let source = CredentialsSource::new(move || {
//!     let vault = vault.clone();
//!     async move {
//!         let (id, secret, token) = vault.keys().await?;
//!         let expires = Some(SystemTime::now() + Duration::from_secs(3_600));
//!         Ok::<_, std::io::Error>(Credentials { session_token: Some(token), expires, ..Credentials::new(id, secret) })
//!     }
//! });
//! # drop(source);
//! ```

mod backend;
mod content;
mod digest;
mod each;
mod keys;
mod limits;
mod open;
mod operations;
mod registry;
mod request;
mod shared;
mod slots;

pub use backend::{S3Store, Traffic};
pub use limits::{BadSetting, CONCURRENCY_MAX, MEMORY_MAX, MEMORY_MIN, PART_SIZE_MAX, TIMEOUT_MAX};
pub use open::credentials::{Credentials, CredentialsSource};
pub use open::error::OpenError;
pub use open::options::{
    BadLocation, Checksum, GRACE_MIN, Location, PART_SIZE_MIN, PREFIX_MAX, PayloadSigning, S3Options,
};
pub use open::probe::{Capabilities, Finding};

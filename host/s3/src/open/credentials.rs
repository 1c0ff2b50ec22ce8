//! Credentials of a store, without a type of the SDK in sight.

use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use std::fmt;
use std::pin::Pin;
use std::time::SystemTime;

type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Asked = Pin<Box<dyn Future<Output = Result<Credentials, BoxError>> + Send>>;

/// The keys of an account.
#[derive(Clone)]
pub struct Credentials {
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret of the access key.
    pub secret_access_key: String,
    /// The token of a session, with temporary keys.
    pub session_token: Option<String>,
    /// When the keys expire, with temporary keys. The source is asked again before.
    pub expires: Option<SystemTime>,
}

impl Credentials {
    /// Creates keys that do not expire.
    pub fn new(access_key_id: impl Into<String>, secret_access_key: impl Into<String>) -> Self {
        Credentials {
            access_key_id: access_key_id.into(),
            secret_access_key: secret_access_key.into(),
            session_token: None,
            expires: None,
        }
    }

    fn for_sdk(self) -> aws_credential_types::Credentials {
        let Credentials { access_key_id, secret_access_key, session_token, expires } = self;
        aws_credential_types::Credentials::new(access_key_id, secret_access_key, session_token, expires, "embedder")
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

/// Where a store gets its credentials from: fixed ones, or a function of the embedder.
#[derive(Clone, Debug)]
pub struct CredentialsSource(SharedCredentialsProvider);

impl CredentialsSource {
    /// Creates a source that asks a function: at the first request, again before the credentials expire, and every
    /// quarter of an hour if they do not say when. While the function fails, the store reports `Denied`.
    pub fn new<F, A, E>(ask: F) -> Self
    where
        F: Fn() -> A + Send + Sync + 'static,
        A: Future<Output = Result<Credentials, E>> + Send + 'static,
        E: Into<BoxError>,
    {
        let ask = move || -> Asked {
            let asked = ask();
            Box::pin(async move { asked.await.map_err(Into::into) })
        };
        CredentialsSource(SharedCredentialsProvider::new(Ask(Box::new(ask))))
    }

    /// Returns the form that an SDK client takes.
    #[doc(hidden)]
    pub fn provider(&self) -> SharedCredentialsProvider {
        self.0.clone()
    }
}

impl From<Credentials> for CredentialsSource {
    fn from(credentials: Credentials) -> Self {
        CredentialsSource(SharedCredentialsProvider::new(credentials.for_sdk()))
    }
}

struct Ask(Box<dyn Fn() -> Asked + Send + Sync>);

impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ask")
    }
}

impl ProvideCredentials for Ask {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let asked = (self.0)();
        future::ProvideCredentials::new(async move {
            asked.await.map(Credentials::for_sdk).map_err(CredentialsError::provider_error)
        })
    }
}

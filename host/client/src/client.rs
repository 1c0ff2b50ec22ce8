//! The client. The modules of `transfer` add its operations.

use crate::error::Error;
use crate::remote::{Options, RemoteServer};
use std::time::Duration;

/// A client of one portal.
pub struct Client {
    pub(crate) server: RemoteServer,
    pub(crate) retry: Duration,
}

impl Client {
    /// Creates a client, without a connection yet. A failed request is retried for at most `retry` after the last success.
    ///
    /// # Errors
    /// [`Error::CaFile`] or [`Error::Tls`] if TLS cannot be set up as the options say.
    pub fn new(options: Options, retry: Duration) -> Result<Client, Error> {
        Ok(Client { server: options.connect()?, retry })
    }
}

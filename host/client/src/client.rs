//! The client itself. The modules of `transfer` give it its operations.

use crate::remote::Server;
use std::time::Duration;

/// A portal, and how long its client is patient with it.
pub struct Client {
    pub(crate) server: Server,
    pub(crate) retry: Duration,
}

impl Client {
    /// A client of that server that tries what fails again for so long after the last thing that went well.
    pub fn new(server: Server, retry: Duration) -> Client {
        Client { server, retry }
    }
}

//! The S3 backend, and what is really in its bucket.
//!
//! It is looked at without the backend's code: by a client of the SDK, as any program sees it.

mod bucket;
mod client;
mod inspect;

use super::max_object_size;
use crate::stores::{BoxError, Found, TestBackend, TestStore};
use async_trait::async_trait;
use aws_sdk_s3::Client;
use portico_s3::{Location, S3Options, S3Store};
use portico_store::{Backend, Token};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::OnceCell;

/// How long a host may have to do in the background after its last user has gone.
const SETTLE: Duration = Duration::from_secs(20);

/// Stores below a prefix of their own each, beneath a location.
pub struct S3 {
    name: String,
    options: S3Options,
    capabilities: Vec<&'static str>,
    client: OnceCell<Client>,
}

impl S3 {
    /// Stores of these options. Of the options only the prefixes and the largest size are others in each store.
    pub fn new(name: impl Into<String>, options: S3Options) -> S3 {
        let mut capabilities = vec!["small-limit", "large"];
        if !options.single_runner {
            capabilities.push("several-hosts");
        }
        S3 { name: name.into(), options, capabilities, client: OnceCell::new() }
    }
}

#[async_trait]
impl TestBackend for S3 {
    fn name(&self) -> &str {
        &self.name
    }

    fn capabilities(&self) -> &[&'static str] {
        &self.capabilities
    }

    async fn fresh(&self, needs: &[String]) -> Result<Box<dyn TestStore>, BoxError> {
        let token = Token::random()?;
        let below =
            |location: &Location| Location { prefix: format!("{}case-{token}/", location.prefix), ..location.clone() };
        let options = S3Options {
            location: below(&self.options.location),
            temp: self.options.temp.as_ref().map(below),
            max_object_size: max_object_size(needs),
            ..self.options.clone()
        };
        let client = self.client.get_or_try_init(|| client::of(&self.options)).await?.clone();
        Ok(Box::new(Prefix { options, client, hosts: Mutex::default() }))
    }
}

struct Prefix {
    options: S3Options,
    client: Client,
    /// What was opened and may still have something to do.
    hosts: Mutex<Vec<Arc<S3Store>>>,
}

impl Prefix {
    /// Where anything of it is.
    fn locations(&self) -> Vec<&Location> {
        let temp = self.options.temp.iter().filter(|temp| **temp != self.options.location);
        std::iter::once(&self.options.location).chain(temp).collect()
    }

    /// Waits until no host does anything any more.
    async fn settle(&self) -> Result<(), BoxError> {
        let hosts = std::mem::take(&mut *self.hosts.lock().unwrap_or_else(PoisonError::into_inner));
        for host in hosts {
            let settled = tokio::time::timeout(SETTLE, host.settle()).await;
            settled.map_err(|_| format!("a host still does something {SETTLE:?} after its last user has gone"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl TestStore for Prefix {
    async fn open(&self) -> Result<Arc<dyn Backend>, BoxError> {
        let host = Arc::new(S3Store::open(self.options.clone()).await?);
        self.hosts.lock().unwrap_or_else(PoisonError::into_inner).push(host.clone());
        Ok(host)
    }

    async fn inspect(&self) -> Result<Found, BoxError> {
        self.settle().await?;
        inspect::inspect(&self.client, &self.locations()).await
    }

    async fn remove(&self) -> Result<(), BoxError> {
        self.settle().await?;
        for location in self.locations() {
            bucket::remove(&self.client, location).await?;
        }
        Ok(())
    }
}

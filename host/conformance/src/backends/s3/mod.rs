//! The S3 backend, and a direct look at its bucket.
//!
//! The look uses none of the backend's code, only a client of the SDK.

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

/// Longest wait for the background tasks of a host after its last user is dropped.
const SETTLE: Duration = Duration::from_secs(20);

/// Creates stores below a location, each with a new prefix.
pub struct S3 {
    name: String,
    options: S3Options,
    capabilities: Vec<&'static str>,
    client: OnceCell<Client>,
}

impl S3 {
    /// Creates stores with these options, except for the prefixes and the largest object size.
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
        Ok(Box::new(S3TestStore { options, client, hosts: Mutex::default() }))
    }
}

struct S3TestStore {
    options: S3Options,
    client: Client,
    /// Hosts that were opened and may have background tasks.
    hosts: Mutex<Vec<Arc<S3Store>>>,
}

impl S3TestStore {
    /// Returns the locations that the store uses.
    fn locations(&self) -> Vec<&Location> {
        let temp = self.options.temp.iter().filter(|temp| **temp != self.options.location);
        std::iter::once(&self.options.location).chain(temp).collect()
    }

    /// Waits for the background tasks of all hosts.
    async fn settle(&self) -> Result<(), BoxError> {
        let hosts = std::mem::take(&mut *self.hosts.lock().unwrap_or_else(PoisonError::into_inner));
        for host in hosts {
            let settled = tokio::time::timeout(SETTLE, host.settle()).await;
            settled
                .map_err(|_| format!("a host still has background tasks {SETTLE:?} after its last user was dropped"))?;
        }
        Ok(())
    }
}

#[async_trait]
impl TestStore for S3TestStore {
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

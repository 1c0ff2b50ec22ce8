//! A bucket, by a plain SDK client, from threads that are not async.

use crate::minio::{ACCESS_KEY, REGION, SECRET_KEY, endpoint};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_smithy_http_client::Builder;
use portico_bench_harness::{Error, Result};
use std::net::SocketAddr;
use tokio::runtime::Runtime;

/// A bucket that this made.
pub(crate) struct Bucket {
    pub(crate) name: String,
    pub(crate) client: Client,
    pub(crate) runtime: Runtime,
}

/// An object as a listing shows it.
pub(crate) struct Object {
    pub(crate) key: String,
    pub(crate) size: u64,
}

impl Bucket {
    pub(crate) fn create(addr: SocketAddr, name: &str) -> Result<Bucket> {
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .http_client(Builder::new().build_http())
            .endpoint_url(endpoint(addr))
            .region(Region::new(REGION))
            .credentials_provider(Credentials::new(ACCESS_KEY, SECRET_KEY, None, None, "bench"))
            .force_path_style(true)
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .retry_config(RetryConfig::disabled())
            .build();
        let client = Client::from_conf(config);
        let runtime = Runtime::new()?;
        runtime.block_on(client.create_bucket().bucket(name).send()).map_err(named)?;
        Ok(Bucket { name: name.to_owned(), client, runtime })
    }

    /// Objects below a prefix, in the order of their keys.
    pub(crate) fn list(&self, prefix: &str) -> Result<Vec<Object>> {
        let mut pages = self.client.list_objects_v2().bucket(&self.name).prefix(prefix).into_paginator().send();
        let mut found = Vec::new();
        while let Some(page) = self.runtime.block_on(pages.next()) {
            for object in page.map_err(named)?.contents() {
                let size = u64::try_from(object.size().unwrap_or(0))?;
                found.push(Object { key: object.key().unwrap_or_default().to_owned(), size });
            }
        }
        Ok(found)
    }

    /// Deletes what is below a prefix; answers its bytes.
    pub(crate) fn clear(&self, prefix: &str) -> Result<u64> {
        let mut bytes = 0;
        for Object { key, size } in self.list(prefix)? {
            self.runtime.block_on(self.client.delete_object().bucket(&self.name).key(key).send()).map_err(named)?;
            bytes += size;
        }
        Ok(bytes)
    }
}

/// An error of the SDK with its causes.
pub(crate) fn named(error: impl std::error::Error) -> Error {
    aws_sdk_s3::error::DisplayErrorContext(error).to_string().into()
}

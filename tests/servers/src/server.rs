//! A server that runs, and what a test needs to use it.

use crate::access::{Access, has_conditions};
use crate::double::{Clock, Lies, Told};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use portico_s3::{Location, S3Options};
use std::any::Any;
use std::time::Duration;

/// An S3 server that runs as long as this is kept.
pub struct Server {
    name: &'static str,
    access: Access,
    client: Client,
    /// The bucket to use, where no other may be made.
    bucket: Option<String>,
    /// What the keys of [`Server::options`] begin with.
    prefix: String,
    pub(crate) clock: Option<Clock>,
    pub(crate) told: Option<Told>,
    _alive: Box<dyn Any + Send + Sync>,
}

impl Server {
    /// The server that `PORTICO_TEST_S3_ENDPOINT`, `_REGION`, `_ACCESS_KEY` and `_SECRET_KEY` name; absent without an
    /// endpoint. With `PORTICO_TEST_S3_BUCKET` all is below a fresh prefix of that bucket, one for each answer of this;
    /// else buckets are made. Neither is removed.
    pub async fn from_env() -> Option<Server> {
        let variable =
            |name: &str| std::env::var(format!("PORTICO_TEST_S3_{name}")).ok().filter(|value| !value.is_empty());
        let access = Access {
            endpoint: variable("ENDPOINT")?,
            region: variable("REGION").unwrap_or_else(|| "us-east-1".to_owned()),
            access_key: variable("ACCESS_KEY").expect("PORTICO_TEST_S3_ACCESS_KEY"),
            secret_key: variable("SECRET_KEY").expect("PORTICO_TEST_S3_SECRET_KEY"),
        };
        let mut server = Self::new("env", access, ());
        server.bucket = variable("BUCKET");
        if server.bucket.is_some() {
            server.prefix = format!("{}/store", fresh_name());
        }
        Some(server)
    }

    pub(crate) fn new(name: &'static str, access: Access, alive: impl Any + Send + Sync) -> Server {
        let client = client(&access);
        let prefix = "store".to_owned();
        Server { name, access, client, bucket: None, prefix, clock: None, told: None, _alive: Box::new(alive) }
    }

    /// What names of tests begin with: `s3s`, `minio`, `moto`, `garage`, `seaweedfs`, `versitygw` or `env`.
    pub fn name(&self) -> &str {
        self.name
    }

    /// The URL, without a path.
    pub fn endpoint(&self) -> &str {
        &self.access.endpoint
    }

    /// The region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.access.region
    }

    /// Who signs.
    pub fn access_key(&self) -> &str {
        &self.access.access_key
    }

    /// What signs.
    pub fn secret_key(&self) -> &str {
        &self.access.secret_key
    }

    /// A plain client of the SDK, to look at what is there: one attempt, checksums only where S3 requires them.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A bucket that nobody else uses; of a server with one bucket for all that one.
    pub async fn bucket(&self) -> String {
        if let Some(bucket) = &self.bucket {
            return bucket.clone();
        }
        let bucket = fresh_name();
        self.client.create_bucket().bucket(&bucket).send().await.expect("a bucket");
        bucket
    }

    /// Options for a store in a bucket, below `store/`, that report a failure after seconds. Of a server that is merely
    /// slow, because the disk is, they wait for the answer.
    pub fn options(&self, bucket: &str) -> S3Options {
        let location = Location::parse(&format!("{bucket}/{}", self.prefix)).expect("a location");
        let mut options = S3Options::new(location);
        options.endpoint = Some(self.access.endpoint.clone());
        options.region = Some(self.access.region.clone());
        options.credentials = Some(portico_s3::Credentials::new(self.access_key(), self.secret_key()).into());
        options.retry = Duration::from_secs(3);
        options.timeout = Duration::from_secs(30);
        options.single_runner = !self.has_conditions();
        options
    }

    /// Whether it has conditional writes, without which a store is for one process.
    pub fn has_conditions(&self) -> bool {
        has_conditions(self.name)
    }

    /// Puts the clock of a server in this process forward: its `Date` headers, and the times of what is made from now
    /// on. Requests are taken whatever their own time.
    ///
    /// # Panics
    /// For other servers.
    pub fn advance(&self, by: Duration) {
        self.clock.as_ref().expect("a server in this process").advance(by);
    }

    /// Makes a server in this process tell other lies from now on.
    ///
    /// # Panics
    /// For other servers.
    pub fn lie(&self, lies: Lies) {
        self.told.as_ref().expect("a server in this process").set(lies);
    }
}

/// A name that no other test has, fit for a bucket.
fn fresh_name() -> String {
    format!("t-{:016x}", fastrand::u64(..))
}

fn credentials(access: &Access) -> Credentials {
    Credentials::new(&access.access_key, &access.secret_key, None, None, "test")
}

fn client(access: &Access) -> Client {
    let http = if access.endpoint.starts_with("https:") {
        Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
    } else {
        Builder::new().build_http()
    };
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .http_client(http)
        .endpoint_url(&access.endpoint)
        .region(Region::new(access.region.clone()))
        .credentials_provider(credentials(access))
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
        .retry_config(RetryConfig::disabled())
        .timeout_config(TimeoutConfig::builder().operation_timeout(Duration::from_secs(60)).build())
        .build();
    Client::from_conf(config)
}

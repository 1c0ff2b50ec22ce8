//! The SDK's client, with the time limits and retries of each request.
//!
//! Invariant: every request has a time limit. None is retried beyond [`crate::S3Options::retry`], or when most recent
//! requests failed. The SDK itself retries nothing, because only the caller knows what may be repeated.

use crate::open::error::OpenError;
use crate::request::answer::{has_request_id, tells_time};
use crate::request::failure::{Failure, Kind};
use crate::{Checksum, Location, PayloadSigning, S3Options};
use aws_config::environment::region::EnvironmentVariableRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::region::ProfileFileRegionProvider;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::{
    Intercept, RequestChecksumCalculation, ResponseChecksumValidation, RuntimeComponents, StalledStreamProtectionConfig,
};
use aws_smithy_http_client::tls;
use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::context::BeforeDeserializationInterceptorContextRef;
use aws_smithy_types::config_bag::ConfigBag;
use aws_smithy_types::date_time::{DateTime, Format};
use portico_store::Error;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Delay before the first retry; the limit of the delay doubles with each further one.
const BACKOFF: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

/// Retry budget of all requests of this process, as in the SDK's standard mode. A success returns one token.
const RETRY_TOKENS: i64 = 500;
const RETRY_COST: i64 = 5;

/// Slowest accepted transfer of gathered content, in bytes per second.
const RATE_MIN: u64 = 64 << 10;

/// The default region.
const REGION: &str = "us-east-1";

type StepHook = dyn Fn(&'static str) -> bool + Send + Sync;

/// A client of one server.
pub(crate) struct Client {
    pub(crate) s3: aws_sdk_s3::Client,
    /// Whether payloads are signed.
    pub(crate) signs: bool,
    pub(crate) checksum: Checksum,
    pub(crate) endpoint: String,
    timeout: Duration,
    retry: Duration,
    tokens: AtomicI64,
    clock: Clock,
    step: Option<Box<StepHook>>,
}

impl Client {
    pub(crate) async fn new(options: &S3Options, step: Option<Box<StepHook>>) -> Result<Self, OpenError> {
        let mut trust = tls::TlsContext::builder();
        if let Some(file) = &options.ca_file {
            let pem = certificates(file).await.map_err(|reason| OpenError::CaFile { path: file.clone(), reason })?;
            trust = trust.with_trust_store(tls::TrustStore::empty().with_pem_certificate(pem));
        }
        let trust = trust.build().map_err(|cause| OpenError::Client(cause.into()))?;
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(tls::Provider::Rustls(tls::rustls_provider::CryptoMode::Ring))
            .tls_context(trust)
            .build_https();
        let timeouts = TimeoutConfig::builder().connect_timeout(options.timeout.min(Duration::from_secs(5))).build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts)
            .stalled_stream_protection(StalledStreamProtectionConfig::enabled().grace_period(options.timeout).build());
        if let Some(endpoint) = &options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        } else if options.endpoint.is_some() {
            // The region of the instance is not used: the server has another one, and the instance may not be in AWS.
            let chain = RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new());
            loader = loader.region(chain.or_else(ProfileFileRegionProvider::new()).or_else(Region::new(REGION)));
        }
        if let Some(credentials) = &options.credentials {
            loader = loader.credentials_provider(credentials.provider());
        }
        let shared = loader.load().await;
        let endpoint = shared.endpoint_url().map(str::to_owned).or_else(|| std::env::var("AWS_ENDPOINT_URL_S3").ok());
        let clock = Clock::default();
        let mut config = aws_sdk_s3::config::Builder::from(&shared)
            .force_path_style(options.path_style.unwrap_or(endpoint.is_some()))
            .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
            .response_checksum_validation(ResponseChecksumValidation::WhenRequired)
            .interceptor(clock.clone());
        if shared.region().is_none() {
            config = config.region(Region::new(REGION));
        }
        let signs = match options.payload_signing {
            PayloadSigning::Always => true,
            PayloadSigning::Never => false,
            PayloadSigning::Auto => endpoint.as_deref().is_some_and(is_exposed),
        };
        Ok(Client {
            s3: aws_sdk_s3::Client::from_conf(config.build()),
            signs,
            checksum: options.checksum,
            endpoint: endpoint.unwrap_or_else(|| "AWS".to_owned()),
            timeout: options.timeout,
            retry: options.retry,
            tokens: AtomicI64::new(RETRY_TOKENS),
            clock,
            step,
        })
    }

    /// Returns the error of a store that cannot be opened or read because of its server.
    pub(crate) fn cannot_use(&self, location: &Location, cause: impl Into<Error>) -> OpenError {
        OpenError::Server { location: location.to_string(), endpoint: self.endpoint.clone(), cause: cause.into() }
    }

    /// Returns the server's time, in milliseconds since the Unix epoch, to the second.
    pub(crate) fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    /// Returns the time limit of a request without content.
    pub(crate) fn short(&self) -> Duration {
        self.timeout
    }

    /// Returns the time limit of a request with `bytes` of content.
    pub(crate) fn carrying(&self, bytes: u64) -> Duration {
        self.timeout + Duration::from_secs(bytes / RATE_MIN)
    }

    /// Returns the time limit of a request that the server may take long for: a copy, or the completion of a multipart
    /// upload.
    pub(crate) fn long(&self) -> Duration {
        self.timeout * 10
    }

    /// Marks the point before or after a change. Fails if a test has stopped this host there.
    pub(crate) fn step(&self, name: &'static str) -> Result<(), Failure> {
        match &self.step {
            Some(step) if step(name) => Err(Failure::new(Kind::Other, "a test has stopped this host")),
            _ => Ok(()),
        }
    }

    /// Sends a request that may be repeated. `attempt` gets the number of preceding attempts.
    pub(crate) async fn repeat<T, F>(&self, limit: Duration, mut attempt: impl FnMut(u32) -> F) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let began = Instant::now();
        let mut attempts = 0;
        loop {
            let failure = match self.once(limit, attempt(attempts)).await {
                Ok(value) => {
                    self.give_back();
                    return Ok(value);
                }
                Err(failure) => failure,
            };
            attempts += 1;
            let Some(pause) = self.pause(&failure, attempts, began) else { return Err(failure) };
            tracing::debug!(error = %failure, cause = ?failure.kind, attempts, "retrying a request to the store");
            tokio::time::sleep(pause).await;
        }
    }

    /// Sends a request once, within a time limit.
    pub(crate) async fn once<T>(
        &self,
        limit: Duration,
        attempt: impl Future<Output = Result<T, Failure>>,
    ) -> Result<T, Failure> {
        // Boxed, because the SDK's futures are large and would be part of all callers' futures.
        tokio::time::timeout(limit, Box::pin(attempt))
            .await
            .unwrap_or_else(|_| Err(Failure::new(Kind::Transient, format!("no response within {limit:?}"))))
    }

    /// Returns the pause before the next attempt; `None` if there is to be none.
    pub(crate) fn pause(&self, failure: &Failure, attempts: u32, began: Instant) -> Option<Duration> {
        if !failure.kind.is_retryable() {
            return None;
        }
        let ceiling = BACKOFF.saturating_mul(1 << (attempts - 1).min(16)).min(BACKOFF_MAX);
        let pause = ceiling.mul_f64(0.5 + fastrand::f64() / 2.0);
        let pause = pause.max(Duration::from_secs(failure.retry_after.unwrap_or(0).into()));
        if began.elapsed() + pause > self.retry {
            return None;
        }
        let taken = self.tokens.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |there| {
            (there >= RETRY_COST).then_some(there - RETRY_COST)
        });
        taken.is_ok().then_some(pause)
    }

    fn give_back(&self) {
        let _ = self
            .tokens
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |there| (there < RETRY_TOKENS).then_some(there + 1));
    }
}

/// Reads a file of valid PEM certificates. The SDK panics over invalid ones.
async fn certificates(file: &std::path::Path) -> Result<Vec<u8>, String> {
    let pem = tokio::fs::read(file).await.map_err(|cause| cause.to_string())?;
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|cause| format!("not PEM: {cause}"))?;
        roots.add(certificate).map_err(|cause| cause.to_string())?;
    }
    if roots.is_empty() { Err("no PEM certificate in it".to_owned()) } else { Ok(pem) }
}

/// Returns whether a third party could change requests to an endpoint: no TLS, and not this machine. An endpoint that
/// is no URL counts as exposed.
fn is_exposed(endpoint: &str) -> bool {
    // The parser of the SDK: schemes in any case, a user before the host.
    let Ok(url) = endpoint.parse::<http::Uri>() else { return true };
    if url.scheme() == Some(&http::uri::Scheme::HTTPS) {
        return false;
    }
    let host = url.host().unwrap_or_default();
    let address = host.strip_prefix('[').and_then(|v6| v6.strip_suffix(']')).unwrap_or(host);
    let is_loopback = address.parse::<IpAddr>().is_ok_and(|address| address.to_canonical().is_loopback());
    !(is_loopback || host.eq_ignore_ascii_case("localhost"))
}

/// The difference between the server's clock and ours, by the server's latest response.
#[derive(Clone, Debug, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn now_ms(&self) -> u64 {
        let ours = i64::try_from(our_ms()).unwrap_or(i64::MAX);
        u64::try_from(ours.saturating_add(self.0.load(Ordering::Relaxed))).unwrap_or(0)
    }
}

fn our_ms() -> u128 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis())
}

#[aws_smithy_runtime_api::client::interceptors::dyn_dispatch_hint]
impl Intercept for Clock {
    fn name(&self) -> &'static str {
        "server clock"
    }

    fn read_after_transmit(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let response = context.response();
        if !tells_time(response.status().as_u16(), has_request_id(response)) {
            return Ok(());
        }
        let date = response.headers().get("date");
        if let Some(date) = date.and_then(|text| DateTime::from_str(text, Format::HttpDate).ok())
            && let (Ok(theirs), Ok(ours)) = (date.to_millis(), i64::try_from(our_ms()))
        {
            let difference = theirs - ours;
            // The header has whole seconds, so a difference of about a second says nothing.
            let difference = if difference.abs() <= 1_500 { 0 } else { difference };
            self.0.store(difference, Ordering::Relaxed);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_http_over_a_network_is_exposed() {
        for endpoint in [
            "https://s3.example.com",
            "HTTPS://s3.example.com",
            "http://127.0.0.1:9000",
            "HTTP://127.0.0.1:9000",
            "http://localhost:1/",
            "Http://LOCALHOST:1",
            "http://[::1]:9000",
            "http://[::ffff:127.0.0.1]:9000",
        ] {
            assert!(!is_exposed(endpoint), "{endpoint}");
        }
        for endpoint in [
            "http://10.0.0.1:9000",
            "HTTP://10.0.0.1:9000",
            "hTTp://minio",
            "http://minio:9000",
            "http://[fd00::1]",
            "http://127.0.0.1.example",
            "http://localhost.example",
            "http://localhost@minio:9000",
            "http://127.0.0.1@minio/",
            "minio:9000",
            "no URL",
        ] {
            assert!(is_exposed(endpoint), "{endpoint}");
        }
    }
}

//! An SDK client for the server of a store.

use crate::stores::BoxError;
use aws_config::{BehaviorVersion, Region};
use aws_sdk_s3::Client;
use aws_sdk_s3::config::{Builder, RequestChecksumCalculation, ResponseChecksumValidation};
use aws_smithy_http_client::Builder as HttpClient;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use portico_s3::S3Options;

/// Creates a client for the server of these options, without the backend's own code.
pub(super) async fn of(options: &S3Options) -> Result<Client, BoxError> {
    let mut tls = TlsContext::builder();
    if let Some(file) = &options.ca_file {
        tls = tls.with_trust_store(TrustStore::empty().with_pem_certificate(std::fs::read(file)?));
    }
    let http = HttpClient::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls.build()?);
    let mut loader = aws_config::defaults(BehaviorVersion::latest()).http_client(http.build_https());
    if let Some(region) = &options.region {
        loader = loader.region(Region::new(region.clone()));
    }
    if let Some(endpoint) = &options.endpoint {
        loader = loader.endpoint_url(endpoint);
    }
    if let Some(credentials) = &options.credentials {
        loader = loader.credentials_provider(credentials.provider());
    }
    let shared = loader.load().await;
    let own_endpoint = shared.endpoint_url().is_some();
    let mut config = Builder::from(&shared)
        .force_path_style(options.path_style.unwrap_or(own_endpoint))
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired)
        .response_checksum_validation(ResponseChecksumValidation::WhenRequired);
    if shared.region().is_none() {
        config = config.region(Region::new("us-east-1"));
    }
    Ok(Client::from_conf(config.build()))
}

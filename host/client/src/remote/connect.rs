//! Connections to the server, and the certificates that are trusted.

use super::server::RemoteServer;
use crate::address::{BearerToken, ServerUrl};
use crate::error::Error;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// Longest time to establish a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// Idle time before TCP keep-alive probes a connection, and between two probes. A connection is given up after
/// [`KEEPALIVE_TRIES`] unanswered probes.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TRIES: u32 = 6;

/// How to reach a server.
pub struct Options {
    /// The server's URL.
    pub url: ServerUrl,
    /// The access token.
    pub token: Option<BearerToken>,
    /// Certificates in PEM to trust in place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Options {
    /// Sets up the server's connections; opens none yet.
    pub(crate) fn connect(self) -> Result<RemoteServer, Error> {
        let connector = connector(&self.url, self.ca_file.as_deref())?;
        Ok(RemoteServer::new(self.url, self.token.map(BearerToken::into_header), connector))
    }
}

fn connector(url: &ServerUrl, ca_file: Option<&Path>) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            trust(&mut roots, path).map_err(|reason| Error::CaFile { path: path.to_owned(), reason })?;
        }
        None if url.is_https() => {
            // Unusable certificates belong to other programs. If none is usable, no server will be trusted.
            let _ = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
        }
        None => {}
    }
    let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|cause| Error::Tls(cause.into()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let mut tcp = HttpConnector::new();
    tcp.enforce_http(false);
    tcp.set_nodelay(true);
    tcp.set_connect_timeout(Some(CONNECT));
    tcp.set_keepalive(Some(KEEPALIVE));
    tcp.set_keepalive_interval(Some(KEEPALIVE));
    tcp.set_keepalive_retries(Some(KEEPALIVE_TRIES));
    // Parts use parallel connections. On a single HTTP/2 connection, one lost packet would delay all of them.
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp))
}

fn trust(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|cause| cause.to_string())?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|cause| format!("not PEM: {cause}"))?;
        roots.add(certificate).map_err(|cause| cause.to_string())?;
    }
    if roots.is_empty() { Err("it contains no PEM certificate".to_owned()) } else { Ok(()) }
}

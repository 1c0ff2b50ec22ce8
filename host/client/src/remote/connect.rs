//! How a server is reached: connections, and the certificates that are trusted.

use super::server::Server;
use crate::address::{ServerUrl, Token};
use crate::error::Error;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// How long a connection may take to come about.
const CONNECT: Duration = Duration::from_secs(10);

/// A connection on which nothing moves is asked after so long whether the other side is still there, and given up when
/// it does not say so that often.
const KEEPALIVE: Duration = Duration::from_secs(20);
const KEEPALIVE_TRIES: u32 = 6;

/// How a server is reached.
pub struct Options {
    /// Where it is.
    pub url: ServerUrl,
    /// What opens it.
    pub token: Option<Token>,
    /// Certificates in PEM that are trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
}

impl Options {
    /// The server; no connection is made yet.
    ///
    /// # Errors
    /// If the certificates cannot be used.
    pub fn server(self) -> Result<Server, Error> {
        let connector = connector(&self.url, self.ca_file.as_deref())?;
        Ok(Server::new(self.url, self.token.map(Token::into_header), connector))
    }
}

fn connector(url: &ServerUrl, ca_file: Option<&Path>) -> Result<HttpsConnector<HttpConnector>, Error> {
    let mut roots = RootCertStore::empty();
    match ca_file {
        Some(path) => {
            trust(&mut roots, path).map_err(|reason| Error::CaFile { path: path.to_owned(), reason })?;
        }
        None if url.is_https() => {
            // Those that cannot be used are some other program's; if none can, no server will be trusted.
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
    // Parts go in parallel on connections of their own; on one of HTTP/2 a lost packet would hold up all of them.
    Ok(HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(tcp))
}

fn trust(roots: &mut RootCertStore, path: &Path) -> Result<(), String> {
    let pem = std::fs::read(path).map_err(|cause| cause.to_string())?;
    for certificate in CertificateDer::pem_slice_iter(&pem) {
        let certificate = certificate.map_err(|cause| format!("not PEM: {cause}"))?;
        roots.add(certificate).map_err(|cause| cause.to_string())?;
    }
    if roots.is_empty() { Err("no PEM certificate in it".to_owned()) } else { Ok(()) }
}

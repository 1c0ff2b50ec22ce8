//! Which servers the tests want, and what it means where one is missing.

use crate::access::has_conditions;
use crate::process::Missing;
use crate::{Server, garage, minio, moto, seaweedfs, versitygw};

/// Whether tests can have a server.
pub enum Availability {
    /// It runs.
    Ready(Server),
    /// It is missing, and its cases are to be shown as ignored, by name.
    Skipped(String),
    /// It is missing and must not be: its cases fail.
    Failed(String),
}

/// The names of the servers that the tests are to run on: `PORTICO_TEST_SERVERS`, joined by commas, else `s3s` and
/// `minio`; and `env` where `PORTICO_TEST_S3_ENDPOINT` names one.
pub fn wanted() -> Vec<String> {
    let named = named().unwrap_or_else(|| "s3s,minio".to_owned());
    let mut wanted: Vec<_> =
        named.split(',').map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect();
    if std::env::var_os("PORTICO_TEST_S3_ENDPOINT").is_some_and(|value| !value.is_empty()) {
        wanted.push("env".to_owned());
    }
    wanted
}

fn named() -> Option<String> {
    std::env::var("PORTICO_TEST_SERVERS").ok().filter(|value| !value.is_empty())
}

/// Why the cases of a server are to be shown as ignored; absent: they are to be run, and fail where it is missing. In CI
/// (`CI=true`) and for servers that `PORTICO_TEST_SERVERS` names none is ignored.
pub(crate) fn skipped(name: &str) -> Option<String> {
    let must_run = named().is_some() || std::env::var_os("CI").is_some_and(|value| value == "true");
    lacking(name).err().filter(|_| !must_run).map(|missing| missing.to_string())
}

/// Why no [`FaultProxy`](crate::FaultProxy) can be before the server of a name of [`wanted`]: it speaks no TLS.
pub fn lacks_proxy(name: &str) -> Option<&'static str> {
    let is_plain = || std::env::var("PORTICO_TEST_S3_ENDPOINT").is_ok_and(|endpoint| endpoint.starts_with("http://"));
    (name == "env" && !is_plain()).then_some("lacks plain HTTP")
}

/// Why a test that needs several hosts of a store is not for the server of a name of [`wanted`]: it has no conditional writes.
pub fn lacks_several_hosts(name: &str) -> Option<&'static str> {
    (!has_conditions(name)).then_some("lacks several-hosts")
}

/// The server of a name of [`wanted`].
///
/// # Panics
/// For names that are none.
pub async fn available(name: &str) -> Availability {
    if let Some(why) = skipped(name) {
        return Availability::Skipped(why);
    }
    let server = match name {
        "s3s" => Ok(Server::s3s().await),
        "minio" => Server::minio().await,
        "moto" => Server::moto().await,
        "garage" => Server::garage().await,
        "seaweedfs" => Server::seaweedfs().await,
        "versitygw" => Server::versitygw().await,
        "env" => Server::from_env().await.ok_or_else(|| Missing("no PORTICO_TEST_S3_ENDPOINT".to_owned())),
        other => panic!("{other:?} is not a server: s3s, minio, moto, garage, seaweedfs, versitygw, env"),
    };
    server.map_or_else(|missing| Availability::Failed(format!("{name}: {missing}")), Availability::Ready)
}

fn lacking(name: &str) -> Result<(), Missing> {
    match name {
        "minio" => minio::program().map(drop),
        "moto" => moto::program().map(drop),
        "garage" => garage::program().map(drop),
        "seaweedfs" => seaweedfs::program().map(drop),
        "versitygw" => versitygw::program().map(drop),
        _ => Ok(()),
    }
}

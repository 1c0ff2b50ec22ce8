//! The settings of the store: its location, and the options to open it.

use super::keys::StoreKind;
use super::units;
use super::values::{ConfigError, Origin, Values};
use portico_s3::{BadSetting, Checksum, Location, PayloadSigning, S3Options};
use portico_store::local::{Durability, LocalOptions};
use std::path::PathBuf;

/// The location of the store, and the options to open it.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// A folder of the local filesystem.
    Local {
        /// The folder.
        path: PathBuf,
        /// The options to open it.
        options: LocalOptions,
    },
    /// A bucket of an S3-compatible server.
    S3(Box<S3Options>),
}

impl StoreConfig {
    /// Returns the kind of the store.
    pub fn kind(&self) -> StoreKind {
        match self {
            StoreConfig::Local { .. } => StoreKind::Local,
            StoreConfig::S3(_) => StoreKind::S3,
        }
    }
}

/// A parsed URL of a store.
enum StoreUrl {
    Local(PathBuf),
    S3(Location),
}

/// Parses the settings of the store. Settings for another kind of store are errors, except from the environment.
pub(super) fn read(values: &Values<'_>) -> Result<StoreConfig, ConfigError> {
    let store = match values.parse("store", store_url)? {
        StoreUrl::Local(path) => StoreConfig::Local { path, options: local(values)? },
        StoreUrl::S3(location) => StoreConfig::S3(Box::new(s3(values, location)?)),
    };
    for (key, given) in values.all() {
        let Some(kind) = key.only_for.filter(|kind| *kind != store.kind()) else { continue };
        if let Origin::Flag(_) | Origin::File(_) = given.origin {
            return Err(ConfigError::OtherStore {
                key: key.name,
                origin: given.origin.to_string(),
                scheme: kind.scheme(),
                store: values.given("store").text.clone(),
            });
        }
    }
    Ok(store)
}

fn store_url(text: &str) -> Result<StoreUrl, String> {
    match text.split_once(':') {
        Some(("file", path)) => folder(path).map(StoreUrl::Local),
        Some(("s3", _)) => location(text).map(StoreUrl::S3),
        _ => Err("expected file:DIR or s3://BUCKET[/PREFIX]".to_owned()),
    }
}

/// Parses a `file:` URL: a path, or `//` and an absolute path. Rejects `~` and hosts, because both would silently name an
/// unintended folder.
fn folder(path: &str) -> Result<PathBuf, String> {
    if path.is_empty() || path == "//" {
        return Err("the folder is missing: expected file:DIR".to_owned());
    }
    if path.starts_with('~') {
        let rest = path.split_once('/').map_or("", |(_, rest)| rest);
        return Err(format!(
            "`~` is not expanded here: write file:$HOME/{rest}, or file:./{path} for a folder of that name"
        ));
    }
    if let Some(rest) = path.strip_prefix("//").filter(|rest| !rest.starts_with('/')) {
        let (host, below) = rest.split_once('/').unwrap_or((rest, ""));
        let here = if rest.starts_with('~') { "./" } else { "" };
        return Err(format!(
            "names the host `{host}`, but folders are on this machine: write file:///{below} for /{below}, or \
             file:{here}{rest} for a folder below the current one"
        ));
    }
    Ok(PathBuf::from(path))
}

fn location(text: &str) -> Result<Location, String> {
    match text.strip_prefix("s3://") {
        Some(text) => Location::parse(text).map_err(|bad| bad.to_string()),
        None => Err("expected s3://BUCKET[/PREFIX]".to_owned()),
    }
}

fn local(values: &Values<'_>) -> Result<LocalOptions, ConfigError> {
    Ok(LocalOptions {
        durability: values.parse("durability", |text| match text {
            "full" => Ok(Durability::Full),
            "none" => Ok(Durability::None),
            _ => Err("expected full or none".to_owned()),
        })?,
        max_object_size: values.parse("max_object_size", units::size)?,
        lock_wait: values.parse("lock_wait", units::time)?,
    })
}

fn s3(values: &Values<'_>, location: Location) -> Result<S3Options, ConfigError> {
    // A size beyond `usize` is out of range in any case.
    let bytes = |text: &str| Ok(usize::try_from(units::size(text)?).unwrap_or(usize::MAX));
    let options = S3Options {
        location,
        temp: values.parse("s3_temp", |text| unless_empty(text).map(self::location).transpose())?,
        endpoint: values.parse("s3_endpoint", |text| unless_empty(text).map(endpoint).transpose())?,
        region: values.parse("s3_region", |text| unless_empty(text).map(region).transpose())?,
        path_style: values.parse("s3_path_style", |text| match text {
            "auto" => Ok(None),
            _ => units::truth(text).map(Some).map_err(|_| "expected auto, true or false".to_owned()),
        })?,
        ca_file: values.parse("s3_ca_file", |text| Ok(unless_empty(text).map(PathBuf::from)))?,
        credentials: None,
        payload_signing: values.parse("s3_payload_signing", |text| match text {
            "auto" => Ok(PayloadSigning::Auto),
            "always" => Ok(PayloadSigning::Always),
            "never" => Ok(PayloadSigning::Never),
            _ => Err("expected auto, always or never".to_owned()),
        })?,
        checksum: values.parse("s3_checksum", |text| match text {
            "crc32" => Ok(Checksum::Crc32),
            "none" => Ok(Checksum::None),
            _ => Err("expected crc32 or none".to_owned()),
        })?,
        single_runner: values.parse("s3_single_runner", units::truth)?,
        max_object_size: values.parse("max_object_size", units::size)?,
        part_size: values.parse("s3_part_size", bytes)?,
        concurrency: values.parse("s3_concurrency", |text| Ok(units::count(text, 0, u32::MAX.into())? as usize))?,
        memory: values.parse("s3_memory", bytes)?,
        timeout: values.parse("s3_timeout", units::time)?,
        retry: values.parse("s3_retry", units::time)?,
        grace: values.parse("s3_grace", units::time)?,
    };
    match options.check() {
        Ok(()) => Ok(options),
        Err(BadSetting { setting, reason }) => Err(values.bad(&format!("s3_{setting}"), reason)),
    }
}

fn unless_empty(text: &str) -> Option<&str> {
    Some(text).filter(|text| !text.is_empty())
}

fn endpoint(text: &str) -> Result<String, String> {
    let form = "expected a URL such as https://s3.example.com or http://127.0.0.1:9000, without a user or a query";
    let url: http::Uri = text.parse().map_err(|_| form.to_owned())?;
    let web = matches!(url.scheme_str(), Some("http" | "https"));
    let plain = url.query().is_none() && url.authority().is_some_and(|authority| !authority.as_str().contains('@'));
    if web && plain { Ok(text.to_owned()) } else { Err(form.to_owned()) }
}

fn region(text: &str) -> Result<String, String> {
    let plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'));
    if plain { Ok(text.to_owned()) } else { Err("expected a name such as eu-central-1".to_owned()) }
}

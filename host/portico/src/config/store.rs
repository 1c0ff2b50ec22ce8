//! The settings of the store: which it is, and how it is opened.

use super::{ConfigError, Source, StoreKind, Values, units};
use portico_s3::{Checksum, GRACE_MIN, Location, PART_SIZE_MIN, PayloadSigning, S3Options};
use portico_store::local::{Durability, LocalOptions};
use std::path::PathBuf;

/// Most pieces of one upload that are on their way at once.
const CONCURRENCY_MAX: u64 = 256;

/// Largest piece of a multipart upload, in bytes (S3).
const PART_SIZE_MAX: u64 = 5 << 30;

/// Where things are stored, and how that is opened.
#[derive(Clone, Debug)]
pub enum StoreConfig {
    /// A folder of the local filesystem.
    Local {
        /// The folder.
        path: PathBuf,
        /// How it is opened.
        options: LocalOptions,
    },
    /// A bucket of an S3-compatible server.
    S3(Box<S3Options>),
}

impl StoreConfig {
    /// Its kind.
    pub fn kind(&self) -> StoreKind {
        match self {
            StoreConfig::Local { .. } => StoreKind::Local,
            StoreConfig::S3(_) => StoreKind::S3,
        }
    }
}

/// What a URL of a store names.
enum Place {
    Local(PathBuf),
    S3(Location),
}

/// Reads the settings of the store; those of other kinds of store must not have been given but by the environment.
pub(super) fn read(values: &Values<'_>) -> Result<StoreConfig, ConfigError> {
    let store = match values.parse("store", place)? {
        Place::Local(path) => StoreConfig::Local { path, options: local(values)? },
        Place::S3(location) => StoreConfig::S3(Box::new(s3(values, location)?)),
    };
    for (key, given) in values.0 {
        let Some(kind) = key.only_for.filter(|kind| *kind != store.kind()) else { continue };
        if let Source::Flag(_) | Source::File(_) = given.source {
            return Err(ConfigError::OtherStore {
                key: key.name,
                source_name: given.source.to_string(),
                scheme: kind.scheme(),
                store: values.given("store").text.clone(),
            });
        }
    }
    Ok(store)
}

fn place(text: &str) -> Result<Place, String> {
    match text.split_once(':') {
        Some(("file", "")) => Err("names no folder: expected file:DIR".to_owned()),
        Some(("file", path)) => Ok(Place::Local(PathBuf::from(path))),
        Some(("s3", _)) => location(text).map(Place::S3),
        _ => Err("expected file:DIR or s3://BUCKET[/PREFIX]".to_owned()),
    }
}

fn location(text: &str) -> Result<Location, String> {
    match text.strip_prefix("s3://") {
        Some(text) => Location::parse(text),
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
    let single_runner = values.parse("s3_single_runner", units::truth)?;
    let part_size = values.parse("s3_part_size", |text| {
        let bytes = units::size(text)?;
        let fits = (PART_SIZE_MIN as u64..=PART_SIZE_MAX).contains(&bytes);
        if fits { Ok(bytes as usize) } else { Err("must be from 5MiB to 5GiB".to_owned()) }
    })?;
    Ok(S3Options {
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
        single_runner,
        max_object_size: values.parse("max_object_size", units::size)?,
        part_size,
        concurrency: values.parse("s3_concurrency", |text| units::count(text, 1, CONCURRENCY_MAX))? as usize,
        memory: values.parse("s3_memory", |text| {
            let bytes = usize::try_from(units::size(text)?).unwrap_or(usize::MAX);
            let fits = bytes / 2 >= part_size;
            if fits { Ok(bytes) } else { Err(format!("must be at least twice s3_part_size ({part_size} bytes)")) }
        })?,
        timeout: values.parse("s3_timeout", units::positive_time)?,
        retry: values.parse("s3_retry", units::time)?,
        grace: values.parse("s3_grace", |text| {
            let grace = units::time(text)?;
            let safe = single_runner || grace >= GRACE_MIN;
            let shortest = GRACE_MIN.as_secs() / 60;
            if safe { Ok(grace) } else { Err(format!("must be at least {shortest}m unless s3_single_runner is true")) }
        })?,
    })
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

//! Settings that an operator or an embedder can choose.

use crate::open::credentials::CredentialsSource;
use std::path::PathBuf;
use std::time::Duration;

/// A bucket and a prefix of all keys in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// Empty, or ends with `/`.
    pub prefix: String,
}

/// Longest prefix of a [`Location`], in bytes, with its final `/`: the longest keys then fit the 1,024 bytes of S3.
pub const PREFIX_MAX: usize = 256;

/// The text is not a [`Location`]. The message names the problem in one line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct BadLocation(String);

impl Location {
    /// Parses `BUCKET` or `BUCKET/PREFIX`.
    ///
    /// # Errors
    /// If the bucket or the prefix does not have its form.
    pub fn parse(text: &str) -> Result<Self, BadLocation> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let bucket_ok = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
            && bucket.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !bucket_ok {
            let reason = format!("{bucket:?} is not the name of a bucket: 3 to 63 of `a-z 0-9 - . _`");
            return Err(BadLocation(reason));
        }
        let prefix = prefix.trim_end_matches('/');
        let segment = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if prefix.len() >= PREFIX_MAX || !(prefix.is_empty() || prefix.split('/').all(segment)) {
            return Err(BadLocation(format!(
                "{prefix:?} is not a prefix: segments of `A-Z a-z 0-9 - _ .` that do not begin with a dot, joined by \
                 single slashes, under {PREFIX_MAX} bytes"
            )));
        }
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        Ok(Location { bucket: bucket.to_owned(), prefix })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "s3://{}/{}", self.bucket, self.prefix)
    }
}

/// Whether the signature of a request covers its bytes (AWS Signature Version 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadSigning {
    /// As [`PayloadSigning::Never`] over TLS and to loopback addresses, otherwise as [`PayloadSigning::Always`].
    #[default]
    Auto,
    /// Hashes and signs each payload. Content is always gathered before it is sent.
    Always,
    /// Sends payloads as `UNSIGNED-PAYLOAD`. Their CRC-32 is in a signed header.
    Never,
}

/// The checksum of each upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-32 (`x-amz-checksum-crc32`), which the server verifies.
    #[default]
    Crc32,
    /// None, for servers that refuse the header.
    None,
}

/// The settings of a store. [`S3Options::check`] has their bounds.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Location of final objects, records and the marker of the store.
    pub location: Location,
    /// Location of parts; absent: beside the final objects.
    pub temp: Option<Location>,
    /// URL of the endpoint; absent: from the SDK's environment, else AWS.
    pub endpoint: Option<String>,
    /// The region; absent: from the SDK's environment, else `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket is in the path instead of the host name; absent: yes with an endpoint, no for AWS.
    pub path_style: Option<bool>,
    /// File of PEM certificates to trust instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// Credentials; absent: the SDK's chain (environment, profile, web identity, instance).
    pub credentials: Option<CredentialsSource>,
    /// Which payloads are signed.
    pub payload_signing: PayloadSigning,
    /// Which checksum is sent.
    pub checksum: Checksum,
    /// Whether no other process uses the store. Permits a server without conditional writes.
    pub single_runner: bool,
    /// Largest content of one put or assembly, in bytes.
    pub max_object_size: u64,
    /// Bytes that are gathered before they are sent, from [`PART_SIZE_MIN`] to half of `memory`. Content that fits is
    /// one request; other content is a multipart upload in pieces of at least this size.
    pub part_size: usize,
    /// Most pieces of one upload, or copies of one assembly, in flight.
    pub concurrency: usize,
    /// Memory of all uploads of this process, in bytes.
    pub memory: usize,
    /// Longest time until a response starts, and longest stall of a transfer.
    pub timeout: Duration,
    /// Longest time of retries before a failure is reported.
    pub retry: Duration,
    /// Age at which a sweep removes an object without a receipt.
    pub grace: Duration,
}

/// Smallest piece of a multipart upload except the last, in bytes: 5 MiB (S3).
pub const PART_SIZE_MIN: usize = 5 << 20;

/// Shortest [`S3Options::grace`]. A request of another or a killed process may still be in flight for this long,
/// because S3 accepts a signature for 15 minutes.
pub const GRACE_MIN: Duration = Duration::from_secs(30 * 60);

impl S3Options {
    /// Returns the defaults for a location.
    pub fn new(location: Location) -> Self {
        S3Options {
            location,
            temp: None,
            endpoint: None,
            region: None,
            path_style: None,
            ca_file: None,
            credentials: None,
            payload_signing: PayloadSigning::default(),
            checksum: Checksum::default(),
            single_runner: false,
            max_object_size: portico_store::limits::OBJECT_SIZE_MAX,
            part_size: 8 << 20,
            concurrency: 4,
            memory: 64 << 20,
            timeout: Duration::from_secs(30),
            retry: Duration::from_secs(30),
            grace: Duration::from_secs(24 * 60 * 60),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_written() {
        for (text, written) in [
            ("bucket", "s3://bucket/"),
            ("bucket/", "s3://bucket/"),
            ("my.bucket-1/a/b", "s3://my.bucket-1/a/b/"),
            ("bucket/a/", "s3://bucket/a/"),
        ] {
            assert_eq!(Location::parse(text).unwrap().to_string(), written);
        }
        let long = format!("bucket/{}", "a".repeat(PREFIX_MAX));
        for text in
            ["", "ab", "Bucket", "bu cket", ".bucket", "bucket//a", "bucket/../a", "bucket/a b", "bucket/a?", &long]
        {
            assert!(Location::parse(text).is_err(), "{text}");
        }
    }
}

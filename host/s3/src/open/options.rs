//! What an operator or an embedder can choose.

use aws_sdk_s3::config::SharedCredentialsProvider;
use std::path::PathBuf;
use std::time::Duration;

/// A bucket, and a prefix that all keys of ours in it begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The bucket.
    pub bucket: String,
    /// Empty, or ending in `/`.
    pub prefix: String,
}

/// Longest prefix of a [`Location`], in bytes, its final `/` included: with the longest names the keys still fit the
/// 1,024 bytes of S3.
pub const PREFIX_MAX: usize = 256;

impl Location {
    /// Reads `BUCKET` or `BUCKET/PREFIX`.
    ///
    /// # Errors
    /// A line that says what is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let (bucket, prefix) = text.split_once('/').unwrap_or((text, ""));
        let bucket_ok = (3..=63).contains(&bucket.len())
            && bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.' | b'_'))
            && bucket.starts_with(|c: char| c.is_ascii_alphanumeric());
        if !bucket_ok {
            return Err(format!("{bucket:?} is not the name of a bucket: 3 to 63 of `a-z 0-9 - . _`"));
        }
        let prefix = prefix.trim_end_matches('/');
        let segment = |text: &str| {
            !text.is_empty()
                && !text.starts_with('.')
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
        };
        if prefix.len() >= PREFIX_MAX || !(prefix.is_empty() || prefix.split('/').all(segment)) {
            return Err(format!(
                "{prefix:?} is not a prefix: segments of `A-Z a-z 0-9 - _ .` that do not begin with a dot, joined by \
                 single slashes, under {PREFIX_MAX} bytes"
            ));
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

/// Whether the bytes of a request are part of its signature (AWS Signature Version 4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PayloadSigning {
    /// As [`PayloadSigning::Never`] over TLS and to loopback addresses, as [`PayloadSigning::Always`] otherwise.
    #[default]
    Auto,
    /// Each payload is hashed and signed. Content is then never passed on before it has been gathered.
    Always,
    /// Payloads go as `UNSIGNED-PAYLOAD`. Their CRC-32 stands in a header that is signed.
    Never,
}

/// The checksum that goes with each upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Checksum {
    /// CRC-32 (`x-amz-checksum-crc32`), which the server compares.
    #[default]
    Crc32,
    /// None, for servers that refuse the header.
    None,
}

/// How a store is opened. [`S3Options::check`] says what the values may be.
#[derive(Clone, Debug)]
pub struct S3Options {
    /// Where final objects, records and the marker of the store are.
    pub location: Location,
    /// Where parts are; absent: beside the final objects.
    pub temp: Option<Location>,
    /// The endpoint's URL; absent: what the SDK's environment says, else that of AWS.
    pub endpoint: Option<String>,
    /// The region; absent: what the SDK's environment says, else `us-east-1`.
    pub region: Option<String>,
    /// Whether the bucket stands in the path and not in the host name; absent: with an endpoint of its own yes, for AWS
    /// no.
    pub path_style: Option<bool>,
    /// A file of PEM certificates that are trusted in place of the system's.
    pub ca_file: Option<PathBuf>,
    /// Who signs requests; absent: what the SDK's own chain finds (environment, profile, web identity, instance).
    pub credentials: Option<SharedCredentialsProvider>,
    /// What is signed.
    pub payload_signing: PayloadSigning,
    /// What is compared.
    pub checksum: Checksum,
    /// Whether this is the only process on the store, which lets it work with a server that has no conditional writes.
    pub single_runner: bool,
    /// Largest content of one put or assembly, in bytes.
    pub max_object_size: u64,
    /// Bytes that are gathered before they are sent, from [`PART_SIZE_MIN`] to half of `memory`. Content that fits is one
    /// request; other content is a multipart upload in pieces of at least this size.
    pub part_size: usize,
    /// Pieces of one upload, or copies of one assembly, that are on their way at once.
    pub concurrency: usize,
    /// Bytes that all uploads of this process may have gathered at once.
    pub memory: usize,
    /// How long a request may take to begin to be answered, and how long it may stand still.
    pub timeout: Duration,
    /// How long a request is tried again before its failure is reported.
    pub retry: Duration,
    /// How long something must have been without a receipt before a sweep removes it.
    pub grace: Duration,
}

/// Smallest piece of a multipart upload but the last, in bytes: 5 MiB (S3).
pub const PART_SIZE_MIN: usize = 5 << 20;

/// Shortest [`S3Options::grace`]: a request of another process, or of one that was killed, may still be on its way for this
/// long, because S3 accepts a signature for 15 minutes.
pub const GRACE_MIN: Duration = Duration::from_secs(30 * 60);

impl S3Options {
    /// The defaults, for a location.
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

//! What can be configured. One table makes the flags, the environment variables and the keys of the file.

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Its name in the file. The flag is `--` and the name with dashes, the variable `PORTICO_` and the name in capitals.
    pub name: &'static str,
    /// What stands for the value in the help.
    pub value: &'static str,
    /// The value where nothing else gives one; `None` if there is none.
    pub default: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
    /// The only kind of store that it means something for; `None` if it does for all.
    pub only_for: Option<StoreKind>,
}

/// A kind of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreKind {
    /// A folder of the local filesystem.
    Local,
    /// A bucket of an S3-compatible server.
    S3,
}

impl StoreKind {
    /// What the URLs of its stores begin with.
    pub fn scheme(self) -> &'static str {
        match self {
            StoreKind::Local => "file:",
            StoreKind::S3 => "s3:",
        }
    }
}

impl Key {
    /// Its environment variable.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// Its flag, without the dashes in front.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// With what the names of our environment variables begin.
pub const PREFIX: &str = "PORTICO_";

/// All settings, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key("store", "URL", None, "Where things are stored: file:DIR or s3://BUCKET[/PREFIX]"),
    key("listen", "ADDRESS", Some("127.0.0.1:8080"), "Address and port to listen on; port 0 takes a free one"),
    key("token_file", "FILE", Some(""), "Access tokens, one a line, one of which each request must show"),
    key("portal", "FILE", Some(""), "A component to serve in place of the built-in portal"),
    key("part_size", "SIZE", Some("5MiB"), "Size of the parts of an upload session where the client names none"),
    key("part_size_min", "SIZE", Some("64KiB"), "Smallest size of parts that a client may name"),
    key("part_size_max", "SIZE", Some("5GiB"), "Largest size of parts that a client may name"),
    key("session_ttl", "TIME", Some("7d"), "How long an upload session may take; then it has failed"),
    key("tombstone_ttl", "TIME", Some("30d"), "How long what has ended is told from what never was"),
    key("maintenance_interval", "TIME", Some("1h"), "How often `serve` does what `sweep` does; 0s for never"),
    local("durability", "WHEN", "full", "What an answer waits for: full (synced to disk) or none (scratch stores)"),
    local("lock_wait", "TIME", "10s", "How long `serve` waits for another process to let go of the store"),
    s3("s3_temp", "URL", "", "Where parts are, as s3://BUCKET[/PREFIX], if not beside the final objects"),
    s3("s3_endpoint", "URL", "", "The server, if it is not the one of the AWS environment (AWS_ENDPOINT_URL) or AWS"),
    s3("s3_region", "REGION", "", "The region, if it is not the one of the AWS environment (AWS_REGION)"),
    s3("s3_path_style", "WHEN", "auto", "Bucket in the path: true, false, or auto (if an endpoint is given)"),
    s3("s3_ca_file", "FILE", "", "Certificates in PEM that are trusted in place of the system's"),
    s3("s3_payload_signing", "WHEN", "auto", "Sign content: always, never, or auto (never over TLS or to loopback)"),
    s3("s3_checksum", "KIND", "crc32", "What the server checks content by: crc32, or none where it refuses that"),
    s3("s3_single_runner", "BOOL", "false", "Only this process uses the store: for servers without conditional writes"),
    s3("s3_part_size", "SIZE", "8MiB", "What is gathered before it is sent; content that fits is one request"),
    s3("s3_concurrency", "N", "4", "Pieces of one upload, or copies of one assembly, that are on their way at once"),
    s3("s3_memory", "SIZE", "64MiB", "What all uploads together may have gathered"),
    s3("s3_timeout", "TIME", "30s", "How long a request may take to begin to be answered, or stand still"),
    s3("s3_retry", "TIME", "30s", "How long a request is tried again before its failure is reported"),
    s3("s3_grace", "TIME", "24h", "How old something without a receipt must be for a sweep to remove it"),
    key("max_object_size", "SIZE", Some("5TiB"), "Largest object"),
    key("max_connections", "N", Some("1024"), "Connections at once"),
    key("max_requests", "N", Some("512"), "Requests at once, each with a guest of its own"),
    key("guest_memory", "SIZE", Some("64MiB"), "Memory of one guest"),
    key("guest_cpu", "TIME", Some("10s"), "Processor time of one guest"),
    key("head_timeout", "TIME", Some("30s"), "How long a client may take for the head of its first request"),
    key("keep_alive", "TIME", Some("75s"), "How long a connection may be idle until its next request has come"),
    key("body_idle_timeout", "TIME", Some("60s"), "How long a client may leave a body standing, in either direction"),
    key("body_min_rate", "SIZE", Some("0"), "Slowest body, in bytes a second over each body-idle-timeout; 0 for any"),
    key("shutdown_grace", "TIME", Some("10s"), "How long running requests may take to finish at the end"),
    key("trusted_proxies", "IPS", Some(""), "Addresses, separated by commas, whose X-Request-Id is believed"),
    key("log", "FILTER", Some("info"), "What to log, as `info` or `info,access=warn`"),
    key("log_format", "FORMAT", Some("text"), "How to log: text or json"),
];

const fn key(name: &'static str, value: &'static str, default: Option<&'static str>, help: &'static str) -> Key {
    Key { name, value, default, help, only_for: None }
}

const fn local(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default: Some(default), help, only_for: Some(StoreKind::Local) }
}

const fn s3(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default: Some(default), help, only_for: Some(StoreKind::S3) }
}

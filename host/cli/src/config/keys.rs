//! The table of all settings: flags, environment variables and keys of the file.

/// One setting.
#[derive(Debug)]
pub struct Key {
    /// Key in the file. The flag is `--` and the key with dashes, the variable `PORTICO_` and the key in capitals.
    pub name: &'static str,
    /// Placeholder of the value in the help.
    pub value: &'static str,
    /// Default value; `None` if the setting is required.
    pub default: Option<&'static str>,
    /// One line of help.
    pub help: &'static str,
    /// The flag may be given several times, which is the same as a list with commas.
    pub repeats: bool,
    /// The only kind of store that the setting applies to; `None` for all kinds.
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
    /// Returns the scheme of the URLs of such stores.
    pub fn scheme(self) -> &'static str {
        match self {
            StoreKind::Local => "file:",
            StoreKind::S3 => "s3:",
        }
    }
}

impl Key {
    /// Returns the environment variable of the setting.
    pub fn variable(&self) -> String {
        format!("{PREFIX}{}", self.name.to_ascii_uppercase())
    }

    /// Returns the flag of the setting, without the leading dashes.
    pub fn flag(&self) -> String {
        self.name.replace('_', "-")
    }
}

/// Prefix of the environment variables.
pub const PREFIX: &str = "PORTICO_";

/// All settings, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key("store", "URL", None, "The store: file:DIR or s3://BUCKET[/PREFIX]"),
    key("listen", "ADDRESS", Some("127.0.0.1:8080"), "Address and port to listen on; port 0 selects a free port"),
    key("token_file", "FILE", Some(""), "Access tokens, one a line; each request must carry one"),
    key(
        "portal",
        "FILE",
        Some(""),
        "A component, or what `compile` made of one, to serve in place of the built-in portal",
    ),
    Key {
        repeats: true,
        ..key(
            "adapt",
            "ADAPTER",
            Some(""),
            "Adapter for the component: blobstore, keyvalue, logging, or a file; may be given several times",
        )
    },
    key("compile_cache", "DIR", Some("auto"), "Folder for compiled portals; auto (the user's cache folder) or off"),
    key("part_size", "SIZE", Some("5MiB"), "Part size of an upload session, if the client chooses none"),
    key("part_size_min", "SIZE", Some("64KiB"), "Smallest part size that a client may choose"),
    key("part_size_max", "SIZE", Some("5GiB"), "Largest part size that a client may choose"),
    key(
        "append_size_max",
        "SIZE",
        Some("0"),
        "Largest request of a resumable upload, told to its client; 0 for none; below the limit of a proxy in front",
    ),
    key("session_ttl", "TIME", Some("7d"), "Lifetime of an upload session"),
    key("tombstone_ttl", "TIME", Some("30d"), "How long ended sessions and deleted files are remembered"),
    key("maintenance_interval", "TIME", Some("1h"), "How often `serve` does the work of `sweep`; 0s for never"),
    local("durability", "WHEN", "full", "When to answer: full (after a sync to disk) or none (scratch stores)"),
    local("lock_wait", "TIME", "10s", "How long `serve` waits for another process to release the store"),
    s3("s3_temp", "URL", "", "Location of parts, s3://BUCKET[/PREFIX] [default: beside the final objects]"),
    s3("s3_endpoint", "URL", "", "URL of the server [default: AWS_ENDPOINT_URL and the AWS configuration, else AWS]"),
    s3("s3_region", "REGION", "", "Region [default: AWS_REGION and the AWS configuration]"),
    s3("s3_path_style", "WHEN", "auto", "Bucket in the path: true, false, or auto (true if an endpoint is given)"),
    s3("s3_ca_file", "FILE", "", "Certificates in PEM to trust in place of the system's"),
    s3("s3_payload_signing", "WHEN", "auto", "Sign content: always, never, or auto (not over TLS or to loopback)"),
    s3("s3_checksum", "KIND", "crc32", "Checksum for the server to verify: crc32, or none if it rejects that"),
    s3("s3_single_runner", "BOOL", "false", "Only this process uses the store; for servers without conditional writes"),
    s3("s3_part_size", "SIZE", "8MiB", "Size of the pieces that are sent; smaller content is one request"),
    s3("s3_concurrency", "N", "4", "Pieces of one upload, or copies of one assembly, in flight at once"),
    s3("s3_memory", "SIZE", "64MiB", "Buffer memory of all uploads together"),
    s3("s3_timeout", "TIME", "30s", "How long a request may wait for its answer, or stall"),
    s3("s3_retry", "TIME", "30s", "How long a request is retried before its failure is reported"),
    s3("s3_grace", "TIME", "24h", "Age at which a sweep removes data without a receipt"),
    key("max_object_size", "SIZE", Some("5TiB"), "Largest object"),
    key("max_connections", "N", Some("1024"), "Connections at once"),
    key("max_requests", "N", Some("512"), "Requests at once, each with a guest of its own"),
    key("guest_memory", "SIZE", Some("64MiB"), "Memory of one guest, all its linear memories together"),
    key("guest_instances", "N", Some("64"), "Core instances of one guest; Python needs 14"),
    key("guest_memories", "N", Some("8"), "Linear memories of one guest; composed components have several"),
    key("guest_tables", "N", Some("32"), "Tables of one guest"),
    key("guest_cpu", "TIME", Some("10s"), "Processor time of one guest"),
    key("head_timeout", "TIME", Some("30s"), "How long a client may take to send the head of its first request"),
    key("keep_alive", "TIME", Some("75s"), "How long a connection may wait for its next request"),
    key("body_idle_timeout", "TIME", Some("60s"), "How long a client may stall a body, in either direction"),
    key(
        "body_min_rate",
        "SIZE",
        Some("0"),
        "Lowest rate of a body, in bytes/s over each body-idle-timeout; 0 for none",
    ),
    key("shutdown_grace", "TIME", Some("10s"), "How long running requests may take to finish at shutdown"),
    key("trusted_proxies", "IPS", Some(""), "Proxies whose X-Request-Id, Forwarded and X-Forwarded-* are trusted"),
    key("base_url", "URL", Some(""), "Public URL of this server [default: what a trusted proxy says]"),
    key("interim_responses", "BOOL", Some("false"), "Send status 104 over HTTP/1.1; not behind nginx or Apache"),
    key("cors_origins", "ORIGINS", Some(""), "Origins whose pages may use this server, such as https://a.org; or *"),
    key("log", "FILTER", Some("info"), "What to log, such as `info` or `info,access=warn`"),
    key("log_format", "FORMAT", Some("text"), "How to log: text or json"),
];

const fn key(name: &'static str, value: &'static str, default: Option<&'static str>, help: &'static str) -> Key {
    Key { name, value, default, help, repeats: false, only_for: None }
}

const fn local(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default: Some(default), help, repeats: false, only_for: Some(StoreKind::Local) }
}

const fn s3(name: &'static str, value: &'static str, default: &'static str, help: &'static str) -> Key {
    Key { name, value, default: Some(default), help, repeats: false, only_for: Some(StoreKind::S3) }
}

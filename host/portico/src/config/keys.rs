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
pub(super) const PREFIX: &str = "PORTICO_";

/// All settings, in the order in which they are shown.
pub const KEYS: &[Key] = &[
    key("store", "URL", None, "Where things are stored: file:DIR"),
    key("listen", "ADDRESS", Some("127.0.0.1:8080"), "Address and port to listen on; port 0 takes a free one"),
    key("portal", "FILE", Some(""), "A component to serve in place of the built-in portal"),
    key("durability", "WHEN", Some("full"), "What an answer waits for: full (synced to disk) or none (scratch stores)"),
    key("lock_wait", "TIME", Some("10s"), "How long `serve` waits for another process to let go of the store"),
    key("max_object_size", "SIZE", Some("5TiB"), "Largest object"),
    key("max_connections", "N", Some("1024"), "Connections at once"),
    key("max_requests", "N", Some("512"), "Requests at once, each with a guest of its own"),
    key("guest_memory", "SIZE", Some("64MiB"), "Memory of one guest"),
    key("guest_cpu", "TIME", Some("10s"), "Processor time of one guest"),
    key("head_timeout", "TIME", Some("30s"), "How long a client may take for the head of a request, or be idle"),
    key("body_idle_timeout", "TIME", Some("60s"), "How long a client may leave a body standing, in either direction"),
    key("body_min_rate", "SIZE", Some("0"), "Slowest body, in bytes a second over each body-idle-timeout; 0 for any"),
    key("shutdown_grace", "TIME", Some("10s"), "How long running requests may take to finish at the end"),
    key("trusted_proxies", "IPS", Some(""), "Addresses, separated by commas, whose X-Request-Id is believed"),
    key("log", "FILTER", Some("info"), "What to log, as `info` or `info,access=warn`"),
    key("log_format", "FORMAT", Some("text"), "How to log: text or json"),
];

const fn key(name: &'static str, value: &'static str, default: Option<&'static str>, help: &'static str) -> Key {
    Key { name, value, default, help }
}

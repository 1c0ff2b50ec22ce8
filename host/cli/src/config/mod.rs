//! The configuration: flags override the environment, which overrides the file, which overrides the defaults.
//!
//! Invariant: every given value is in force, or an error names it. The environment has two exceptions, because it is not
//! written for one command: variables with our prefix that are no settings (platforms set such), and settings for another
//! kind of store.

mod keys;
mod portal;
mod portals;
mod store;
mod units;
mod values;

pub use keys::{KEYS, Key, PREFIX, StoreKind};
pub use portal::PortalSettings;
pub use portals::{PORTAL_KEYS, PORTAL_SETTINGS, PortalConfig};
pub use store::StoreConfig;
pub(crate) use units::{size, time};
pub use values::{ConfigError, Given, Origin};

use portico_server::server::Tokens;
use portico_server::{bounded, runtime, server};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use values::{Values, plain};

/// Largest configuration file, in bytes.
const FILE_MAX: u64 = 1 << 20;

/// The format of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Text, for people.
    Text,
    /// One JSON object a line.
    Json,
}

/// The configuration in force.
#[derive(Debug)]
pub struct Config {
    /// The store, and the options to open it.
    pub store: StoreConfig,
    /// The address to listen on.
    pub listen: SocketAddr,
    /// The portals, at least one.
    pub portals: Vec<PortalConfig>,
    /// The folder for compiled portals; `None` for no cache.
    pub compile_cache: Option<PathBuf>,
    /// Interval between maintenance rounds of a server; `None` for never.
    pub maintenance_interval: Option<Duration>,
    /// Limits on guests, where a portal has none of its own.
    pub limits: runtime::Limits,
    /// Limits on clients.
    pub settings: server::Settings,
    /// The log filter, in the syntax of `tracing_subscriber::EnvFilter`.
    pub log: String,
    /// The format of the log.
    pub log_format: LogFormat,
    /// Each setting with its value as given, in the order of [`KEYS`].
    pub given: Vec<(&'static Key, Given)>,
}

/// The sources of a configuration.
#[derive(Debug, Default)]
pub struct ConfigSources {
    /// The values of flags, by key.
    pub flags: BTreeMap<&'static str, String>,
    /// The environment variables.
    pub environment: Vec<(OsString, OsString)>,
    /// The configuration file.
    pub file: Option<PathBuf>,
}

impl Config {
    /// Reads the configuration.
    ///
    /// # Errors
    /// [`ConfigError`] for the first invalid setting.
    pub fn load(sources: &ConfigSources) -> Result<Config, ConfigError> {
        let file = sources.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let mut given = Vec::new();
        for key in KEYS {
            match value_of(key, sources, &file)? {
                Some(value) => given.push((key, value)),
                None => {
                    let (flag, variable) = (format!("--{}", key.flag()), key.variable());
                    return Err(ConfigError::Missing { key: key.name, flag, variable });
                }
            }
        }
        let values = Values::new(&given);
        let portals = portals::read(&values, file.portals)?;
        let limits = portals::limits(&values)?;
        let tokens = values.parse("token_file", |text| {
            let file = Some(Path::new(text)).filter(|_| !text.is_empty());
            file.map(Tokens::read).transpose().map_err(|error| error.to_string())
        })?;
        let listen = values.parse("listen", |text| listen(text, tokens.is_some()))?;
        let settings = server::Settings {
            max_connections: values.parse("max_connections", |text| units::count(text, 1, 100_000))? as usize,
            max_requests: limits.guests as usize,
            head_timeout: values.parse("head_timeout", units::positive_time)?,
            keep_alive: values.parse("keep_alive", units::positive_time)?,
            body_idle_timeout: values.parse("body_idle_timeout", units::positive_time)?,
            body_min_rate: values.parse("body_min_rate", units::size)?,
            shutdown_grace: values.parse("shutdown_grace", units::time)?,
            trusted_proxies: values.parse("trusted_proxies", units::list)?,
            base_url: values.parse("base_url", |text| {
                Some(text).filter(|text| !text.is_empty()).map(str::parse).transpose().map_err(str::to_owned)
            })?,
            interim_responses: values.parse("interim_responses", units::truth)?,
            cors_origins: values.parse("cors_origins", str::parse)?,
            tokens,
        };
        Ok(Config {
            store: store::read(&values)?,
            listen,
            portals,
            compile_cache: values.parse("compile_cache", |text| compile_cache(text, &sources.environment))?,
            maintenance_interval: values.parse("maintenance_interval", |text| {
                units::time(text).map(|interval| Some(interval).filter(|interval| !interval.is_zero()))
            })?,
            limits,
            settings,
            log: values.parse("log", |text| {
                let filter = tracing_subscriber::EnvFilter::try_new(text);
                filter.map(|_| text.to_owned()).map_err(|error| error.to_string())
            })?,
            log_format: values.parse("log_format", |text| match text {
                "text" => Ok(LogFormat::Text),
                "json" => Ok(LogFormat::Json),
                _ => Err("expected text or json".to_owned()),
            })?,
            given,
        })
    }
}

/// The content of a configuration file.
#[derive(Debug, Default)]
struct File {
    settings: BTreeMap<String, Given>,
    portals: Option<portals::Entries>,
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::File::open(path).and_then(|file| bounded::read_text(file, FILE_MAX));
    let text = text.map_err(|cause| ConfigError::Read { path: path.to_owned(), cause })?;
    let table: toml::Table =
        text.parse().map_err(|cause| ConfigError::Toml { path: path.to_owned(), cause: Box::new(cause) })?;
    let mut file = File::default();
    for (name, value) in table {
        if name == portals::KEY {
            file.portals = Some(portals::Entries::take(path, value)?);
            continue;
        }
        let Some(key) = KEYS.iter().find(|key| key.name == name) else {
            return Err(ConfigError::UnknownKey { key: name, path: path.to_owned() });
        };
        let origin = Origin::File(path.to_owned());
        let text = plain(&value).ok_or_else(|| ConfigError::Value {
            key: key.name,
            value: value.to_string(),
            origin: origin.to_string(),
            reason: "expected a string, a whole number, true or false, or a list of strings".to_owned(),
        })?;
        file.settings.insert(name, Given { text, origin });
    }
    Ok(file)
}

fn value_of(key: &'static Key, sources: &ConfigSources, file: &File) -> Result<Option<Given>, ConfigError> {
    if let Some(text) = sources.flags.get(key.name) {
        return Ok(Some(Given { text: text.clone(), origin: Origin::Flag(key.flag()) }));
    }
    let variable = key.variable();
    if let Some((_, value)) = sources.environment.iter().find(|(name, _)| *name == *variable) {
        let origin = Origin::Environment(variable);
        return match value.to_str() {
            Some(text) => Ok(Some(Given { text: text.to_owned(), origin })),
            None => Err(ConfigError::Value {
                key: key.name,
                value: value.to_string_lossy().into_owned(),
                origin: origin.to_string(),
                reason: "is not UTF-8".to_owned(),
            }),
        };
    }
    let default = || key.default.map(|text| Given { text: text.to_owned(), origin: Origin::Default });
    Ok(file.settings.get(key.name).cloned().or_else(default))
}

/// Name of the cache's folder in the cache folder of a user or service. It is not that folder itself, which may be open to
/// others.
const CACHE_FOLDER: &str = "portico/compiled";

/// Parses the folder for compiled portals. `auto` is a folder below the one that systemd gives a service, below
/// `XDG_CACHE_HOME`, or below `.cache` of the home folder; none if the environment names none of them.
fn compile_cache(text: &str, environment: &[(OsString, OsString)]) -> Result<Option<PathBuf>, String> {
    let folder = |name: &str| {
        let (_, value) = environment.iter().find(|(key, _)| key == name)?;
        // systemd may name several, separated by colons.
        let first = value.to_str()?.split(':').next().map(PathBuf::from)?;
        first.is_absolute().then_some(first)
    };
    match text {
        "off" => Ok(None),
        "auto" => {
            let home = || folder("HOME").map(|home| home.join(".cache"));
            let base = folder("CACHE_DIRECTORY").or_else(|| folder("XDG_CACHE_HOME")).or_else(home);
            Ok(base.map(|base| base.join(CACHE_FOLDER)))
        }
        path if Path::new(path).is_absolute() => Ok(Some(PathBuf::from(path))),
        _ => Err("expected auto, off, or an absolute path".to_owned()),
    }
}

fn listen(text: &str, has_tokens: bool) -> Result<SocketAddr, String> {
    let address: SocketAddr = text
        .parse()
        .map_err(|_| "expected an IP address and a port, such as 127.0.0.1:8080 or [::1]:8080".to_owned())?;
    if has_tokens || address.ip().is_loopback() {
        return Ok(address);
    }
    Err("without access tokens anybody could connect, so it must be a loopback address (127.0.0.1 or [::1]); \
         give a token_file to listen elsewhere"
        .to_owned())
}

#[cfg(test)]
mod tests;

//! The values of settings as given, and the errors in them.

use super::keys::Key;
use std::fmt;
use std::path::PathBuf;

/// Why the configuration is invalid.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The configuration file cannot be read.
    #[error("cannot read the configuration file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The configuration file is not TOML.
    #[error("the configuration file {} is not valid TOML", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// The defect and its position.
        #[source]
        cause: Box<toml::de::Error>,
    },
    /// The configuration file has an unknown key.
    #[error("unknown key `{key}` in {}", .path.display())]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// The list of portals in the configuration file is invalid.
    #[error("{}: {reason}", .path.display())]
    Portals {
        /// The file.
        path: PathBuf,
        /// The defect.
        reason: String,
    },
    /// A setting without a default has no value.
    #[error("no {key}: give {flag}, {variable}, or `{key}` in the configuration file")]
    Missing {
        /// The key.
        key: &'static str,
        /// The flag of the key.
        flag: String,
        /// The environment variable of the key.
        variable: String,
    },
    /// A value is invalid.
    #[error("{key} = `{value}` ({origin}): {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value as given.
        value: String,
        /// Where the value was given.
        origin: String,
        /// The defect.
        reason: String,
    },
    /// A flag or the file has a setting of another kind of store.
    #[error("{key} ({origin}) is for {scheme} stores only, and the store is {store}")]
    OtherStore {
        /// The key.
        key: &'static str,
        /// Where the value was given.
        origin: String,
        /// The URL scheme of the stores that the setting is for.
        scheme: &'static str,
        /// The configured store.
        store: String,
    },
}

/// The origin of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The default, because no value was given.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An entry of the portals in the configuration file, by its place from 1.
    Portal(PathBuf, usize),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Default => f.write_str("default"),
            Origin::File(path) => write!(f, "from {}", path.display()),
            Origin::Portal(path, number) => write!(f, "from portal {number} of {}", path.display()),
            Origin::Environment(variable) => write!(f, "from {variable}"),
            Origin::Flag(flag) => write!(f, "from --{flag}"),
        }
    }
}

/// A value as given, with its origin.
#[derive(Clone, Debug)]
pub struct Given {
    /// The text of the value.
    pub text: String,
    /// The origin of the value.
    pub origin: Origin,
}

/// Returns a value of the file in the form that a flag would have.
pub(super) fn plain(value: &toml::Value) -> Option<String> {
    match value {
        toml::Value::String(text) => Some(text.clone()),
        toml::Value::Integer(number) => Some(number.to_string()),
        toml::Value::Boolean(truth) => Some(truth.to_string()),
        toml::Value::Array(items) => {
            items.iter().map(toml::Value::as_str).collect::<Option<Vec<_>>>().map(|items| items.join(","))
        }
        _ => None,
    }
}

/// The values of all settings, as given.
pub(super) struct Values<'a>(&'a [(&'static Key, Given)]);

impl<'a> Values<'a> {
    pub(super) fn new(given: &'a [(&'static Key, Given)]) -> Self {
        Values(given)
    }

    pub(super) fn all(&self) -> &'a [(&'static Key, Given)] {
        self.0
    }

    pub(super) fn given(&self, name: &str) -> &Given {
        let (_, given) = self.entry(name);
        given
    }

    pub(super) fn entry(&self, name: &str) -> &(&'static Key, Given) {
        self.0.iter().find(|(key, _)| key.name == name).expect("each name is one of KEYS")
    }

    pub(super) fn parse<T>(&self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Result<T, ConfigError> {
        parse(&self.given(name).text).map_err(|reason| self.bad(name, reason))
    }

    /// Returns the error for an invalid value.
    pub(super) fn bad(&self, name: &str, reason: String) -> ConfigError {
        let (key, given) = self.entry(name);
        let origin = given.origin.to_string();
        ConfigError::Value { key: key.name, value: given.text.clone(), origin, reason }
    }
}

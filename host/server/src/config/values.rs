//! The values of a configuration as they were given, and what can be wrong with them.

use super::keys::Key;
use std::fmt;
use std::path::PathBuf;

/// What is wrong with the configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {}", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: std::io::Error,
    },
    /// The file is not TOML.
    #[error("the configuration file {} is not valid TOML", .path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// What and where.
        #[source]
        cause: Box<toml::de::Error>,
    },
    /// The file has a key that means nothing.
    #[error("unknown key `{key}` in {}", .path.display())]
    UnknownKey {
        /// The key.
        key: String,
        /// The file.
        path: PathBuf,
    },
    /// A value is missing that has no default.
    #[error("no {key}: give {flag}, {variable}, or `{key}` in the configuration file")]
    Missing {
        /// The key.
        key: &'static str,
        /// Its flag.
        flag: String,
        /// Its environment variable.
        variable: String,
    },
    /// A value does not have its form.
    #[error("{key} = `{value}` ({source_name}): {reason}")]
    Value {
        /// The key.
        key: &'static str,
        /// The value as it was given.
        value: String,
        /// Where it was given.
        source_name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A value was given, by a flag or in the file, that means nothing for the store.
    #[error("{key} ({source_name}) is for {scheme} stores only, and the store is {store}")]
    OtherStore {
        /// The key.
        key: &'static str,
        /// Where it was given.
        source_name: String,
        /// What the URLs of the stores begin with that it is for.
        scheme: &'static str,
        /// The store.
        store: String,
    },
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// Nobody gave one.
    Default,
    /// The configuration file.
    File(PathBuf),
    /// An environment variable.
    Environment(String),
    /// A flag.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Default => f.write_str("default"),
            Source::File(path) => write!(f, "from {}", path.display()),
            Source::Environment(variable) => write!(f, "from {variable}"),
            Source::Flag(flag) => write!(f, "from --{flag}"),
        }
    }
}

/// A value as it was given, and where.
#[derive(Clone, Debug)]
pub struct Given {
    /// Its text.
    pub text: String,
    /// Where it was given.
    pub source: Source,
}

/// The values of all keys as they were given.
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

    /// The error of a value that can't be used.
    pub(super) fn bad(&self, name: &str, reason: String) -> ConfigError {
        let (key, given) = self.entry(name);
        let source_name = given.source.to_string();
        ConfigError::Value { key: key.name, value: given.text.clone(), source_name, reason }
    }
}

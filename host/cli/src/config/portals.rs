//! The portals of a server: one that flags or plain keys describe, or the `[[portals]]` of the configuration file.
//!
//! Invariants: no two portals answer the same requests; portals see separate parts of the store, unless both say that they
//! share; each setting of an entry is in force, or an error names it.

use super::keys::Key;
use super::portal::{self, PortalSettings};
use super::units;
use super::values::{ConfigError, Given, Origin, Values, plain};
use crate::adapters::Adapter;
use portico_server::runtime::Limits;
use portico_server::runtime::limits::{GUESTS_MAX, MEMORY_MAX, MEMORY_MIN, PARTS_MAX, PORTALS_MAX};
use portico_store::Scope;
use std::path::{Path, PathBuf};

/// The key of the entries.
pub(super) const KEY: &str = "portals";

/// The keys of an entry that are no settings of the server, each with one line of help.
pub const PORTAL_KEYS: [(&str, &str); 7] = [
    ("host", "Host name whose requests it answers, without a port; before portals without one"),
    ("prefix", "Path prefix of its requests, such as /team; the longest wins, and the component sees paths without it"),
    ("file", "The component [default: the built-in portal]"),
    ("adapt", "A list of adapters for the component: blobstore, keyvalue, logging, or files"),
    ("scope", "The part of the store that it sees, such as team.inbox [default: the whole store]"),
    ("shared_scope", "true: portals that also say so may see parts of its scope"),
    ("config", "A table of further settings for the component, which finds them in wasi:config/store"),
];

/// Settings that an entry may have in place of the server's.
pub const PORTAL_SETTINGS: [&str; 12] = [
    "max_requests",
    "guest_memory",
    "guest_instances",
    "guest_memories",
    "guest_tables",
    "guest_cpu",
    "part_size",
    "part_size_min",
    "part_size_max",
    "append_size_max",
    "session_ttl",
    "tombstone_ttl",
];

/// Longest path prefix, in bytes.
const PREFIX_MAX: usize = 1 << 10;

/// First segments of paths that the host answers itself.
const RESERVED: [&str; 3] = ["health", "ready", "metrics"];

/// One portal of a server.
#[derive(Clone, Debug)]
pub struct PortalConfig {
    /// The host name whose requests it answers; `None` for all that no other portal has.
    pub host: Option<String>,
    /// The path prefix of its requests, such as `/a`; empty for all paths.
    pub prefix: String,
    /// The file of its component; `None` for the built-in portal.
    pub file: Option<PathBuf>,
    /// The adapters that its component is composed with; none for the built-in portal.
    pub adapters: Vec<Adapter>,
    /// The part of the store that it sees.
    pub scope: Scope,
    /// Whether other portals may see parts of its scope.
    pub shares_scope: bool,
    /// The settings of the built-in portal.
    pub settings: PortalSettings,
    /// Further settings for `wasi:config/store`.
    pub config: Vec<(String, String)>,
    /// Limits on its guests.
    pub limits: Limits,
}

impl PortalConfig {
    /// Returns what tells the portal from the others, in the log and in metrics: its host name and prefix.
    pub fn name(&self) -> String {
        let name = format!("{}{}", self.host.as_deref().unwrap_or_default(), self.prefix);
        if name.is_empty() { "/".to_owned() } else { name }
    }

    /// Returns all that the portal finds in `wasi:config/store`.
    pub fn entries(&self) -> Vec<(String, String)> {
        self.settings.entries().into_iter().chain(self.config.iter().cloned()).collect()
    }
}

/// Parses the limits on guests.
pub(super) fn limits(values: &Values<'_>) -> Result<Limits, ConfigError> {
    let parts = |text: &str| units::count(text, 1, PARTS_MAX.into()).map(|number| number as u32);
    Ok(Limits {
        guests: values.parse("max_requests", |text| units::count(text, 1, GUESTS_MAX.into()))? as u32,
        memory: values.parse("guest_memory", |text| {
            let bytes = usize::try_from(units::size(text)?).unwrap_or(usize::MAX);
            let fits = (MEMORY_MIN..=MEMORY_MAX).contains(&bytes);
            if fits { Ok(bytes) } else { Err("must be from 2MiB to 4GiB".to_owned()) }
        })?,
        core_instances: values.parse("guest_instances", parts)?,
        memories: values.parse("guest_memories", parts)?,
        tables: values.parse("guest_tables", parts)?,
        cpu: values.parse("guest_cpu", units::positive_time)?,
    })
}

/// The `[[portals]]` of a configuration file.
#[derive(Debug)]
pub(super) struct Entries {
    path: PathBuf,
    entries: Vec<toml::Table>,
}

impl Entries {
    /// Takes the value of [`KEY`].
    pub(super) fn take(path: &Path, value: toml::Value) -> Result<Entries, ConfigError> {
        let wrong = |reason: &str| {
            let path = path.to_owned();
            Err(ConfigError::Portals { path, reason: reason.to_owned() })
        };
        let toml::Value::Array(items) = value else { return wrong("write each portal as `[[portals]]`") };
        let entries: Option<Vec<toml::Table>> = items
            .into_iter()
            .map(|item| match item {
                toml::Value::Table(table) => Some(table),
                _ => None,
            })
            .collect();
        match entries {
            None => wrong("write each portal as `[[portals]]`"),
            Some(entries) if entries.is_empty() => {
                wrong("there is no portal: leave `portals` out for the built-in one")
            }
            Some(entries) if entries.len() > PORTALS_MAX => {
                wrong(&format!("there are more than {PORTALS_MAX} portals"))
            }
            Some(entries) => Ok(Entries { path: path.to_owned(), entries }),
        }
    }
}

/// Returns the portals of a configuration: its entries, or the one that `values` describe.
pub(super) fn read(values: &Values<'_>, entries: Option<Entries>) -> Result<Vec<PortalConfig>, ConfigError> {
    let file = values.parse("portal", |text| Ok(Some(PathBuf::from(text)).filter(|_| !text.is_empty())))?;
    let adapters = values.parse("adapt", Adapter::parse_list)?;
    let Some(Entries { path, entries }) = entries else {
        if file.is_none() && !adapters.is_empty() {
            let reason = "the built-in portal takes no adapter: name a component (`portal`)".to_owned();
            return Err(values.bad("adapt", reason));
        }
        let whole = PortalConfig {
            host: None,
            prefix: String::new(),
            file,
            adapters,
            scope: Scope::root(),
            shares_scope: false,
            settings: portal::read(values)?,
            config: Vec::new(),
            limits: limits(values)?,
        };
        return Ok(vec![whole]);
    };
    if file.is_some() {
        let reason = format!("the file lists [[portals]] ({}): name the component there as `file`", path.display());
        return Err(values.bad("portal", reason));
    }
    if !adapters.is_empty() {
        let reason = format!("the file lists [[portals]] ({}): name the adapters there", path.display());
        return Err(values.bad("adapt", reason));
    }
    let mut portals: Vec<PortalConfig> = Vec::new();
    for (index, table) in entries.iter().enumerate() {
        let entry = Entry { path: &path, number: index + 1, table };
        let portal = entry.read(values)?;
        for (other, before) in portals.iter().enumerate() {
            entry.compare(&portal, other + 1, before)?;
        }
        portals.push(portal);
    }
    Ok(portals)
}

/// One entry.
struct Entry<'a> {
    path: &'a Path,
    /// Its place, from 1.
    number: usize,
    table: &'a toml::Table,
}

impl Entry<'_> {
    fn wrong(&self, reason: String) -> ConfigError {
        let reason = format!("portal {}: {reason}", self.number);
        ConfigError::Portals { path: self.path.to_owned(), reason }
    }

    fn read(&self, values: &Values<'_>) -> Result<PortalConfig, ConfigError> {
        let own = |key: &str| PORTAL_KEYS.iter().any(|(name, _)| *name == key) || PORTAL_SETTINGS.contains(&key);
        if let Some(key) = self.table.keys().find(|key| !own(key)) {
            let names: Vec<&str> = PORTAL_KEYS.iter().map(|(name, _)| *name).chain(PORTAL_SETTINGS).collect();
            return Err(self.wrong(format!("unknown key `{key}`; expected one of {}", names.join(", "))));
        }
        let given = self.given(values)?;
        let values = &Values::new(&given);
        let shares_scope = match self.table.get("shared_scope") {
            None => false,
            Some(toml::Value::Boolean(shares)) => *shares,
            Some(other) => return Err(self.wrong(format!("shared_scope = {other}: expected true or false"))),
        };
        let file = self.text("file")?.filter(|text| !text.is_empty()).map(PathBuf::from);
        let adapters = self.adapters()?;
        if file.is_none() && !adapters.is_empty() {
            return Err(self.wrong("the built-in portal takes no adapter: name a component (`file`)".to_owned()));
        }
        Ok(PortalConfig {
            host: self.text("host")?.map(|text| host(text).map_err(|reason| self.wrong(reason))).transpose()?,
            prefix: prefix(self.text("prefix")?.unwrap_or_default()).map_err(|reason| self.wrong(reason))?,
            file,
            adapters,
            scope: scope(self.text("scope")?.unwrap_or_default()).map_err(|reason| self.wrong(reason))?,
            shares_scope,
            settings: portal::read(values)?,
            config: self.config()?,
            limits: limits(values)?,
        })
    }

    /// Returns the server's settings, with those of this entry in their places.
    fn given(&self, values: &Values<'_>) -> Result<Vec<(&'static Key, Given)>, ConfigError> {
        let own = |(key, given): &(&'static Key, Given)| {
            let value = self.table.get(key.name).filter(|_| PORTAL_SETTINGS.contains(&key.name));
            let Some(value) = value else { return Ok((*key, given.clone())) };
            let expected = || self.wrong(format!("{} = {value}: expected a string or a whole number", key.name));
            let text = plain(value).ok_or_else(expected)?;
            Ok((*key, Given { text, origin: Origin::Portal(self.path.to_owned(), self.number) }))
        };
        values.all().iter().map(own).collect()
    }

    fn text(&self, key: &str) -> Result<Option<&str>, ConfigError> {
        match self.table.get(key) {
            None => Ok(None),
            Some(toml::Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(format!("{key} = {other}: expected a string"))),
        }
    }

    fn adapters(&self) -> Result<Vec<Adapter>, ConfigError> {
        let Some(value) = self.table.get("adapt") else { return Ok(Vec::new()) };
        let wrong = |reason: String| self.wrong(format!("adapt = {value}: {reason}"));
        let text = plain(value).ok_or_else(|| wrong("expected a list of strings".to_owned()))?;
        Adapter::parse_list(&text).map_err(wrong)
    }

    fn config(&self) -> Result<Vec<(String, String)>, ConfigError> {
        let table = match self.table.get("config") {
            None => return Ok(Vec::new()),
            Some(toml::Value::Table(table)) => table,
            Some(other) => return Err(self.wrong(format!("config = {other}: expected a table, as `[portals.config]`"))),
        };
        let entry = |(name, value): (&String, &toml::Value)| {
            if PORTAL_SETTINGS.contains(&name.replace('-', "_").as_str()) {
                return Err(self
                    .wrong(format!("config has `{name}`, which is the key {} of the portal", name.replace('-', "_"))));
            }
            let text = plain(value).filter(|_| !value.is_array());
            let expected =
                || self.wrong(format!("config.{name} = {value}: expected a string, a whole number, true or false"));
            Ok((name.clone(), text.ok_or_else(expected)?))
        };
        table.iter().map(entry).collect()
    }

    /// Compares the portal with one before it.
    fn compare(&self, portal: &PortalConfig, other: usize, before: &PortalConfig) -> Result<(), ConfigError> {
        if (&portal.host, &portal.prefix) == (&before.host, &before.prefix) {
            let reason =
                format!("answers the same requests as portal {other}: give one of them another prefix or host");
            return Err(self.wrong(reason));
        }
        let overlap = contains(&portal.scope, &before.scope) || contains(&before.scope, &portal.scope);
        if overlap && !(portal.shares_scope && before.shares_scope) {
            let shown = |scope: &Scope| match scope.as_str().split_once('.') {
                Some((_, names)) => format!("scope `{names}`"),
                None => "the whole store".to_owned(),
            };
            return Err(self.wrong(format!(
                "its part of the store ({}) overlaps that of portal {other} ({}): give it another scope, or both \
                 shared_scope = true",
                shown(&portal.scope),
                shown(&before.scope)
            )));
        }
        Ok(())
    }
}

/// Reports whether `inner` is `outer` or below it.
fn contains(outer: &Scope, inner: &Scope) -> bool {
    inner.as_str().strip_prefix(outer.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn scope(text: &str) -> Result<Scope, String> {
    let names = text.split('.').filter(|_| !text.is_empty());
    names.clone().try_fold(Scope::root(), |scope, name| scope.narrow(name)).map_err(|_| {
        format!("scope = `{text}`: expected names of A-Z a-z 0-9 - _ with dots between them, such as `team.inbox`")
    })
}

fn host(text: &str) -> Result<String, String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b':' | b'[' | b']');
    let authority: Option<http::uri::Authority> = text.parse().ok();
    let is_host = authority.is_some_and(|host| host.port().is_none() && host.host() == text && text.bytes().all(plain));
    if is_host {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("host = `{text}`: expected a host name without a port"))
    }
}

/// Parses a path prefix. The root is empty.
fn prefix(text: &str) -> Result<String, String> {
    let path = text.strip_suffix('/').unwrap_or(text);
    if path.is_empty() {
        return Ok(String::new());
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    let segment = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    let mut segments = path.strip_prefix('/').map(|path| path.split('/'));
    let is_path = segments.as_mut().is_some_and(|segments| segments.all(segment));
    if !is_path || path.len() > PREFIX_MAX {
        return Err(format!("prefix = `{text}`: expected a path such as /team/inbox, of A-Z a-z 0-9 - . _ ~"));
    }
    match path[1..].split('/').next() {
        Some(first) if RESERVED.contains(&first) => {
            Err(format!("prefix = `{text}`: the server itself answers /{first}"))
        }
        _ => Ok(path.to_owned()),
    }
}

#[cfg(test)]
mod tests;

//! The flags that commands share: one for each setting.

use super::error::Error;
use crate::config::{Config, ConfigSources, KEYS};
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use std::path::PathBuf;

pub(super) fn switch(name: &'static str) -> Arg {
    Arg::new(name).long(name).action(ArgAction::SetTrue)
}

/// Creates a command with a flag for each setting.
pub(super) fn configured(name: &'static str, about: &'static str) -> Command {
    Command::new(name).about(about).args(settings())
}

/// Returns the flag for the configuration file, and one for each setting.
pub(super) fn settings() -> Vec<Arg> {
    let config = Arg::new("config").long("config").value_name("FILE").env("PORTICO_CONFIG");
    let config = config
        .value_parser(value_parser!(PathBuf))
        .value_hint(ValueHint::FilePath)
        .help("Configuration file in TOML; its keys are the flags with underscores");
    let keys = KEYS.iter().map(|key| {
        let default = key.default.filter(|text| !text.is_empty()).map(|text| format!(" [default: {text}]"));
        let help = format!("{} [env: {}]{}", key.help, key.variable(), default.unwrap_or_default());
        let hint = if key.value == "FILE" { ValueHint::FilePath } else { ValueHint::Unknown };
        let action = if key.repeats { ArgAction::Append } else { ArgAction::Set };
        Arg::new(key.name).long(key.flag()).value_name(key.value).value_hint(hint).action(action).help(help)
    });
    std::iter::once(config).chain(keys).collect()
}

pub(super) fn sources(matches: &ArgMatches) -> ConfigSources {
    let flag = |name| {
        let values: Vec<&str> = matches.get_many::<String>(name)?.map(String::as_str).collect();
        Some((name, values.join(",")))
    };
    ConfigSources {
        flags: KEYS.iter().filter_map(|key| flag(key.name)).collect(),
        environment: std::env::vars_os().collect(),
        file: matches.get_one::<PathBuf>("config").cloned(),
    }
}

/// Reads the configuration in force.
///
/// # Errors
/// [`Error::Config`].
pub(super) fn configuration(matches: &ArgMatches) -> Result<Config, Error> {
    Ok(Config::load(&sources(matches))?)
}

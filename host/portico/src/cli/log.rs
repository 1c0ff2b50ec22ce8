//! Where the log goes: standard error.

use crate::config::{Config, LogFormat, Source};
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging as configured. A second call in a process changes nothing.
pub(super) fn start(config: &Config) {
    // The configuration has parsed it before.
    start_with(config, EnvFilter::new(&config.log));
}

/// As [`start`], but logs only what is wrong where nobody has said what to log.
pub(super) fn start_quiet(config: &Config) {
    let said = config.given.iter().any(|(key, given)| key.name == "log" && given.source != Source::Default);
    if said { start(config) } else { start_with(config, EnvFilter::new("warn")) }
}

fn start_with(config: &Config, filter: EnvFilter) {
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let started = match config.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
    if let Err(error) = started {
        tracing::debug!(error, "the log was started before");
    }
}

//! The log, which goes to standard error through [`super::stderr`].

use super::stderr::{self, LogWriter};
use crate::config::{Config, LogFormat, Origin};
use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::IsTerminal;
use std::panic::PanicHookInfo;
use tracing::Level;
use tracing_subscriber::EnvFilter;

/// Starts logging as configured. A second call in a process changes nothing.
pub(super) fn start(config: &Config) {
    // The configuration has validated the filter.
    start_with(config, EnvFilter::new(&config.log));
}

/// As [`start`], but logs only warnings and errors unless the log was configured.
pub(super) fn start_quiet(config: &Config) {
    let said = config.given.iter().any(|(key, given)| key.name == "log" && given.origin != Origin::Default);
    if said { start(config) } else { start_with(config, EnvFilter::new("warn")) }
}

fn start_with(config: &Config, filter: EnvFilter) {
    // Errors of the formatter would go to `eprintln!`, which panics if standard error is closed.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).log_internal_errors(false).with_writer(|| LogWriter);
    let started = match config.log_format {
        LogFormat::Text => builder.with_ansi(std::io::stderr().is_terminal()).try_init(),
        LogFormat::Json => builder.json().flatten_event(true).with_span_list(false).try_init(),
    };
    match started {
        Ok(()) => std::panic::set_hook(Box::new(panicked)),
        Err(error) => tracing::debug!(error, "the log has been started already"),
    }
}

/// Logs a panic. The default hook would block on the reader of standard error.
fn panicked(panic: &PanicHookInfo<'_>) {
    if !tracing::enabled!(Level::ERROR) {
        return stderr::say(&panic.to_string());
    }
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    tracing::error!(
        thread = thread.name(),
        at = panic.location().map(tracing::field::display),
        backtrace = (backtrace.status() == BacktraceStatus::Captured).then(|| tracing::field::display(&backtrace)),
        "panicked: {}",
        panic.payload_as_str().unwrap_or("(no message)")
    );
}

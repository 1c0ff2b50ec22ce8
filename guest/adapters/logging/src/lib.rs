//! An adapter: `wasi:logging` to standard error, which the host writes to its log under the id of the request.
//!
//! Invariant: a message is one line. The host bounds the length of a line and of all output of a request.

mod bindings;

use bindings::exports::wasi::logging::logging::{Guest, Level};

/// The component.
#[derive(Debug)]
pub struct Adapter;

impl Guest for Adapter {
    #[expect(clippy::print_stderr, reason = "standard error is what the host logs")]
    fn log(level: Level, context: String, message: String) {
        let level = match level {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
            Level::Critical => "critical",
        };
        let line = |text: String| text.replace(['\r', '\n'], " ");
        match context.is_empty() {
            true => eprintln!("{level}: {}", line(message)),
            false => eprintln!("{level}: {}: {}", line(context), line(message)),
        }
    }
}

//! The `portico` program. What it does is in [`portico_host::cli`].

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod malloc;

use std::io::Write;
use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    malloc::settle();
    portico_host::cli::run(std::env::args_os()).unwrap_or_else(|error| {
        // Where standard error is closed, nobody is left to tell.
        let _ = writeln!(std::io::stderr(), "portico: {}", error.report());
        error.exit_code()
    })
}

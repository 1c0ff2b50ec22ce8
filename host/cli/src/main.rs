//! The `portico` program; see [`portico_cli`].

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod malloc;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    malloc::configure();
    portico_cli::main(std::env::args_os())
}

//! The `portico` program. What it does is in [`portico_server::cli`].

#[cfg(all(target_os = "linux", target_env = "gnu"))]
mod malloc;

use std::process::ExitCode;

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    malloc::settle();
    portico_server::cli::main(std::env::args_os())
}

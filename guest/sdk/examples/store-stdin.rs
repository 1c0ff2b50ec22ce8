//! Stores standard input as a final object under the id given as its argument, and prints key and SHA-256.
//!
//! Build it with `cargo build -p portico-guest --example store-stdin --target wasm32-wasip2`. The result is a
//! component of the world `wasi:cli/command` that imports `portico:storage`; any host that offers both runs it.

use portico_guest::{FinalOptions, Store, stdin};
use std::{env, error::Error, io::Write};

fn main() -> Result<(), Box<dyn Error>> {
    let file_id = env::args().nth(1).ok_or("give a file id as the argument")?;
    let stored = Store::open().put_final(&file_id, stdin(), FinalOptions::new().same_content_ok())?;
    writeln!(std::io::stdout(), "{} {}", stored.key, stored.sha256)?;
    Ok(())
}

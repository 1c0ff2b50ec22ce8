//! Embed.
fn main() {}

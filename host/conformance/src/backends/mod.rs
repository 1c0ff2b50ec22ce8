//! The backends that the programs run over: a file each.

mod local;
mod s3;

pub use local::{Local, LocalBelow};
pub use s3::S3;

/// Largest content of one put in a store for these needs, in bytes. With `small-limit` it is small enough to be exceeded
/// in a test.
fn max_object_size(needs: &[String]) -> u64 {
    if needs.iter().any(|need| need == "small-limit") { 8 << 20 } else { 64 << 20 }
}

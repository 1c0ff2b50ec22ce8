//! The backends that the programs run over, one file each.

mod local;
mod s3;

pub use local::{Local, LocalBelow};
pub use s3::S3;

/// Returns the largest object, in bytes, for a case with these needs. With `small-limit` a test can exceed it.
fn max_object_size(needs: &[String]) -> u64 {
    if needs.iter().any(|need| need == "small-limit") { 8 << 20 } else { 64 << 20 }
}

//! The bytes that are sent: one block of noise, over and over. It compresses badly and costs nothing to make.

use crate::{MIB, Result};
use portico_store::Sha256;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::time::Instant;

/// Bytes of one write of the client.
const BLOCK: usize = 1 << 20;

/// Content of any length.
pub struct Content {
    block: Vec<u8>,
}

impl Default for Content {
    fn default() -> Content {
        // xorshift64, by G. Marsaglia.
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let mut word = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        };
        Content { block: (0..BLOCK / 8).flat_map(|_| word()).collect() }
    }
}

impl Content {
    /// The pieces that make up so many bytes.
    pub fn pieces(&self, size: u64) -> impl Iterator<Item = &[u8]> {
        let mut left = size;
        std::iter::from_fn(move || {
            let piece = usize::try_from(left).unwrap_or(BLOCK).min(BLOCK);
            left -= piece as u64;
            (piece > 0).then(|| &self.block[..piece])
        })
    }

    /// Writes so many bytes.
    pub fn send(&self, size: u64, to: &mut impl Write) -> Result<()> {
        for piece in self.pieces(size) {
            to.write_all(piece)?;
        }
        Ok(())
    }

    /// Seconds of writing so many bytes to a file of a folder, up to when they are on its disk. It is removed again.
    pub fn sync(&self, size: u64, folder: &Path) -> Result<f64> {
        let path = folder.join("synced");
        let start = Instant::now();
        let mut file = File::create(&path)?;
        self.send(size, &mut file)?;
        file.sync_data()?;
        let seconds = start.elapsed().as_secs_f64();
        std::fs::remove_file(path)?;
        Ok(seconds)
    }

    /// The SHA-256 of so many bytes, in hexadecimal.
    pub fn sha256(&self, size: u64) -> String {
        let mut hash = Sha256::new();
        self.pieces(size).for_each(|piece| hash.update(piece));
        hash.finish().to_hex()
    }
}

/// Bytes a second, as people read it.
pub fn rate(size: u64, seconds: f64) -> String {
    format!("{:.0} MiB/s", size as f64 / seconds / MIB as f64)
}

/// A size in bytes, as people read it.
pub fn size(bytes: u64) -> String {
    let gib = 1024 * MIB;
    if bytes >= gib && bytes.is_multiple_of(gib) {
        format!("{} GiB", bytes / gib)
    } else {
        format!("{:.0} MiB", bytes as f64 / MIB as f64)
    }
}

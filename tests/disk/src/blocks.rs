//! The content of a disk, in layers of blocks.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Bytes of a block.
const BLOCK: usize = 4096;

/// The blocks that have something. All others are zero, or whatever is beneath.
#[derive(Clone, Default)]
pub(crate) struct Blocks {
    here: HashMap<u64, Box<[u8]>>,
    beneath: Option<Arc<Blocks>>,
}

impl Blocks {
    /// Reads an image of that many bytes, of which most are zero.
    pub(crate) fn read(image: &File, size: u64) -> io::Result<Self> {
        let mut blocks = Blocks::default();
        let mut block = vec![0; BLOCK];
        for number in 0..size / BLOCK as u64 {
            image.read_exact_at(&mut block, number * BLOCK as u64)?;
            if block.iter().any(|byte| *byte != 0) {
                blocks.here.insert(number, block.clone().into());
            }
        }
        Ok(blocks)
    }

    /// Nothing yet, over those.
    pub(crate) fn over(beneath: Arc<Blocks>) -> Self {
        Blocks { here: HashMap::new(), beneath: Some(beneath) }
    }

    /// Copies out what begins at an offset in bytes.
    pub(crate) fn copy_to(&self, bytes: &mut [u8], at: u64) {
        for_each_block(bytes.len(), at, |number, within, range| match self.block(number) {
            Some(block) => bytes[range.clone()].copy_from_slice(&block[within..within + range.len()]),
            None => bytes[range].fill(0),
        });
    }

    /// Takes what begins at an offset in bytes.
    pub(crate) fn copy_from(&mut self, bytes: &[u8], at: u64) {
        for_each_block(bytes.len(), at, |number, within, range| {
            let beneath = self.beneath.as_ref().and_then(|beneath| beneath.block(number));
            let block = self.here.entry(number);
            let block = block.or_insert_with(|| beneath.map_or_else(|| vec![0; BLOCK].into(), Into::into));
            block[within..within + range.len()].copy_from_slice(&bytes[range]);
        });
    }

    fn block(&self, number: u64) -> Option<&[u8]> {
        match self.here.get(&number) {
            Some(block) => Some(block),
            None => self.beneath.as_ref()?.block(number),
        }
    }
}

/// Goes through the blocks of a range: the number of each, where the range begins in it, and which bytes of the range those
/// are.
fn for_each_block(len: usize, at: u64, mut each: impl FnMut(u64, usize, std::ops::Range<usize>)) {
    let mut done = 0;
    while done < len {
        let offset = at + done as u64;
        let within = (offset % BLOCK as u64) as usize;
        let piece = (BLOCK - within).min(len - done);
        each(offset / BLOCK as u64, within, done..done + piece);
        done += piece;
    }
}

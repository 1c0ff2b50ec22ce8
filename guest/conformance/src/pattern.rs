//! The bytes of all test content. The runner compiles this file too.

/// Returns a word of a seed's pattern: its bytes `8 * index` to `8 * index + 8`, lowest first. SplitMix64, from
/// Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
const fn word(seed: u32, index: u64) -> u64 {
    let z = ((seed as u64) << 32).wrapping_add(index).wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Fills a buffer with the bytes of a pattern, beginning at `start`.
pub(crate) fn fill(seed: u32, start: u64, buffer: &mut [u8]) {
    let mut at = start;
    let mut rest = buffer;
    while !rest.is_empty() {
        let bytes = word(seed, at / 8).to_le_bytes();
        let bytes = &bytes[(at % 8) as usize..];
        let count = bytes.len().min(rest.len());
        let (now, later) = rest.split_at_mut(count);
        now.copy_from_slice(&bytes[..count]);
        at += count as u64;
        rest = later;
    }
}

//! Two sides that take turns, and what their times come to.

use crate::Result;
use std::path::Path;

/// Seconds of each side, one entry a round.
pub struct Times {
    /// Ours.
    pub ours: Vec<f64>,
    /// Those of what ours are measured against.
    pub theirs: Vec<f64>,
}

/// Measures both sides in turn, with the first place changing, after one round that does not count. Before each turn
/// the file system of `dir` is synced, so that nobody pays for the pages of somebody else.
pub fn alternate(
    rounds: usize,
    dir: &Path,
    mut ours: impl FnMut() -> Result<f64>,
    mut theirs: impl FnMut() -> Result<f64>,
) -> Result<Times> {
    let mut times = Times { ours: Vec::new(), theirs: Vec::new() };
    for round in 0..=rounds {
        for turn in 0..2 {
            settle(dir)?;
            let first = (round + turn) % 2 == 0;
            let seconds = if first { ours()? } else { theirs()? };
            if round > 0 {
                if first { &mut times.ours } else { &mut times.theirs }.push(seconds);
            }
        }
    }
    Ok(times)
}

/// As [`alternate`], for any number of sides, of which `run` is given the number. Answers what each side came to.
pub fn rotate<T>(
    rounds: usize,
    dir: &Path,
    sides: usize,
    mut run: impl FnMut(usize) -> Result<T>,
) -> Result<Vec<Vec<T>>> {
    let mut all: Vec<Vec<T>> = (0..sides).map(|_| Vec::with_capacity(rounds)).collect();
    for round in 0..=rounds {
        for turn in 0..sides {
            settle(dir)?;
            let side = (round + turn) % sides;
            let measured = run(side)?;
            if round > 0 {
                all[side].push(measured);
            }
        }
    }
    Ok(all)
}

/// Waits until what was written to the file system of `dir` is on its disk.
pub fn settle(dir: &Path) -> Result<()> {
    Ok(rustix::fs::syncfs(std::fs::File::open(dir)?)?)
}

/// The middle of what was measured.
pub fn median(measured: &[f64]) -> f64 {
    quantile(measured, 0.5)
}

/// The value that this share of what was measured does not exceed; not a number of nothing.
pub fn quantile(measured: &[f64], share: f64) -> f64 {
    let mut sorted = measured.to_vec();
    sorted.sort_by(f64::total_cmp);
    let at = (share * sorted.len() as f64) as usize;
    sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(f64::NAN)
}

/// Least and most, for how far the rounds lie apart.
pub fn spread(measured: &[f64]) -> String {
    format!("{:.3} to {:.3} s", quantile(measured, 0.0), quantile(measured, 1.0))
}

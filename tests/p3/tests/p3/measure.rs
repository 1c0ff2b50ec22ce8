//! How long the same work takes through each generation.
//!
//! `PORTICO_TEST_P3_MIB` is the size of the object, and `PORTICO_TEST_P3_ONLY` selects `copy`, `read` or `write`. The store is in memory where `/dev/shm` is, so that the disk does not
//! decide.

use crate::guest::{End, Program};
use crate::stores::TestStore;
use crate::wait;
use libtest_mimic::Failed;
use portico_store::Scope;
use std::path::Path;
use std::time::Instant;

/// Rounds that count, after one that does not.
const ROUNDS: usize = 5;

#[expect(clippy::print_stdout, reason = "the measurement is what this prints")]
pub(crate) fn run(program: &Program) -> Result<(), Failed> {
    let mib: u64 = std::env::var("PORTICO_TEST_P3_MIB").ok().and_then(|mib| mib.parse().ok()).unwrap_or(256);
    let memory = Path::new("/dev/shm");
    let store = wait(TestStore::local(if memory.is_dir() { memory } else { Path::new("/tmp") }));
    let only = std::env::var("PORTICO_TEST_P3_ONLY").unwrap_or_default();
    let time = |way: &str| -> Result<Cost, Failed> {
        let (began, processor) = (Instant::now(), processor_time());
        match wait(program.run(&format!("measure::{way}"), mib << 20, &store.backend, &Scope::root()))? {
            End::Passed => Ok(Cost { seconds: began.elapsed().as_secs_f64(), processor: processor_time() - processor }),
            End::Trapped(trap) => Err(trap.into()),
        }
    };
    time("make")?;
    println!("{mib} MiB; medians of {ROUNDS} rounds that take turns; seconds, and seconds of processor time");
    println!("{:<32} {:>7} {:>7} {:>7} {:>9} {:>7}", "", "0.2", "0.3", "ratio", "cpu 0.2", "cpu 0.3");
    for (way, what) in [
        ("copy", "get and put, handed on"),
        ("read", "get, read by the component"),
        ("write", "put, written by the component"),
    ] {
        if !way.starts_with(&only) {
            continue;
        }
        let (mut old, mut new) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let (before, after) = (time(&format!("{way}-old"))?, time(way)?);
            if round > 0 {
                old.push(before);
                new.push(after);
            }
        }
        let (seconds, processor) = (|cost: &Cost| cost.seconds, |cost: &Cost| cost.processor);
        let (before, after) = (median(&old, seconds), median(&new, seconds));
        let (busy_before, busy_after) = (median(&old, processor), median(&new, processor));
        println!("{what:<32} {before:7.3} {after:7.3} {:7.2} {busy_before:9.2} {busy_after:7.2}", after / before);
    }
    Ok(())
}

/// What one run took, in seconds.
struct Cost {
    seconds: f64,
    /// Of all threads of this process.
    processor: f64,
}

/// Processor time of this process, in seconds, in steps of 10 ms.
fn processor_time() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / 100.0
}

fn median(costs: &[Cost], of: fn(&Cost) -> f64) -> f64 {
    let mut values: Vec<f64> = costs.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

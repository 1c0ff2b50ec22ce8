//! The table: one line for each measurement, with what it was measured against and whether it is good enough.

use crate::Result;
use std::io::Write;
use std::path::Path;

/// What a measurement should come to.
#[derive(Clone, Copy)]
pub enum Target {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

/// One measurement.
pub struct Row {
    /// What is measured.
    pub name: String,
    /// Ours, as people read it.
    pub ours: String,
    /// What ours is measured against; `-` where there is no other side.
    pub theirs: String,
    /// What the target speaks of.
    pub value: f64,
    /// Its unit: `x` for a ratio of the two sides.
    pub unit: &'static str,
    /// What the value should come to.
    pub target: Target,
}

impl Row {
    /// A measurement that has no other side.
    pub fn alone(name: &str, value: f64, unit: &'static str, at_most: f64) -> Row {
        Row {
            name: name.to_owned(),
            ours: if unit == "bytes" { format!("{value} {unit}") } else { format!("{value:.1} {unit}") },
            theirs: "-".to_owned(),
            value,
            unit,
            target: Target::AtMost(at_most),
        }
    }

    fn met(&self) -> bool {
        match self.target {
            Target::AtLeast(limit) => self.value >= limit,
            Target::AtMost(limit) => self.value <= limit,
        }
    }

    fn line(&self) -> String {
        let ratio = if self.unit == "x" { format!("{:.2} x", self.value) } else { "-".to_owned() };
        let target = match self.target {
            Target::AtLeast(limit) => format!(">= {limit} {}", self.unit),
            Target::AtMost(limit) => format!("<= {limit} {}", self.unit),
        };
        let missed = if self.met() { "" } else { " MISSED" };
        format!("{:<44} {:>12} {:>12} {ratio:>10}  ({target}){missed}", self.name, self.ours, self.theirs)
    }
}

/// Prints what is measured as it comes.
#[derive(Default)]
pub struct Report {
    missed: usize,
    skipped: usize,
}

impl Report {
    /// A line of text.
    pub fn say(&mut self, text: &str) -> Result<()> {
        Ok(writeln!(std::io::stdout(), "{text}")?)
    }

    /// The heading of the table.
    pub fn heading(&mut self) -> Result<()> {
        self.say(&format!("\n{:<44} {:>12} {:>12} {:>10}  (target)", "", "ours", "theirs", "ratio"))
    }

    /// One measurement, and beneath it how it was made.
    pub fn row(&mut self, row: &Row, how: &str) -> Result<()> {
        self.missed += usize::from(!row.met());
        self.say(&row.line())?;
        self.say(&format!("    {how}"))
    }

    /// A measurement that this machine cannot make.
    pub fn skipped(&mut self, name: &str, why: &str) -> Result<()> {
        self.skipped += 1;
        self.say(&format!("{name:<44} SKIPPED: {why}"))
    }

    /// Sums up; true if every target was met. What was skipped was not met.
    pub fn end(mut self) -> Result<bool> {
        let (missed, skipped) = (self.missed, self.skipped);
        self.say(&format!("\n{missed} missed, {skipped} skipped"))?;
        Ok(missed + skipped == 0)
    }
}

/// What this machine is: processor, cores, memory, load, kernel, and the file system below `dir`.
pub fn machine(dir: &Path) -> Result<String> {
    let read = |path: &str| std::fs::read_to_string(path);
    let after = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name));
        line.and_then(|line| line.split(':').nth(1)).map_or("unknown".into(), |value| value.trim().to_owned())
    };
    let model = after(&read("/proc/cpuinfo")?, "model name");
    let memory = after(&read("/proc/meminfo")?, "MemTotal");
    let gib = memory.trim_end_matches(" kB").parse().map_or(memory.clone(), |kib: u64| format!("{} GiB", kib >> 20));
    let load = read("/proc/loadavg")?;
    let kernel = read("/proc/sys/kernel/osrelease")?;
    let cores = std::thread::available_parallelism()?;
    Ok(format!(
        "{model}, {cores} cores, {gib}, Linux {}, {}, load {}",
        kernel.trim(),
        file_system(dir)?,
        load.split(' ').next().unwrap_or_default()
    ))
}

/// Bytes of memory that programs may still take.
pub fn available() -> Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:")).ok_or("no MemAvailable")?;
    Ok(line.trim().trim_end_matches(" kB").parse::<u64>()? << 10)
}

/// The type of the file system that holds `dir`: of the mounts above it, the last of the deepest.
pub fn file_system(dir: &Path) -> Result<String> {
    let dir = dir.canonicalize()?;
    let mounts = std::fs::read_to_string("/proc/mounts")?;
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind) = (Path::new(fields.next()?), fields.next()?);
        dir.starts_with(point).then_some((point.components().count(), kind))
    });
    Ok(above.max_by_key(|(depth, _)| *depth).map_or("unknown file system", |(_, kind)| kind).to_owned())
}

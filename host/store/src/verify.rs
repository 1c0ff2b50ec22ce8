//! The result of comparing a store's receipts with its data. Each backend compares in its own way.
//!
//! Invariant: a comparison changes nothing, holds no lock, and keeps at most one page of receipts in memory.

use std::fmt;
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

/// The time between two progress lines.
const PROGRESS: Duration = Duration::from_secs(10);

/// Receipts that are compared together.
pub const PAGE: u32 = 500;

/// The extent of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// The existence of the data, and their sizes.
    Sizes,
    /// Their content too, all of which is read.
    Digests,
}

/// Data that differ from their receipt, or have none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The path below the root, or the key, of the data.
    pub place: String,
    /// The number of the part whose data they are; `None` for those of a final object.
    pub part: Option<u32>,
    /// The kind of difference.
    pub kind: DifferenceKind,
}

/// How data differ from their receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DifferenceKind {
    /// They do not exist.
    Missing {
        /// Their size by the receipt, in bytes.
        size: u64,
    },
    /// Their size is another one.
    Size {
        /// Their size by the receipt, in bytes.
        expected: u64,
        /// Their size, in bytes.
        found: u64,
    },
    /// Their size is right, and their digest is wrong.
    Content,
    /// They cannot be read.
    Unreadable(String),
    /// No receipt names them, and no put of this store made them. This is no fault of the store.
    Unknown,
}

impl DifferenceKind {
    /// Whether a client that reads the data would miss acknowledged content.
    pub fn is_fault(&self) -> bool {
        !matches!(self, DifferenceKind::Unknown)
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match &self.kind {
            DifferenceKind::Missing { .. } => "missing",
            DifferenceKind::Size { expected, found } if found < expected => "short",
            DifferenceKind::Size { .. } => "long",
            DifferenceKind::Content => "changed",
            DifferenceKind::Unreadable(_) => "unreadable",
            DifferenceKind::Unknown => "unknown",
        };
        write!(f, "{word}: {}", self.place)?;
        if let Some(part) = self.part {
            write!(f, ", part {part}")?;
        }
        match &self.kind {
            DifferenceKind::Missing { size } => write!(f, ", {size} bytes"),
            DifferenceKind::Size { expected, found } => write!(f, ", {found} bytes in place of {expected}"),
            DifferenceKind::Content => write!(f, ", its digest is not that of its receipt"),
            DifferenceKind::Unreadable(why) => write!(f, ", {why}"),
            DifferenceKind::Unknown => write!(f, ", no receipt names it"),
        }
    }
}

/// The totals of a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Verified {
    /// Final objects.
    pub objects: u64,
    /// Parts of unfinished uploads.
    pub parts: u64,
    /// Bytes of both, by their receipts.
    pub bytes: u64,
    /// Parts without a digest: only their sizes were compared.
    pub undigested: u64,
    /// Files or objects of puts that run or were killed; a sweep tells which.
    pub unfinished: u64,
    /// Files or objects that no receipt names, and no put made.
    pub unknown: u64,
    /// Objects and parts that differ from their receipt.
    pub faults: u64,
}

impl fmt::Display for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Verified { objects, parts, bytes, undigested, unfinished, unknown, faults } = self;
        writeln!(f, "compared {objects} files and {parts} parts of unfinished uploads, {bytes} bytes")?;
        if *undigested > 0 {
            writeln!(f, "{undigested} parts have no digest, so only their sizes were compared")?;
        }
        if *unfinished > 0 {
            writeln!(
                f,
                "{unfinished} files belong to uploads that run or were killed; a sweep removes what was killed"
            )?;
        }
        if *unknown > 0 {
            writeln!(f, "{unknown} files are named by no receipt and were left alone")?;
        }
        match faults {
            0 => write!(f, "all files are as their receipts say"),
            _ => write!(f, "{faults} files or parts are not as their receipts say"),
        }
    }
}

/// Records the findings of a comparison.
pub struct Findings<'a> {
    tell: &'a mut (dyn FnMut(Difference) -> ControlFlow<()> + Send),
    report: Verified,
    stopped: bool,
    told: Instant,
}

impl<'a> Findings<'a> {
    /// Calls `tell` for each difference, until `tell` breaks.
    pub fn new(tell: &'a mut (dyn FnMut(Difference) -> ControlFlow<()> + Send)) -> Self {
        Findings { tell, report: Verified::default(), stopped: false, told: Instant::now() }
    }

    /// Whether `tell` has broken off the comparison.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Counts the data of a final object, or of a part, as compared.
    pub fn compared(&mut self, part: bool, size: u64) {
        *(if part { &mut self.report.parts } else { &mut self.report.objects }) += 1;
        self.report.bytes += size;
        if self.told.elapsed() >= PROGRESS {
            self.told = Instant::now();
            let Verified { objects, parts, bytes, faults, .. } = self.report;
            tracing::info!(objects, parts, bytes, faults, "comparing");
        }
    }

    /// Records a difference.
    pub fn differs(&mut self, place: impl fmt::Display, part: Option<u32>, kind: DifferenceKind) {
        *(if kind.is_fault() { &mut self.report.faults } else { &mut self.report.unknown }) += 1;
        self.stopped |= (self.tell)(Difference { place: place.to_string(), part, kind }).is_break();
    }

    /// Counts a part whose content can't be compared.
    pub fn undigested(&mut self) {
        self.report.undigested += 1;
    }

    /// Counts a file or object of a put that runs or was killed.
    pub fn unfinished(&mut self) {
        self.report.unfinished += 1;
    }

    /// The totals.
    pub fn report(self) -> Verified {
        self.report
    }
}

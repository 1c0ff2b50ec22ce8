//! What a disk has, what of it would survive, and what is to fail.

use crate::blocks::Blocks;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// What is to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The write of this number.
    Write(u64),
    /// The flush of this number.
    Flush(u64),
}

/// What has reached a disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Writes, failed ones too.
    pub writes: u64,
    /// Flushes, failed ones too.
    pub flushes: u64,
}

/// The disk says that it could not do it.
pub(crate) struct Refused;

/// What a disk has, and what is to become of it.
pub(crate) struct Device {
    size: u64,
    state: Mutex<State>,
}

struct State {
    /// What a loss of power leaves.
    flushed: Blocks,
    /// All that was written.
    written: Blocks,
    /// What was written since the last flush: offsets and lengths, in bytes.
    unflushed: Vec<(u64, usize)>,
    counts: Counts,
    fault: Option<Fault>,
    failed_at: Option<Instant>,
    is_off: bool,
}

impl Device {
    pub(crate) fn new(size: u64, blocks: Arc<Blocks>) -> Self {
        let state = State {
            flushed: Blocks::over(blocks.clone()),
            written: Blocks::over(blocks),
            unflushed: Vec::new(),
            counts: Counts::default(),
            fault: None,
            failed_at: None,
            is_off: false,
        };
        Device { size, state: Mutex::new(state) }
    }

    pub(crate) fn arm(&self, fault: Option<Fault>) {
        let mut state = self.state();
        (state.counts, state.fault, state.failed_at) = (Counts::default(), fault, None);
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state().counts
    }

    pub(crate) fn failed_at(&self) -> Option<Instant> {
        self.state().failed_at
    }

    /// Its size in bytes.
    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    /// What begins at an offset, at most so many bytes.
    pub(crate) fn read(&self, at: u64, len: usize) -> Vec<u8> {
        let mut bytes = vec![0; len.min(usize::try_from(self.size.saturating_sub(at)).unwrap_or(len))];
        self.state().written.copy_to(&mut bytes, at);
        bytes
    }

    /// Takes nothing any more.
    pub(crate) fn off(&self) {
        self.state().is_off = true;
    }

    /// Is there again, with what was flushed.
    pub(crate) fn on(&self) {
        let mut state = self.state();
        state.written = state.flushed.clone();
        state.unflushed.clear();
        (state.fault, state.is_off) = (None, false);
    }

    /// Takes bytes at an offset.
    pub(crate) fn write(&self, bytes: &[u8], at: u64) -> Result<(), Refused> {
        let mut state = self.state();
        state.counts.writes += 1;
        let number = state.counts.writes;
        state.come(Fault::Write(number))?;
        state.written.copy_from(bytes, at);
        state.unflushed.push((at, bytes.len()));
        Ok(())
    }

    /// Makes durable what was written.
    pub(crate) fn flush(&self) -> Result<(), Refused> {
        let mut state = self.state();
        state.counts.flushes += 1;
        let number = state.counts.flushes;
        state.come(Fault::Flush(number))?;
        let State { flushed, written, unflushed, .. } = &mut *state;
        for (at, len) in unflushed.drain(..) {
            let mut bytes = vec![0; len];
            written.copy_to(&mut bytes, at);
            flushed.copy_from(&bytes, at);
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Fails if this is the fault, or if there is no power.
    fn come(&mut self, this: Fault) -> Result<(), Refused> {
        if self.is_off {
            return Err(Refused);
        }
        if self.fault == Some(this) {
            self.failed_at = Some(Instant::now());
            return Err(Refused);
        }
        Ok(())
    }
}

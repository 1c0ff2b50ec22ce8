//! Standard output, where results go.
//!
//! Invariant: a closed pipe (`EPIPE`) is no error, because a reader such as `head` closes it when it has seen enough. Later
//! results are dropped, and the exit code still reports whether the work of the command is done.

use std::io::{self, ErrorKind, StdoutLock, Write};

/// A writer of results that tolerates a closed pipe.
pub(super) struct Results<W> {
    to: W,
    closed: bool,
}

/// Locks standard output for results.
pub(super) fn results() -> Results<StdoutLock<'static>> {
    Results { to: io::stdout().lock(), closed: false }
}

/// Writes one result.
pub(super) fn print(line: &str) -> io::Result<()> {
    let mut out = results();
    writeln!(out, "{line}")?;
    out.flush()
}

impl<W: Write> Results<W> {
    #[cfg(test)]
    pub(super) fn to(to: W) -> Results<W> {
        Results { to, closed: false }
    }

    #[cfg(test)]
    pub(super) fn into_inner(self) -> W {
        self.to
    }

    /// Reports whether a write has found the pipe closed.
    pub(super) fn is_closed(&self) -> bool {
        self.closed
    }

    fn or_closed<T>(&mut self, done: io::Result<T>, dropped: T) -> io::Result<T> {
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.closed = true;
                Ok(dropped)
            }
            done => done,
        }
    }
}

impl<W: Write> Write for Results<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.closed {
            return Ok(bytes.len());
        }
        let written = self.to.write(bytes);
        self.or_closed(written, bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.closed {
            return Ok(());
        }
        let flushed = self.to.flush();
        self.or_closed(flushed, ())
    }
}

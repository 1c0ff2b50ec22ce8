//! Standard error, written by one thread.
//!
//! Invariants: no caller blocks on the reader of standard error or sees a write error, so no request depends on the log;
//! lines are lost only if a write fails or the queue is full; the log reports the number of lost lines after the next
//! successful write; lines keep their order and are not mixed.
//!
//! The crate `tracing-appender` also writes on a thread. It does not count the lines of a failed write, bounds its queue by
//! lines and not by bytes, and prints to standard output if the queue is full when the process ends.

use portico_server::server::limits::LOG_QUEUE;
use prometheus_client::metrics::counter::Counter;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd as _;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::Duration;

/// Most bytes of one write, unless a single line is longer. Linux writes 4096 bytes to a pipe atomically (`PIPE_BUF`), so
/// processes that share a pipe do not mix their lines.
const PIECE: usize = 4_096;

/// How long the writer gathers lines after a write. A line after a silence is written at once, and a busy server does not
/// wake the writer for each line.
const PAUSE: Duration = Duration::from_millis(1);

/// How long the writer waits before it retries a non-blocking descriptor that is full.
const FULL: Duration = Duration::from_millis(10);

/// Longest wait for a line that is written between two drawings of a progress bar.
const LINE: Duration = Duration::from_secs(1);

/// Longest wait for pending lines at the end of the process.
const END: Duration = Duration::from_secs(2);

/// Capacity in bytes that an empty queue keeps.
const KEPT: usize = 64 << 10;

static LINES: OnceLock<Arc<LogQueue>> = OnceLock::new();

fn queue() -> &'static LogQueue {
    LINES.get_or_init(|| {
        // A duplicate of the descriptor, because a blocked write would hold the lock of `io::stderr`.
        match io::stderr().as_fd().try_clone_to_owned() {
            Ok(descriptor) => LogQueue::start(File::from(descriptor), log_losses),
            Err(_) => LogQueue::start(io::stderr(), log_losses),
        }
    })
}

fn log_losses(lines: u64) {
    tracing::error!(lines, "lines of the log were lost: writes failed, or were slower than the log");
}

/// Writes a message to the person at the terminal.
pub(super) fn say(text: &str) {
    queue().push(format!("portico: {text}\n").as_bytes());
}

/// As [`say`], and waits for the write. A progress bar is drawn on the same terminal next.
pub(super) fn say_now(text: &str) {
    say(text);
    queue().flush(LINE);
}

/// Waits until all lines are written, at most [`END`].
pub(super) fn finish() {
    if let Some(lines) = LINES.get() {
        lines.flush(END);
    }
}

/// Counts lost lines in `counter`, including those lost so far.
pub(super) fn count_losses(counter: Counter) {
    queue().count_losses(counter);
}

/// The writer of the log. Each write is one event, which ends with a line feed.
pub(super) struct LogWriter;

impl Write for LogWriter {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        queue().push(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The queue of lines between their authors and the thread that writes them.
struct LogQueue {
    state: Mutex<QueueState>,
    come: Condvar,
    written: Condvar,
}

#[derive(Default)]
struct QueueState {
    pending: Vec<u8>,
    /// Bytes that are pending or are being written.
    held: usize,
    /// The writer blocks on [`LogQueue::come`].
    idle: bool,
    /// Threads that block on [`LogQueue::written`].
    flushing: u32,
    /// The thread could not be started: authors write their lines themselves.
    direct: bool,
    lost: u64,
    /// Lost lines that the log has reported.
    reported: u64,
    counter: Option<Counter>,
}

impl QueueState {
    fn lose(&mut self, lines: &[u8]) {
        let count = lines.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.lost += count;
        if let Some(counter) = &self.counter {
            counter.inc_by(count);
        }
    }
}

impl LogQueue {
    /// Starts the thread. `report` logs a number of lost lines.
    fn start(to: impl Write + Send + 'static, report: impl Fn(u64) + Send + 'static) -> Arc<LogQueue> {
        let lines = Arc::new(LogQueue { state: Mutex::default(), come: Condvar::new(), written: Condvar::new() });
        let of_thread = lines.clone();
        let started = thread::Builder::new().name("stderr".to_owned()).spawn(move || of_thread.write(to, report));
        lines.state().direct = started.is_err();
        lines
    }

    fn state(&self) -> MutexGuard<'_, QueueState> {
        // Poisoning is ignored, because the panic hook logs too.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends whole lines, or loses them if the queue is full.
    fn push(&self, lines: &[u8]) {
        let mut state = self.state();
        if state.direct {
            let _ = io::stderr().write_all(lines);
        } else if state.held + lines.len() > LOG_QUEUE {
            state.lose(lines);
        } else {
            state.held += lines.len();
            state.pending.extend_from_slice(lines);
            if std::mem::take(&mut state.idle) {
                self.come.notify_one();
            }
        }
    }

    /// Waits until all lines are written, at most `limit`.
    fn flush(&self, limit: Duration) {
        let mut state = self.state();
        state.flushing += 1;
        let waited = self.written.wait_timeout_while(state, limit, |state| state.held > 0);
        waited.unwrap_or_else(PoisonError::into_inner).0.flushing -= 1;
    }

    fn count_losses(&self, counter: Counter) {
        let mut state = self.state();
        counter.inc_by(state.lost);
        state.counter = Some(counter);
    }

    /// Writes lines, without end.
    fn write(&self, to: impl Write, report: impl Fn(u64)) {
        let mut out = Out { to, torn: false };
        let mut batch = Vec::new();
        loop {
            self.take(&mut batch);
            let (mut rest, mut is_lost) = (&batch[..], 0);
            while !rest.is_empty() {
                let (piece, more) = rest.split_at(whole_lines(rest));
                is_lost = out.write(piece);
                self.done(piece, is_lost);
                rest = more;
            }
            if is_lost == 0
                && let Some(lost) = self.unreported()
            {
                report(lost);
            }
            batch.clear();
            batch.shrink_to(KEPT);
            thread::sleep(PAUSE);
        }
    }

    /// Waits for lines and swaps all of them into `batch`, which is empty.
    fn take(&self, batch: &mut Vec<u8>) {
        let mut state = self.state();
        while state.pending.is_empty() {
            state.idle = true;
            state = self.come.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.idle = false;
        std::mem::swap(&mut state.pending, batch);
    }

    /// Releases the room of a piece whose last `lost` bytes were not written.
    fn done(&self, piece: &[u8], lost: usize) {
        let mut state = self.state();
        state.held -= piece.len();
        state.lose(&piece[piece.len() - lost..]);
        if state.held == 0 && state.flushing > 0 {
            self.written.notify_all();
        }
    }

    /// Returns the number of unreported lost lines, and counts them as reported.
    fn unreported(&self) -> Option<u64> {
        let mut state = self.state();
        let unreported = state.lost - state.reported;
        state.reported = state.lost;
        (unreported > 0).then_some(unreported)
    }
}

/// Returns the length of the first whole lines: at most [`PIECE`] bytes, unless the first line is longer.
fn whole_lines(lines: &[u8]) -> usize {
    let is_end = |byte: &u8| *byte == b'\n';
    let end = lines[..lines.len().min(PIECE)].iter().rposition(is_end);
    end.or_else(|| lines.iter().position(is_end)).map_or(lines.len(), |end| end + 1)
}

/// Standard error, and whether its last line is complete.
struct Out<W> {
    to: W,
    /// The last write ended within a line.
    torn: bool,
}

impl<W: Write> Out<W> {
    /// Writes lines; returns the number of bytes at their end that were not written.
    fn write(&mut self, lines: &[u8]) -> usize {
        if self.torn && self.write_bytes(b"\n") > 0 {
            return lines.len();
        }
        let left = self.write_bytes(lines);
        self.torn = (1..lines.len()).contains(&left) && !lines[..lines.len() - left].ends_with(b"\n");
        left
    }

    fn write_bytes(&mut self, mut bytes: &[u8]) -> usize {
        while !bytes.is_empty() {
            match self.to.write(bytes) {
                Ok(0) => break,
                Ok(length) => bytes = &bytes[length..],
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Another process has made the shared descriptor non-blocking.
                Err(error) if error.kind() == ErrorKind::WouldBlock => thread::sleep(FULL),
                Err(_) => break,
            }
        }
        bytes.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;

    /// The outcome that a test decides for a write.
    enum Fate {
        Written,
        /// Only this number of bytes is written.
        Short(usize),
        Fails(ErrorKind),
    }

    /// A writer whose writes wait for their outcome.
    struct ScriptedWriter {
        fates: mpsc::Receiver<Fate>,
        text: Arc<Mutex<String>>,
    }

    impl Write for ScriptedWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let length = match self.fates.recv() {
                Err(_) | Ok(Fate::Written) => bytes.len(),
                Ok(Fate::Short(length)) => length,
                Ok(Fate::Fails(kind)) => return Err(kind.into()),
            };
            self.text.lock().unwrap().push_str(str::from_utf8(&bytes[..length]).unwrap());
            Ok(length)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    struct Test {
        lines: Arc<LogQueue>,
        fates: mpsc::Sender<Fate>,
        text: Arc<Mutex<String>>,
    }

    impl Test {
        fn start() -> Test {
            let (fates, decided) = mpsc::channel();
            let text = Arc::new(Mutex::new(String::new()));
            let writer = ScriptedWriter { fates: decided, text: text.clone() };
            let (queue, of_thread) = mpsc::sync_channel::<Arc<LogQueue>>(1);
            let reported = Mutex::new(None);
            let lines = LogQueue::start(writer, move |lost| {
                let mut lines = reported.lock().unwrap();
                let lines: &Arc<LogQueue> = lines.get_or_insert_with(|| of_thread.recv().unwrap());
                lines.push(format!("lost {lost}\n").as_bytes());
            });
            queue.send(lines.clone()).unwrap();
            Test { lines, fates, text }
        }

        /// Lets all writes succeed, and returns the written text.
        fn end(self) -> String {
            drop(self.fates);
            self.lines.flush(Duration::from_secs(60));
            self.text.lock().unwrap().clone()
        }
    }

    #[test]
    fn lines_that_fail_are_counted_and_told_when_it_works_again() {
        let test = Test::start();
        let counter = Counter::default();
        for kind in [ErrorKind::BrokenPipe, ErrorKind::StorageFull] {
            test.fates.send(Fate::Fails(kind)).unwrap();
            test.lines.push(b"never\n");
            test.lines.flush(Duration::from_secs(60));
        }
        test.lines.count_losses(counter.clone());
        test.fates.send(Fate::Fails(ErrorKind::BrokenPipe)).unwrap();
        test.lines.push(b"never\nnever\n");
        test.lines.flush(Duration::from_secs(60));
        assert_eq!(counter.get(), 4);
        for fate in [Fate::Fails(ErrorKind::Interrupted), Fate::Fails(ErrorKind::WouldBlock), Fate::Written] {
            test.fates.send(fate).unwrap();
        }
        test.lines.push(b"again\n");
        test.fates.send(Fate::Written).unwrap();
        let text = test.text.clone();
        while text.lock().unwrap().lines().count() < 2 {
            thread::sleep(PAUSE);
        }
        test.lines.push(b"on\n");
        assert_eq!((test.end().as_str(), counter.get()), ("again\nlost 4\non\n", 4));
    }

    #[test]
    fn a_line_that_was_cut_ends_before_the_next_one() {
        let test = Test::start();
        // The first line is written alone, the others together.
        for fate in [Fate::Short(2), Fate::Fails(ErrorKind::StorageFull)] {
            test.fates.send(fate).unwrap();
        }
        test.lines.push(b"half\n");
        test.lines.flush(Duration::from_secs(60));
        test.lines.push(b"whole\n");
        let text = test.end();
        assert!(text.starts_with("ha\nwhole\n"), "{text:?}");
    }

    #[test]
    fn who_logs_never_waits_and_what_has_no_room_is_lost() {
        let test = Test::start();
        let line = [vec![b'x'; 1_023], vec![b'\n']].concat();
        // No write succeeds before the test allows it.
        (0..LOG_QUEUE / 1_024 + 10).for_each(|_| test.lines.push(&line));
        let state = test.lines.state();
        assert_eq!((state.lost, state.held), (10, LOG_QUEUE));
        drop(state);
        let text = test.end();
        assert!(text.starts_with(str::from_utf8(&line).unwrap()));
        assert_eq!(text.matches('\n').count() - text.matches("lost").count(), LOG_QUEUE / 1_024);
    }

    #[test]
    fn pieces_are_whole_lines() {
        let long = [vec![b'x'; 5_000], b"\nnext\n".to_vec()].concat();
        let many = b"0123456789abcde\n".repeat(1_000);
        for (lines, length) in [(&b"a\nb\n"[..], 4), (b"a\nb", 2), (b"a", 1), (&long, 5_001), (&many, PIECE)] {
            assert_eq!(whole_lines(lines), length);
        }
    }
}

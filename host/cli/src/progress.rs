//! Reports the progress of a transfer: as a bar on a terminal, as lines elsewhere, or as JSON.
//!
//! Results go to standard output, everything else to standard error. In JSON, every message is a result.

use super::error::Error;
use super::{stderr, stdout};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use portico_client::{Event, Observer, printable};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Interval between two lines about a transfer.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Interval between two JSON objects about the progress of a transfer.
const JSON_EVERY: Duration = Duration::from_secs(1);

const KNOWN: &str = "{msg} {wide_bar} {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN: &str = "{msg} {spinner} {bytes} {bytes_per_sec} {elapsed}";

/// Reports what a command does. Clones share their state.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<ProgressState>>);

enum Style {
    Bar(ProgressBar),
    Lines,
    Json,
}

/// The state of the current transfer, as last reported.
struct ProgressState {
    how: Style,
    /// The name or id of the file, and its field in JSON.
    subject: String,
    field: &'static str,
    size: Option<u64>,
    began: Instant,
    /// Bytes that needed no transfer.
    already: u64,
    last: Instant,
    /// The last failure that was reported, and when.
    retried: Option<(String, Instant)>,
}

impl Progress {
    pub(super) fn new(json: bool) -> Progress {
        let how = match json {
            true => Style::Json,
            false if io::stderr().is_terminal() => {
                Style::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()))
            }
            false => Style::Lines,
        };
        let now = Instant::now();
        let state = ProgressState {
            how,
            subject: String::new(),
            field: "file",
            size: None,
            began: now,
            already: 0,
            last: now,
            retried: None,
        };
        Progress(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> MutexGuard<'_, ProgressState> {
        self.0.lock().expect("no panic under the lock")
    }

    /// Sets the file that the next messages are about, by name or id.
    pub(super) fn about(&self, field: &'static str, subject: &str) {
        let mut state = self.state();
        state.subject = subject.to_owned();
        state.field = field;
    }

    /// Removes the bar, so that other lines can be printed.
    pub(super) fn clear(&self) {
        if let Style::Bar(bar) = &self.state().how {
            bar.finish_and_clear();
        }
    }

    /// Prints a result: as a line, or as JSON with these members.
    pub(super) fn result(&self, line: &str, event: &str, members: Value) -> Result<(), Error> {
        self.clear();
        let state = self.state();
        let written = match state.how {
            Style::Json => stdout::print(&state.json(event, members).to_string()),
            _ if line.is_empty() => Ok(()),
            _ => stdout::print(line),
        };
        written.map_err(Error::Output)
    }

    /// Prints a failure; the command continues with the next file.
    pub(super) fn failure(&self, error: &portico_client::Error) -> Result<(), Error> {
        self.clear();
        let state = self.state();
        let text = portico_store::chain(error);
        if let Style::Json = state.how {
            let status = error.problem().map(|problem| problem.status.as_u16());
            let line = state.json("failed", json!({ "error": text, "status": status }));
            return stdout::print(&line.to_string()).map_err(Error::Output);
        }
        stderr::say(&format!("{}: {text}", printable(&state.subject)));
        Ok(())
    }

    /// Prints a remark to standard error.
    pub(super) fn note(&self, text: &str) {
        self.state().note(text);
    }
}

impl Observer for Progress {
    fn report(&self, event: Event<'_>) {
        let mut state = self.state();
        match event {
            Event::Started { size, already } => state.begin(size, already),
            Event::Transferred(bytes) => state.at(bytes),
            Event::Retrying { error, wait } => {
                let text = portico_store::chain(error);
                match state.how {
                    Style::Json => state.out("retry", json!({ "error": text, "wait_ms": wait.as_millis() as u64 })),
                    _ => state.retry(text),
                }
            }
            Event::Finalizing => state.phase("finishing"),
            Event::Comparing => state.phase("comparing"),
        }
    }
}

impl ProgressState {
    fn begin(&mut self, size: Option<u64>, already: u64) {
        (self.size, self.already) = (size, already);
        self.began = Instant::now();
        self.last = self.began;
        match &self.how {
            Style::Bar(_) => {
                let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template(if size.is_some() { KNOWN } else { UNKNOWN });
                bar.set_style(style.expect("the template is sound").progress_chars("=> "));
                bar.set_message(printable(&self.subject));
                bar.set_position(already);
                // Earlier bytes must not count as fast ones.
                bar.reset_eta();
                self.how = Style::Bar(bar);
            }
            Style::Lines if already > 0 => {
                let of = size.map_or(String::new(), |size| format!(" of {}", HumanBytes(size)));
                self.note(&format!("{}: {}{of} transferred already", printable(&self.subject), HumanBytes(already)));
            }
            Style::Lines => {}
            Style::Json => self.out("begin", json!({ "size_bytes": size, "already_bytes": already })),
        }
    }

    fn at(&mut self, bytes: u64) {
        let since = self.last.elapsed();
        match &self.how {
            Style::Bar(bar) => bar.set_position(bytes),
            Style::Lines if since < LINE_EVERY => {}
            Style::Json if since < JSON_EVERY => {}
            Style::Lines => {
                self.last = Instant::now();
                let (rate, left) = self.rate(bytes);
                let share = self.size.filter(|size| *size > 0).map(|size| u128::from(bytes) * 100 / u128::from(size));
                let share = share.map_or(String::new(), |share| format!("{share}%, "));
                let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
                let done = HumanBytes(bytes);
                let line = format!("{}: {share}{done}, {}/s{left}", printable(&self.subject), HumanBytes(rate as u64));
                self.note(&line);
            }
            Style::Json => {
                self.last = Instant::now();
                let (rate, left) = self.rate(bytes);
                let left = left.map(|left| left.as_secs());
                let members = json!({ "bytes": bytes, "bytes_per_second": rate as u64, "seconds_left": left });
                self.out("progress", members);
            }
        }
    }

    /// Returns the rate in bytes a second since the start, and the remaining time.
    fn rate(&self, bytes: u64) -> (f64, Option<Duration>) {
        let rate = bytes.saturating_sub(self.already) as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = self.size.map(|size| size.saturating_sub(bytes) as f64 / rate.max(1.0));
        (rate, left.and_then(|left| Duration::try_from_secs_f64(left).ok()))
    }

    /// Reports a retry. Parallel parts fail together and repeatedly, so equal failures are reported once.
    fn retry(&mut self, text: String) {
        let known = self.retried.take_if(|(before, when)| *before == text && when.elapsed() < LINE_EVERY);
        if known.is_none() {
            self.note(&format!("{text}; trying again"));
        }
        self.retried = Some(known.unwrap_or((text, Instant::now())));
    }

    fn phase(&mut self, name: &str) {
        match &self.how {
            Style::Bar(bar) => bar.set_message(format!("{} ({name})", printable(&self.subject))),
            Style::Lines => {}
            Style::Json => self.out(name, json!({})),
        }
    }

    fn note(&self, text: &str) {
        match &self.how {
            Style::Bar(bar) => bar.suspend(|| stderr::say_now(text)),
            Style::Lines | Style::Json => stderr::say(text),
        }
    }

    fn json(&self, event: &str, members: Value) -> Value {
        let mut object = Map::new();
        object.insert("event".to_owned(), event.into());
        object.insert(self.field.to_owned(), (&*self.subject).into());
        if let Value::Object(members) = members {
            object.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
        }
        Value::Object(object)
    }

    /// Prints an object during a transfer. Ignores errors, because the result will meet the same error.
    fn out(&self, event: &str, members: Value) {
        let _ = stdout::print(&self.json(event, members).to_string());
    }
}

//! How a transfer is told: a bar on a terminal, a line now and then elsewhere, or JSON.
//!
//! Results go to standard output, and everything else to standard error; JSON is a result in whole.

use super::error::Error;
use super::{stderr, stdout};
use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};
use portico_client::{Event, Observer, printable};
use serde_json::{Map, Value, json};
use std::io::{self, IsTerminal as _};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Between two lines about the same transfer.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// Between two JSON objects about the progress of the same transfer.
const JSON_EVERY: Duration = Duration::from_secs(1);

const KNOWN: &str = "{msg} {wide_bar} {percent:>3}% {bytes}/{total_bytes} {bytes_per_sec} {eta}";
const UNKNOWN: &str = "{msg} {spinner} {bytes} {bytes_per_sec} {elapsed}";

/// Tells of what a command does.
#[derive(Clone)]
pub(super) struct Progress(Arc<Mutex<Told>>);

enum How {
    Bar(ProgressBar),
    Lines,
    Json,
}

/// What was told so far.
struct Told {
    how: How,
    /// What the transfer is of, as a person and as a program is told.
    subject: String,
    field: &'static str,
    size: Option<u64>,
    began: Instant,
    /// What needed no transfer.
    there: u64,
    last: Instant,
    /// What was tried again, when that was told last.
    retried: Option<(String, Instant)>,
}

impl Progress {
    pub(super) fn new(json: bool) -> Progress {
        let how = match json {
            true => How::Json,
            false if io::stderr().is_terminal() => {
                How::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()))
            }
            false => How::Lines,
        };
        let now = Instant::now();
        let told = Told {
            how,
            subject: String::new(),
            field: "file",
            size: None,
            began: now,
            there: 0,
            last: now,
            retried: None,
        };
        Progress(Arc::new(Mutex::new(told)))
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().expect("no panic under the lock")
    }

    /// What follows is about this: the name of a file, or the id of one.
    pub(super) fn about(&self, field: &'static str, subject: &str) {
        let mut told = self.told();
        told.subject = subject.to_owned();
        told.field = field;
    }

    /// As somebody whom a client tells.
    pub(super) fn observer(&self) -> Arc<dyn Observer> {
        Arc::new(self.clone())
    }

    /// Takes a bar away, so that other lines can come.
    pub(super) fn clear(&self) {
        if let How::Bar(bar) = &self.told().how {
            bar.finish_and_clear();
        }
    }

    /// Tells a result: as a line, or as JSON with these members besides.
    pub(super) fn result(&self, line: &str, event: &str, members: Value) -> Result<(), Error> {
        self.clear();
        let told = self.told();
        let written = match told.how {
            How::Json => stdout::tell(&told.json(event, members).to_string()),
            _ if line.is_empty() => Ok(()),
            _ => stdout::tell(line),
        };
        written.map_err(Error::Output)
    }

    /// Tells that what the command was about has failed, and that it goes on.
    pub(super) fn failure(&self, error: &portico_client::Error) -> Result<(), Error> {
        self.clear();
        let told = self.told();
        let text = portico_store::chain(error);
        if let How::Json = told.how {
            let status = error.problem().map(|problem| problem.status.as_u16());
            let line = told.json("failed", json!({ "error": text, "status": status }));
            return stdout::tell(&line.to_string()).map_err(Error::Output);
        }
        stderr::say(&format!("{}: {text}", printable(&told.subject)));
        Ok(())
    }

    /// Something to know beside the results.
    pub(super) fn note(&self, text: &str) {
        self.told().note(text);
    }
}

impl Observer for Progress {
    fn tell(&self, event: Event<'_>) {
        let mut told = self.told();
        match event {
            Event::Begins { size, there } => told.begin(size, there),
            Event::At(bytes) => told.at(bytes),
            Event::TriesAgain { error, wait } => {
                let text = portico_store::chain(error);
                match told.how {
                    How::Json => told.out("retry", json!({ "error": text, "wait_ms": wait.as_millis() as u64 })),
                    _ => told.retry(text),
                }
            }
            Event::Finishes => told.phase("finishing"),
            Event::Compares => told.phase("comparing"),
        }
    }
}

impl Told {
    fn begin(&mut self, size: Option<u64>, there: u64) {
        (self.size, self.there) = (size, there);
        self.began = Instant::now();
        self.last = self.began;
        match &self.how {
            How::Bar(_) => {
                let bar = ProgressBar::with_draw_target(size, ProgressDrawTarget::stderr());
                let style = ProgressStyle::with_template(if size.is_some() { KNOWN } else { UNKNOWN });
                bar.set_style(style.expect("the template is sound").progress_chars("=> "));
                bar.set_message(printable(&self.subject));
                bar.set_position(there);
                // So that what was there does not count as fast.
                bar.reset_eta();
                self.how = How::Bar(bar);
            }
            How::Lines if there > 0 => {
                let of = size.map_or(String::new(), |size| format!(" of {}", HumanBytes(size)));
                self.note(&format!("{}: {}{of} are there already", printable(&self.subject), HumanBytes(there)));
            }
            How::Lines => {}
            How::Json => self.out("begin", json!({ "size_bytes": size, "already_bytes": there })),
        }
    }

    fn at(&mut self, bytes: u64) {
        let since = self.last.elapsed();
        match &self.how {
            How::Bar(bar) => bar.set_position(bytes),
            How::Lines if since < LINE_EVERY => {}
            How::Json if since < JSON_EVERY => {}
            How::Lines => {
                self.last = Instant::now();
                let (rate, left) = self.rate(bytes);
                let share = self.size.filter(|size| *size > 0).map(|size| u128::from(bytes) * 100 / u128::from(size));
                let share = share.map_or(String::new(), |share| format!("{share}%, "));
                let left = left.map_or(String::new(), |left| format!(", {} left", HumanDuration(left)));
                let done = HumanBytes(bytes);
                let line = format!("{}: {share}{done}, {}/s{left}", printable(&self.subject), HumanBytes(rate as u64));
                self.note(&line);
            }
            How::Json => {
                self.last = Instant::now();
                let (rate, left) = self.rate(bytes);
                let left = left.map(|left| left.as_secs());
                let members = json!({ "bytes": bytes, "bytes_per_second": rate as u64, "seconds_left": left });
                self.out("progress", members);
            }
        }
    }

    /// Bytes a second since the beginning, and the time that the rest takes at that rate.
    fn rate(&self, bytes: u64) -> (f64, Option<Duration>) {
        let rate = bytes.saturating_sub(self.there) as f64 / self.began.elapsed().as_secs_f64().max(0.001);
        let left = self.size.map(|size| size.saturating_sub(bytes) as f64 / rate.max(1.0));
        (rate, left.and_then(|left| Duration::try_from_secs_f64(left).ok()))
    }

    /// Several parts fail together, and again and again: a person is told once.
    fn retry(&mut self, text: String) {
        let known = self.retried.take_if(|(before, when)| *before == text && when.elapsed() < LINE_EVERY);
        if known.is_none() {
            self.note(&format!("{text}; trying again"));
        }
        self.retried = Some(known.unwrap_or((text, Instant::now())));
    }

    fn phase(&mut self, name: &str) {
        match &self.how {
            How::Bar(bar) => bar.set_message(format!("{} ({name})", printable(&self.subject))),
            How::Lines => {}
            How::Json => self.out(name, json!({})),
        }
    }

    fn note(&self, text: &str) {
        match &self.how {
            How::Bar(bar) => bar.suspend(|| stderr::say_now(text)),
            How::Lines | How::Json => stderr::say(text),
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

    /// Writes an object in the middle of a transfer. An error is ignored here, because the result will meet it too.
    fn out(&self, event: &str, members: Value) {
        let _ = stdout::tell(&self.json(event, members).to_string());
    }
}

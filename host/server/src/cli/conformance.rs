//! `portico conformance`: the conformance programs, on this host, over the configured store.
//!
//! Invariant: each case has a store of its own beneath a place that is made for the run and removed after it; nothing
//! else below the configured location is looked at.

use super::error::Error;
use super::log;
use super::stdout::{self, Results};
use super::stop::Stop;
use crate::config::{Config, StoreConfig};
use clap::{Arg, ArgMatches, Command, value_parser};
use portico_conformance::{BoxError, Case, PorticoHost, Runner, TestBackend, backends};
use portico_s3::{Location, S3Options};
use std::collections::HashMap;
use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// How long a case may take. The longest is some thousand requests, one after the other.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// How long the removal of the store may take that was made to see whether there can be one.
const TRIAL_REMOVAL: Duration = Duration::from_secs(5);

/// Most cases at once. Each may hold a thread of [`super::threads::BLOCKING_THREADS`] and wait for another one.
const JOBS_MAX: i64 = 32;

/// What is to be run.
pub(super) struct Plan {
    /// What the names of the cases must contain.
    filter: String,
    /// How many at once.
    jobs: usize,
    /// What their names begin with, if not with the kind of the store.
    name: Option<String>,
    /// Only name them.
    list: bool,
}

impl Plan {
    /// Adds to a command what a plan is made of.
    pub(super) fn arguments(command: Command) -> Command {
        let filter = Arg::new("filter").value_name("FILTER");
        let jobs = Arg::new("jobs").long("jobs").value_name("N").default_value("8");
        let name = Arg::new("name").long("name").value_name("NAME");
        command
            .arg(filter.help("Run only the cases with this in their names"))
            .arg(jobs.value_parser(value_parser!(u8).range(1..=JOBS_MAX)).help("Cases at once"))
            .arg(name.help("What the names of the cases begin with [default: local or s3]"))
            .arg(super::args::switch("list").help("Show the names of the cases and run none"))
    }

    /// The plan that somebody gave.
    pub(super) fn of(matches: &ArgMatches) -> Plan {
        Plan {
            filter: matches.get_one::<String>("filter").cloned().unwrap_or_default(),
            jobs: matches.get_one::<u8>("jobs").copied().map_or(1, usize::from),
            name: matches.get_one::<String>("name").cloned(),
            list: matches.get_flag("list"),
        }
    }
}

/// Runs the cases and says how each ended.
pub(super) fn conformance(config: &Config, plan: &Plan) -> Result<ExitCode, Error> {
    // What the programs make of the store is no news but where it is wrong.
    log::start_quiet(config);
    super::threads::start()?.block_on(async {
        let name = plan.name.as_deref().unwrap_or(match config.store {
            StoreConfig::Local { .. } => "local",
            StoreConfig::S3(_) => "s3",
        });
        // A store that cannot be used is told before the programs are compiled, which takes its time.
        let backend = if plan.list { None } else { Some(backend(config, name).await?) };
        let runner = Arc::new(Runner::new(PorticoHost).await.map_err(Error::Conformance)?);
        let cases = runner.cases().iter().filter(|case| !case.is_self_check());
        let named = cases.map(|case| (format!("{name}::{}::{}", case.program, case.name), case.clone()));
        let chosen: Vec<(String, Case)> = named.filter(|(name, _)| name.contains(&plan.filter)).collect();
        if chosen.is_empty() {
            return Err(Error::NoCase(plan.filter.clone()));
        }
        let Some(backend) = backend else {
            let mut out = stdout::results();
            let listed = chosen.iter().try_for_each(|(name, _)| writeln!(out, "{name}"));
            return listed.map(|()| ExitCode::SUCCESS).map_err(Error::Output);
        };
        let mut tally = Tally { out: stdout::results(), passed: 0, skipped: 0, failed: Vec::new() };
        // What runs is in this thread: a case waits and compares, and its programs are in the others.
        LocalSet::new().run_until(run(&runner, &backend, chosen, plan.jobs, &mut tally)).await?;
        tally.close().map_err(Error::Output)?;
        Ok(if tally.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// A backend that makes its stores beneath the configured place. One was opened there and removed again, so that a
/// server that cannot be used is told once and not by each case.
async fn backend(config: &Config, name: &str) -> Result<Arc<dyn TestBackend>, Error> {
    let backend: Arc<dyn TestBackend> = match &config.store {
        StoreConfig::Local { path, options } => {
            Arc::new(backends::LocalBelow::new(path, options.durability).map_err(Error::Conformance)?)
        }
        StoreConfig::S3(options) => Arc::new(backends::S3::new(name, below(options)?)),
    };
    let store = backend.fresh(&[]).await.map_err(Error::Conformance)?;
    let opened = store.open().await.map(drop);
    let removed = tokio::time::timeout(TRIAL_REMOVAL, store.remove()).await;
    opened.map_err(|error| match error.downcast::<portico_s3::OpenError>() {
        Ok(error) => Error::OpenS3(*error),
        Err(error) => Error::Conformance(error),
    })?;
    removed.map_err(BoxError::from).and_then(|removed| removed).map_err(Error::Conformance)?;
    Ok(backend)
}

/// The options of a store, with locations that nothing is in yet.
fn below(options: &S3Options) -> Result<S3Options, Error> {
    let random = getrandom::u64().map_err(|error| Error::Conformance(error.into()))?;
    let below = |location: &Location| {
        let location = format!("{}/{}conformance-{random:016x}", location.bucket, location.prefix);
        Location::parse(&location).map_err(|error| Error::Conformance(error.into()))
    };
    Ok(S3Options {
        location: below(&options.location)?,
        temp: options.temp.as_ref().map(below).transpose()?,
        ..options.clone()
    })
}

async fn run(
    runner: &Arc<Runner<PorticoHost>>,
    backend: &Arc<dyn TestBackend>,
    cases: Vec<(String, Case)>,
    jobs: usize,
    tally: &mut Tally<impl Write>,
) -> Result<(), Error> {
    let mut stop = Stop::new().map_err(Error::Start)?;
    let mut cases = cases.into_iter();
    let mut names = HashMap::new();
    let mut running = JoinSet::new();
    let mut stopped = None;
    loop {
        while running.len() < jobs
            && stopped.is_none()
            && !tally.out.is_closed()
            && let Some((name, case)) = cases.next()
        {
            if let Some(lacks) = case.needs.iter().find(|needs| !backend.capabilities().contains(&needs.as_str())) {
                tally.skipped(&name, lacks).map_err(Error::Output)?;
                continue;
            }
            let (runner, backend) = (runner.clone(), backend.clone());
            let task = running.spawn_local(async move { runner.run(&case, &*backend, LIMIT).await });
            names.insert(task.id(), name);
        }
        let ended = tokio::select! {
            ended = running.join_next_with_id() => ended,
            signal = stop.next() => {
                // What runs ends in order, so that its stores are removed.
                let Some(first) = stopped.replace(signal) else { continue };
                return Err(Error::Stopped(first));
            }
        };
        let (id, result) = match ended {
            // Also if the reader of the results has closed the pipe, with cases left.
            None => return stopped.map_or(Ok(()), |signal| Err(Error::Stopped(signal))),
            Some(Ok((id, result))) => (id, result.map_err(|failure| failure.to_string())),
            Some(Err(panicked)) => (panicked.id(), Err(panicked.to_string())),
        };
        tally.ended(names.remove(&id).unwrap_or_default(), result).map_err(Error::Output)?;
    }
}

/// Says how each case ended, and counts.
struct Tally<W> {
    out: Results<W>,
    passed: u32,
    skipped: u32,
    /// Names and stories.
    failed: Vec<(String, String)>,
}

impl<W: Write> Tally<W> {
    fn skipped(&mut self, name: &str, lacks: &str) -> io::Result<()> {
        self.skipped += 1;
        writeln!(self.out, "{name} ... skipped ({lacks})")
    }

    fn ended(&mut self, name: String, result: Result<(), String>) -> io::Result<()> {
        let word = if result.is_ok() { "ok" } else { "FAILED" };
        writeln!(self.out, "{name} ... {word}")?;
        match result {
            Ok(()) => self.passed += 1,
            Err(story) => self.failed.push((name, story)),
        }
        Ok(())
    }

    /// Tells the stories of those that failed, and the count.
    fn close(&mut self) -> io::Result<()> {
        for (name, story) in &self.failed {
            writeln!(self.out, "\n{name}: {}", story.trim_end())?;
        }
        if !self.failed.is_empty() {
            writeln!(self.out)?;
        }
        writeln!(self.out, "{} passed, {} failed, {} skipped", self.passed, self.failed.len(), self.skipped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_told_case_by_case_and_what_failed_after_them() {
        let mut tally = Tally { out: Results::to(Vec::new()), passed: 0, skipped: 0, failed: Vec::new() };
        tally.ended("s3::a::x".to_owned(), Ok(())).unwrap();
        tally.ended("s3::a::y".to_owned(), Err("instance 0 trapped\nout of luck\n".to_owned())).unwrap();
        tally.skipped("s3::a::z", "several-hosts").unwrap();
        tally.ended("s3::b::x".to_owned(), Ok(())).unwrap();
        tally.close().unwrap();
        let told = "s3::a::x ... ok\ns3::a::y ... FAILED\ns3::a::z ... skipped (several-hosts)\ns3::b::x ... ok\n\n\
            s3::a::y: instance 0 trapped\nout of luck\n\n2 passed, 1 failed, 1 skipped\n";
        assert_eq!(String::from_utf8(tally.out.into_inner()).unwrap(), told);
    }
}

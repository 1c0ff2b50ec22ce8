//! `portico conformance`: runs the conformance programs on this host, over the configured store.
//!
//! Invariant: each case has a store of its own, below a location that is created for the run and removed after it. Nothing
//! else below the configured location is read or written.

use super::args::{configuration, configured, switch};
use super::error::Error;
use super::log;
use super::stdout::{self, Results};
use super::stop::Stop;
use crate::config::{Config, StoreConfig};
use clap::{Arg, ArgMatches, Command, ValueHint, value_parser};
use portico_conformance::{BoxError, Case, PorticoHost, Runner, TestBackend, backends};
use portico_s3::{Location, S3Options};
use std::collections::HashMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::{JoinSet, LocalSet};

/// Time limit for a case. The longest case makes some thousand requests in sequence.
const LIMIT: Duration = Duration::from_secs(10 * 60);

/// Longest wait for the removal of the trial store.
const TRIAL_REMOVAL: Duration = Duration::from_secs(5);

/// Most cases at once. Each may block one of the [`super::threads::BLOCKING_THREADS`] and wait for another.
const JOBS_MAX: i64 = 32;

pub(super) fn command() -> Command {
    let filter = Arg::new("filter").value_name("FILTER").default_value("").hide_default_value(true);
    let jobs = Arg::new("jobs").long("jobs").value_name("N").default_value("8");
    let name = Arg::new("name").long("name").value_name("NAME");
    let export = Arg::new("export").long("export").value_name("DIR").value_parser(value_parser!(PathBuf));
    configured("conformance", "Run the conformance programs, each case in a new store below the configured one")
        .arg(filter.help("Run only the cases whose names contain this text"))
        .arg(jobs.value_parser(value_parser!(u8).range(1..=JOBS_MAX)).help("Cases at once"))
        .arg(name.help("First part of the names of the cases [default: local or s3]"))
        .arg(switch("list").help("List the names of the cases, and run none"))
        .arg(export.value_hint(ValueHint::DirPath).help(
            "Write the programs, their WIT and the cases to a folder, for the runner of another host, and run none",
        ))
}

/// Runs the cases, and prints how each ended.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    if let Some(dir) = matches.get_one::<PathBuf>("export") {
        return export(dir);
    }
    let config = &configuration(matches)?;
    let filter = matches.get_one::<String>("filter").expect("the flag has a default");
    let jobs = *matches.get_one::<u8>("jobs").expect("the flag has a default");
    let is_list = matches.get_flag("list");
    // The programs provoke errors on purpose, so only warnings are logged.
    log::start_quiet(config);
    super::threads::start()?.block_on(async {
        let name = matches.get_one::<String>("name").map(String::as_str);
        let name = name.unwrap_or(match config.store {
            StoreConfig::Local { .. } => "local",
            StoreConfig::S3(_) => "s3",
        });
        // An unusable store is reported before the programs are compiled, which takes a while.
        let backend = if is_list { None } else { Some(backend(config, name).await?) };
        let runner = Arc::new(Runner::new(PorticoHost).await.map_err(Error::Conformance)?);
        let cases = runner.cases().iter().filter(|case| !case.is_self_check());
        let named = cases.map(|case| (case.test_name(name), case.clone()));
        let chosen: Vec<(String, Case)> = named.filter(|(name, _)| name.contains(filter)).collect();
        if chosen.is_empty() {
            return Err(Error::NoCase(filter.clone()));
        }
        let Some(backend) = backend else {
            let mut out = stdout::results();
            let listed = chosen.iter().try_for_each(|(name, _)| writeln!(out, "{name}"));
            return listed.map(|()| ExitCode::SUCCESS).map_err(Error::Output);
        };
        let mut tally = Tally { out: stdout::results(), passed: 0, skipped: 0, failed: Vec::new() };
        // Cases run in this thread, because they only wait and compare. Their programs run in the others.
        LocalSet::new().run_until(run_cases(&runner, &backend, chosen, jobs.into(), &mut tally)).await?;
        tally.close().map_err(Error::Output)?;
        Ok(if tally.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    })
}

/// Writes the suite to a folder. Needs no store.
fn export(dir: &Path) -> Result<ExitCode, Error> {
    super::threads::start()?.block_on(async {
        let runner = Runner::new(PorticoHost).await.map_err(Error::Conformance)?;
        runner.export(dir).map_err(|cause| Error::Export { dir: dir.to_owned(), cause })?;
        Ok(ExitCode::SUCCESS)
    })
}

/// Returns a backend that creates stores below the configured location. Opens and removes a trial store first, so that an
/// unusable server is reported once and not by each case.
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

/// Returns the options with locations that do not exist yet.
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

async fn run_cases(
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
            if let Some(lacks) = case.lacks(&**backend) {
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
                // Running cases end in order, so that their stores are removed.
                let Some(first) = stopped.replace(signal) else { continue };
                return Err(Error::Stopped(first));
            }
        };
        let (id, result) = match ended {
            // Also if the reader of the results has closed the pipe while cases were left.
            None => return stopped.map_or(Ok(()), |signal| Err(Error::Stopped(signal))),
            Some(Ok((id, result))) => (id, result.map_err(|failure| failure.to_string())),
            Some(Err(panicked)) => (panicked.id(), Err(panicked.to_string())),
        };
        tally.ended(names.remove(&id).unwrap_or_default(), result).map_err(Error::Output)?;
    }
}

/// Reports how each case ended, and counts the results.
struct Tally<W> {
    out: Results<W>,
    passed: u32,
    skipped: u32,
    /// Names and failure reports.
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

    /// Prints the reports of the failed cases, and the counts.
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

//! `portico conformance`: the conformance programs over a store that an operator names.

use crate::fixture::server::Said;
use crate::fixture::{portico, run};
use crate::folder::Folder;
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::Stdio;

fn conformance(folder: &Path, arguments: &[&str]) -> Said {
    let store = format!("--store=file:{}", folder.display());
    run(portico(["conformance", &*store].iter().chain(arguments)))
}

#[test]
fn it_runs_the_cases_that_were_asked_for_and_leaves_nothing() {
    let folder = Folder::new();
    let said = conformance(&folder.root(), &["::put_final::", "--jobs=4"]);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    let (closing, cases) = lines.split_last().expect("a closing line");
    assert!(cases.len() > 3, "{said:?}");
    for case in cases {
        assert!(case.starts_with("local::put_final::") && case.ends_with(" ... ok"), "{case}");
    }
    assert_eq!(*closing, format!("{} passed, 0 failed, 0 skipped", cases.len()));
    assert_eq!(fs::read_dir(folder.root()).expect("the folder").count(), 0);
}

#[test]
fn it_names_its_cases_under_the_name_that_was_asked_for() {
    let folder = Folder::new();
    let said = conformance(&folder.root(), &["--list", "--name=minio"]);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    assert!(said.out.lines().all(|case| case.starts_with("minio::")), "{}", said.out);
    assert!(said.out.lines().count() >= 100, "{}", said.out);
    assert!(!said.out.contains("self_check"), "those fail on purpose: {}", said.out);
    assert!(!folder.root().exists(), "nothing is run");

    let said = conformance(&folder.root(), &["no-such-case"]);
    assert_eq!((said.code, &*said.out), (Some(2), ""), "{said:?}");
    assert!(said.err.contains("no case has `no-such-case` in its name"), "{}", said.err);
}

#[test]
fn it_does_not_work_in_a_store() {
    let folder = Folder::new();
    let made = run(portico(["check", &format!("--store=file:{}", folder.root().display())]));
    assert_eq!(made.code, Some(0), "{made:?}");
    let said = conformance(&folder.root(), &["::put_final::"]);
    assert_eq!((said.code, &*said.out), (Some(1), ""), "{said:?}");
    assert!(said.err.contains("is a store"), "{}", said.err);
    folder.expect_files(&[]);
}

#[test]
fn a_signal_ends_it_when_what_runs_has_ended() {
    let folder = Folder::new();
    let store = format!("--store=file:{}", folder.root().display());
    let mut command = portico(["conformance", &*store, "--jobs=1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    out.read_line(&mut first).expect("a line of text");
    assert!(first.ends_with(" ... ok\n"), "{first}");
    kill_process(Pid::from_child(&child), Signal::TERM).expect("it runs");
    let mut rest = String::new();
    out.read_to_string(&mut rest).expect("lines of text");
    let said = child.wait_with_output().expect("its end");
    assert_eq!(said.status.signal(), Some(Signal::TERM.as_raw()), "{said:?}");
    assert!(String::from_utf8_lossy(&said.stderr).contains("stopped by a signal"), "{said:?}");
    assert!(!rest.contains("passed"), "a run that was stopped has no count: {rest}");
    assert_eq!(fs::read_dir(folder.root()).expect("the folder").count(), 0);
}

#[test]
fn it_ends_without_a_word_when_nobody_reads_on() {
    let folder = Folder::new();
    let store = format!("--store=file:{}", folder.root().display());
    let mut command = portico(["conformance", &*store, "--jobs=1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    let mut out = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut first = String::new();
    out.read_line(&mut first).expect("a line of text");
    drop(out);
    let said = child.wait_with_output().expect("its end");
    assert_eq!((said.status.code(), &*said.stderr), (Some(0), &b""[..]), "{said:?}");
    assert_eq!(fs::read_dir(folder.root()).expect("the folder").count(), 0);
}

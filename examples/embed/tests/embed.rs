//! Runs the example as its user would, with guests that know nothing of it.

use portico_store::Sha256;
use portico_test_artifacts::{EXAMPLES, HOSTILE};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// A folder with a guest in it, and room for a store.
struct Place {
    folder: TempDir,
    program: PathBuf,
}

impl Place {
    fn of(component: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("guest.wasm");
        fs::write(&program, component).unwrap();
        Place { folder, program }
    }

    fn of_store_stdin() -> Self {
        Place::of(EXAMPLES.iter().find(|(name, _)| *name == "store-stdin").expect("an example").1)
    }

    fn store(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_portico-example-embed"));
        command.arg(&self.program).arg(self.store()).args(arguments);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        // One that does not read its input closes it.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_foreign_guest_stores_its_input() {
    let place = Place::of_store_stdin();
    let content: Vec<u8> = (0..1_000_000u32).flat_map(|n| (n * 31).to_le_bytes()).collect();
    let mut sha256 = Sha256::new();
    sha256.update(&content);
    let sha256 = sha256.finish().to_hex();

    let output = place.run(&["report"], &content);
    assert_eq!(stdout(&output), format!("final/main.example/report {sha256}\n"));
    assert!(fs::read(place.store().join("final/main.example/report")).unwrap() == content);
    assert_eq!(files(&place.store().join("staging")), [""; 0]);

    // The next process finds it there.
    let output = place.run(&["report"], &content);
    assert_eq!(stdout(&output), format!("final/main.example/report {sha256}\n"));
    let output = place.run(&["report"], b"other content");
    assert_eq!(output.status.code(), Some(1));
    assert!(fs::read(place.store().join("final/main.example/report")).unwrap() == content);
    let output = place.run(&["second"], b"other content");
    assert!(stdout(&output).starts_with("final/main.example/second "));
    assert_eq!(files(&place.store().join("final/main.example")).len(), 2);
}

#[test]
fn a_guest_that_fails_stores_nothing() {
    let place = Place::of_store_stdin();
    for arguments in [&[][..], &["no/name"], &[".."]] {
        let output = place.run(arguments, b"content");
        assert_eq!(output.status.code(), Some(1), "{arguments:?}");
        // Opening has tried the folder of the root scope.
        let scopes = files(&place.store().join("final"));
        assert!(scopes.iter().all(|scope| files(&place.store().join("final").join(scope)).is_empty()), "{scopes:?}");
        assert_eq!(files(&place.store().join("staging")), [""; 0]);
    }
}

#[test]
fn a_guest_that_wants_what_nobody_offers_does_not_start() {
    let place = Place::of(HOSTILE);
    let output = place.run(&["case"], b"");
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(text.contains("a matching implementation was not found in the linker"), "{text}");
}

#[test]
fn without_arguments_it_says_what_it_needs() {
    let output = Command::new(env!("CARGO_BIN_EXE_portico-example-embed")).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("usage: portico-example-embed PROGRAM FOLDER"));
}

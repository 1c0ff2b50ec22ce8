//! The suite as files, for hosts in other languages and runtimes.
//!
//! Invariant: the files say all that a runner needs; docs/conformance.md explains them.

use crate::programs::{Case, PROGRAMS, SELF_CHECK};
use portico_host::wit::{CONTRACT, DEPENDENCIES};
use serde::Serialize;
use std::io;
use std::path::Path;

/// The WIT of the fixture.
const FIXTURE: &str = include_str!("../../../guest/conformance/wit/fixture.wit");

/// The document `cases.json`.
#[derive(Serialize)]
struct Suite<'a> {
    /// The contract that the cases test.
    contract: &'static str,
    /// The package of the fixture.
    fixture: &'static str,
    cases: Vec<Entry<'a>>,
}

/// A case in `cases.json`.
#[derive(Serialize)]
struct Entry<'a> {
    program: &'a str,
    case: &'a str,
    component: String,
    instances: u32,
    hosts: u32,
    needs: &'a [String],
    /// Whether the case needs one instance on one host, and no capability.
    core: bool,
    /// For cases that test the runner: how the case must fail. Absent for all others.
    #[serde(skip_serializing_if = "Option::is_none")]
    fails: Option<&'a str>,
}

/// Writes components, WIT and `cases.json` to a folder.
pub(crate) fn write(cases: &[Case], dir: &Path) -> io::Result<()> {
    let wit = dir.join("wit");
    create(&wit.join("fixture.wit"), FIXTURE.as_bytes())?;
    create(&wit.join("deps/storage/storage.wit"), CONTRACT.as_bytes())?;
    for (name, text) in DEPENDENCIES {
        create(&wit.join("deps").join(name), text.as_bytes())?;
    }
    for (program, component) in PROGRAMS {
        create(&dir.join(component_path(program)), component)?;
    }
    let suite = Suite {
        contract: "portico:storage@0.2.0",
        fixture: "portico:conformance@0.1.0",
        cases: cases.iter().map(entry).collect(),
    };
    let mut text = serde_json::to_vec_pretty(&suite)?;
    text.push(b'\n');
    create(&dir.join("cases.json"), &text)
}

fn entry(case: &Case) -> Entry<'_> {
    // The name of a case that fails on purpose begins with the kind of its failure.
    let kinds = ["store", "instance", "timed_out", "audit"];
    let fails = kinds.into_iter().find(|kind| case.program.starts_with(SELF_CHECK) && case.name.starts_with(kind));
    Entry {
        program: case.program,
        case: &case.name,
        component: component_path(case.program),
        instances: case.instances,
        hosts: case.hosts,
        needs: &case.needs,
        core: case.instances == 1 && case.hosts == 1 && case.needs.is_empty(),
        fails,
    }
}

fn component_path(program: &str) -> String {
    format!("components/{program}.wasm")
}

fn create(path: &Path, content: &[u8]) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(path, content)
}

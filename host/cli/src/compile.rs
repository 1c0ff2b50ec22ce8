//! `portico compile`, and the hidden command that compiles for another process of this program.

use super::error::Error;
use super::portal::open;
use crate::adapters::Adapter;
use crate::config;
use clap::{Arg, ArgAction, ArgMatches, Command, ValueHint, value_parser};
use portico_server::runtime::{CHILD_COMMAND, Limits, PortalFile, compile, compile_for_parent, describe};
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let file = Arg::new("file").value_name("FILE").required(true).value_parser(value_parser!(PathBuf));
    let output = Arg::new("output").short('o').long("output").value_name("FILE").required(true);
    let addresses = Arg::new("addresses").long("addresses").value_name("WAY").default_value("ample");
    let memory = Arg::new("guest-memory").long("guest-memory").value_name("SIZE").value_parser(config::size);
    let adapt = Arg::new("adapt").long("adapt").value_name("ADAPTER").action(ArgAction::Append);
    Command::new("compile")
        .about("Compile a component for `--portal`, for machines without a cache")
        .arg(file.value_hint(ValueHint::FilePath).help("The component"))
        .arg(
            output
                .value_parser(value_parser!(PathBuf))
                .value_hint(ValueHint::FilePath)
                .help("The compiled component, which runs on this kind of processor with this version of portico"),
        )
        .arg(addresses.value_parser(["ample", "tight", "as-needed"]).help(
            "Address space of guests: ample (fastest), tight (guest-memory for each guest), or as-needed (any ulimit -v)",
        ))
        .arg(adapt.value_parser(Adapter::parse).help(
            "An adapter to compose the component with, as for `serve`; may be given several times",
        ))
        .arg(memory.help("The guest_memory that tight code is for [default: 64MiB]"))
}

/// Compiles a component, and writes the result as a whole.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let path = matches.get_one::<PathBuf>("file").expect("the argument is required");
    let output = matches.get_one::<PathBuf>("output").expect("the flag is required");
    let addresses = matches.get_one::<String>("addresses").expect("the flag has a default");
    let memory = matches.get_one::<u64>("guest-memory").map(|bytes| usize::try_from(*bytes).unwrap_or(usize::MAX));
    let memory = memory.unwrap_or(Limits::default().memory);
    let named = |cause| Error::Portal { path: Some(path.clone()), cause };
    let adapters: Vec<Adapter> = matches.get_many("adapt").unwrap_or_default().cloned().collect();
    let component = match open(Some(path), &adapters)? {
        PortalFile::Component(component) => component,
        PortalFile::Compiled(_) => {
            return Err(Error::Usage(format!("{} is compiled already: give the component itself", path.display())));
        }
    };
    let mut image = Vec::new();
    compile(addresses, memory, "", &component, &mut image).map_err(named)?;
    write_whole(output, &image).map_err(|cause| Error::Write { path: output.clone(), cause })?;
    Ok(ExitCode::SUCCESS)
}

/// Writes a file that gets its name when it is complete.
fn write_whole(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.file_name().ok_or(ErrorKind::InvalidInput)?.to_owned();
    name.push(format!(".{}.tmp", std::process::id()));
    let temporary = path.with_file_name(name);
    // Others may read it, and must not write it.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&temporary);
    let written = file.and_then(|mut file| {
        file.write_all(content)?;
        file.sync_all()?;
        fs::rename(&temporary, path)
    });
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

/// The hidden command. Its arguments are those that the compiler of the parent process gives.
pub(super) fn child_command() -> Command {
    let given = |name: &'static str| Arg::new(name).required(true);
    Command::new(CHILD_COMMAND)
        .hide(true)
        .arg(given("addresses"))
        .arg(given("memory").value_parser(value_parser!(usize)))
        .arg(given("key"))
}

/// Compiles from standard input to standard output. Prints why it fails for the parent process alone.
pub(super) fn run_child(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let text = |name: &str| matches.get_one::<String>(name).expect("the argument is required").as_str();
    let memory = *matches.get_one::<usize>("memory").expect("the argument is required");
    let stdout = io::stdout().lock();
    match compile_for_parent(text("addresses"), memory, text("key"), io::stdin().lock(), stdout) {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(error) => {
            let _ = writeln!(io::stderr(), "{}", describe(&error));
            Ok(ExitCode::FAILURE)
        }
    }
}

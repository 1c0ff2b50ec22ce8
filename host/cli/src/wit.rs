//! `portico wit`: the contract for authors of portals, in WIT.
//!
//! Invariant: the one file and the folder have the same packages, each of them word for word.

use super::error::Error;
use super::stdout::results;
use clap::{Arg, ArgMatches, Command, value_parser};
use portico_host::wit::{CONTRACT, DEPENDENCIES};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let dir = Arg::new("dir").value_name("DIR").value_parser(value_parser!(PathBuf));
    Command::new("wit")
        .about("Print the contract for portals as one WIT file, or write it to a folder")
        .arg(dir.help("A new or empty folder, which gets a file for each package in place of the one file"))
}

/// Prints the one file, or writes the folder that is given.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    match matches.get_one::<PathBuf>("dir") {
        Some(dir) => write_folder(dir).map_err(|cause| Error::WriteWit { dir: dir.clone(), cause })?,
        None => {
            let mut out = results();
            out.write_all(one_file().as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns all packages in one: the contract, then each dependency as a nested package.
fn one_file() -> String {
    DEPENDENCIES.iter().fold(CONTRACT.to_owned(), |all, (_, dependency)| {
        let (head, body) = dependency.split_once(';').expect("a file begins with the name of its package");
        format!("{all}\n{head} {{{body}}}\n")
    })
}

/// Writes the folder as tools expect it: the contract, and its dependencies below `deps`.
fn write_folder(dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    if fs::read_dir(dir)?.next().is_some() {
        return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty"));
    }
    fs::create_dir(dir.join("deps"))?;
    fs::write(dir.join("storage.wit"), CONTRACT)?;
    DEPENDENCIES.iter().try_for_each(|(name, text)| fs::write(dir.join("deps").join(name), text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_one_file_has_each_package_whole() {
        let all = one_file();
        assert!(all.starts_with(CONTRACT));
        for (name, text) in DEPENDENCIES {
            let (head, body) = text.split_once(';').unwrap();
            assert!(head.starts_with("package wasi:"), "{name} begins with its package");
            assert!(all.contains(&format!("\n{head} {{{body}}}\n")), "{name}");
        }
        let (_, handler) = all.split_once("\nworld handler {\n").expect("the world of other portals");
        let (handler, _) = handler.split_once("\n}").unwrap();
        assert_eq!(handler, "  include wasi:http/proxy@0.2.12;\n  import storage;");
    }

    #[test]
    fn a_new_folder_gets_the_files_as_they_are() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("new/wit");
        write_folder(&folder).expect("a new folder");
        assert_eq!(fs::read_to_string(folder.join("storage.wit")).unwrap(), CONTRACT);
        for (name, text) in DEPENDENCIES {
            assert_eq!(fs::read_to_string(folder.join("deps").join(name)).unwrap(), text);
        }
        write_folder(&folder).expect_err("it has files now");
    }

    #[test]
    fn nothing_has_a_gate() {
        assert!(!one_file().contains("@unstable"), "older generators refuse gated items");
    }

    #[test]
    fn a_folder_with_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("storage.wit"), "mine").unwrap();
        let refused = write_folder(dir.path()).expect_err("a file is there");
        assert_eq!(refused.kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read(dir.path().join("storage.wit")).unwrap(), b"mine");
    }
}

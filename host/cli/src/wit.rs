//! `portico wit`: the contract for authors of portals, in WIT.
//!
//! Invariant: the one file and the folder have the same packages, each of them word for word.

use super::error::Error;
use super::stdout::results;
use clap::{Arg, ArgMatches, Command, value_parser};
use portico_host::wit::{CONTRACT, CONTRACT_0_3, DEPENDENCIES, DEPENDENCIES_0_3};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub(super) fn command() -> Command {
    let dir = Arg::new("dir").value_name("DIR").value_parser(value_parser!(PathBuf));
    let wasi = Arg::new("wasi").long("wasi").value_name("VERSION").value_parser(["0.2", "0.3"]).default_value("0.2");
    Command::new("wit")
        .about("Print the contract for portals as one WIT file, or write it to a folder")
        .arg(wasi.help("The version of WASI; portals of 0.3 need a build with the feature p3"))
        .arg(dir.help("A new or empty folder, which gets a file for each package in place of the one file"))
}

/// Prints the one file, or writes the folder that is given.
pub(super) fn run(matches: &ArgMatches) -> Result<ExitCode, Error> {
    let is_newer = matches.get_one::<String>("wasi").is_some_and(|version| version == "0.3");
    let texts = if is_newer { WASI_0_3 } else { WASI_0_2 };
    match matches.get_one::<PathBuf>("dir") {
        Some(dir) => texts.write_folder(dir).map_err(|cause| Error::WriteWit { dir: dir.clone(), cause })?,
        None => {
            let mut out = results();
            out.write_all(texts.one_file().as_bytes()).and_then(|()| out.flush()).map_err(Error::Output)?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The contract over a version of WASI, and the packages that it builds on.
#[derive(Clone, Copy)]
struct Texts {
    contract: &'static str,
    dependencies: &'static [(&'static str, &'static str)],
}

const WASI_0_2: Texts = Texts { contract: CONTRACT, dependencies: &DEPENDENCIES };
const WASI_0_3: Texts = Texts { contract: CONTRACT_0_3, dependencies: &DEPENDENCIES_0_3 };

impl Texts {
    /// Returns all packages in one: the contract, then each dependency as a nested package.
    fn one_file(self) -> String {
        self.dependencies.iter().fold(self.contract.to_owned(), |all, (_, dependency)| {
            let (head, body) = dependency.split_once(';').expect("a file begins with the name of its package");
            format!("{all}\n{head} {{{body}}}\n")
        })
    }

    /// Writes the folder as tools expect it: the contract, and its dependencies below `deps`.
    fn write_folder(self, dir: &Path) -> io::Result<()> {
        fs::create_dir_all(dir)?;
        if fs::read_dir(dir)?.next().is_some() {
            return Err(io::Error::new(io::ErrorKind::DirectoryNotEmpty, "the folder is not empty"));
        }
        fs::create_dir(dir.join("deps"))?;
        fs::write(dir.join("storage.wit"), self.contract)?;
        self.dependencies.iter().try_for_each(|(name, text)| fs::write(dir.join("deps").join(name), text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(Texts, &str); 2] = [(WASI_0_2, "wasi:http/proxy@0.2.12"), (WASI_0_3, "wasi:http/service@0.3.0")];

    #[test]
    fn the_one_file_has_each_package_whole() {
        for (texts, http) in ALL {
            let all = texts.one_file();
            assert!(all.starts_with(texts.contract));
            for (name, text) in texts.dependencies {
                let (head, body) = text.split_once(';').unwrap();
                assert!(head.starts_with("package wasi:"), "{name} begins with its package");
                assert!(all.contains(&format!("\n{head} {{{body}}}\n")), "{name}");
            }
            let (_, handler) = all.split_once("\nworld handler {\n").expect("the world of other portals");
            let (handler, _) = handler.split_once("\n}").unwrap();
            assert_eq!(handler, format!("  include {http};\n  import storage;"));
        }
    }

    #[test]
    fn a_new_folder_gets_the_files_as_they_are() {
        for (texts, _) in ALL {
            let dir = tempfile::tempdir().unwrap();
            let folder = dir.path().join("new/wit");
            texts.write_folder(&folder).expect("a new folder");
            assert_eq!(fs::read_to_string(folder.join("storage.wit")).unwrap(), texts.contract);
            for (name, text) in texts.dependencies {
                assert_eq!(fs::read_to_string(folder.join("deps").join(name)).unwrap(), *text);
            }
            texts.write_folder(&folder).expect_err("it has files now");
        }
    }

    #[test]
    fn nothing_has_a_gate() {
        for (texts, _) in ALL {
            assert!(!texts.one_file().contains("@unstable"), "older generators refuse gated items");
        }
    }

    #[test]
    fn a_folder_with_files_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("storage.wit"), "mine").unwrap();
        let refused = WASI_0_2.write_folder(dir.path()).expect_err("a file is there");
        assert_eq!(refused.kind(), io::ErrorKind::DirectoryNotEmpty);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
        assert_eq!(fs::read(dir.path().join("storage.wit")).unwrap(), b"mine");
    }
}

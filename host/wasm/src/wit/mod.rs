//! The contract in WIT, word for word, for generators of bindings and for other hosts.

#[cfg(test)]
mod generations;

macro_rules! wit {
    ($file:literal) => {
        include_str!(concat!("../../wit/", $file))
    };
}

/// The package of the contract, `portico:storage@0.2.0`.
pub const CONTRACT: &str = wit!("storage.wit");

/// The packages that the contract builds on: the names of their files, and their texts.
pub const DEPENDENCIES: [(&str, &str); 8] = [
    ("cli.wit", wit!("deps/cli.wit")),
    ("clocks.wit", wit!("deps/clocks.wit")),
    ("config.wit", wit!("deps/config.wit")),
    ("filesystem.wit", wit!("deps/filesystem.wit")),
    ("http.wit", wit!("deps/http.wit")),
    ("io.wit", wit!("deps/io.wit")),
    ("random.wit", wit!("deps/random.wit")),
    ("sockets.wit", wit!("deps/sockets.wit")),
];

/// The package of generation 0.3 of the contract, `portico:storage@0.3.0`.
pub const CONTRACT_0_3: &str = wit!("0.3/storage.wit");

/// The packages of WASI 0.3 that [`CONTRACT_0_3`] builds on: the names of their files, and their texts.
pub const DEPENDENCIES_0_3: [(&str, &str); 6] = [
    ("cli.wit", wit!("0.3/deps/cli.wit")),
    ("clocks.wit", wit!("0.3/deps/clocks.wit")),
    ("filesystem.wit", wit!("0.3/deps/filesystem.wit")),
    ("http.wit", wit!("0.3/deps/http.wit")),
    ("random.wit", wit!("0.3/deps/random.wit")),
    ("sockets.wit", wit!("0.3/deps/sockets.wit")),
];

#[cfg(test)]
mod tests {
    use super::{CONTRACT, CONTRACT_0_3, DEPENDENCIES, DEPENDENCIES_0_3, generations};
    use std::fs;
    use std::path::Path;

    #[test]
    fn all_files_of_the_contract_are_there() {
        for (folder, files) in [("wit/deps", &DEPENDENCIES[..]), ("wit/0.3/deps", &DEPENDENCIES_0_3)] {
            let deps = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
            let mut names: Vec<_> = fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            assert_eq!(names, files.iter().map(|(name, _)| *name).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_generations_differ_in_nothing_but_what_is_documented() {
        let derived = generations::derive(CONTRACT);
        for (number, (derived, written)) in derived.lines().zip(CONTRACT_0_3.lines()).enumerate() {
            assert_eq!(derived, written, "line {} of wit/0.3/storage.wit", number + 1);
        }
        assert_eq!(derived, CONTRACT_0_3);
    }
}

//! The contract in WIT, word for word, for generators of bindings and for other hosts.

macro_rules! wit {
    ($file:literal) => {
        include_str!(concat!("../wit/", $file))
    };
}

/// The package of the contract, `portico:storage`.
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

#[cfg(test)]
mod tests {
    use super::DEPENDENCIES;
    use std::fs;
    use std::path::Path;

    #[test]
    fn all_files_of_the_contract_are_there() {
        let deps = Path::new(env!("CARGO_MANIFEST_DIR")).join("wit/deps");
        let mut names: Vec<_> = fs::read_dir(deps).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, DEPENDENCIES.map(|(name, _)| name));
    }
}

//! Adapters: components that implement other interfaces over those that this host provides.
//!
//! Invariant: no adapter is trusted more than a portal. Its code runs in the sandbox of the portal that it is composed with.

use std::path::{Path, PathBuf};

/// An adapter that the program contains. `portico_server::runtime::ADAPTERS` says what each provides.
#[derive(Debug)]
pub struct BuiltIn {
    /// The name, as settings give it.
    pub name: &'static str,
    component: &'static [u8],
}

/// All built-in adapters.
pub static BUILT_IN: [BuiltIn; 3] = [
    BuiltIn { name: "blobstore", component: include_bytes!(concat!(env!("OUT_DIR"), "/blobstore.wasm")) },
    BuiltIn { name: "keyvalue", component: include_bytes!(concat!(env!("OUT_DIR"), "/keyvalue.wasm")) },
    BuiltIn { name: "logging", component: include_bytes!(concat!(env!("OUT_DIR"), "/logging.wasm")) },
];

impl BuiltIn {
    /// Returns the component.
    pub fn component(&self) -> &'static [u8] {
        self.component
    }
}

/// An adapter that a configuration names.
#[derive(Clone, Debug)]
pub enum Adapter {
    /// A built-in one.
    BuiltIn(&'static BuiltIn),
    /// The file of a component.
    File(PathBuf),
}

impl Adapter {
    /// Parses a name, or a path: a text with a slash, or that ends in `.wasm`.
    ///
    /// # Errors
    /// A text for a person.
    pub fn parse(text: &str) -> Result<Adapter, String> {
        if text.contains('/') || text.ends_with(".wasm") {
            return Ok(Adapter::File(text.into()));
        }
        BUILT_IN.iter().find(|built_in| built_in.name == text).map(Adapter::BuiltIn).ok_or_else(|| {
            let names: Vec<&str> = BUILT_IN.iter().map(|built_in| built_in.name).collect();
            format!("there is no adapter `{text}`: expected {}, or a file (with a slash or .wasm)", names.join(", "))
        })
    }

    /// Parses a list with commas.
    ///
    /// # Errors
    /// A text for a person.
    pub fn parse_list(text: &str) -> Result<Vec<Adapter>, String> {
        text.split(',').map(str::trim).filter(|_| !text.trim().is_empty()).map(Adapter::parse).collect()
    }

    /// Returns the name or path, as it was given.
    pub fn name(&self) -> String {
        match self {
            Adapter::BuiltIn(built_in) => built_in.name.to_owned(),
            Adapter::File(path) => path.display().to_string(),
        }
    }

    /// Returns the path of an adapter that is a file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Adapter::BuiltIn(_) => None,
            Adapter::File(path) => Some(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_told_apart() {
        let names = |text: &str| {
            let list = Adapter::parse_list(text)?;
            Ok(list.iter().map(|adapter| (adapter.name(), adapter.file().is_some())).collect::<Vec<_>>())
        };
        let named = |name: &str, is_file| (name.to_owned(), is_file);
        assert_eq!(names(""), Ok(vec![]));
        assert_eq!(names("blobstore, keyvalue"), Ok(vec![named("blobstore", false), named("keyvalue", false)]));
        assert_eq!(names("./blobstore,a.wasm"), Ok(vec![named("./blobstore", true), named("a.wasm", true)]));
        for wrong in ["blob", "blobstore,", ",", "Blobstore", "wasm"] {
            let text: Result<_, String> = names(wrong);
            let text = text.unwrap_err();
            assert!(text.contains("expected blobstore, keyvalue, logging, or a file"), "{text}");
        }
    }

    #[test]
    fn the_errors_of_the_server_name_them() {
        let named: Vec<&str> = portico_server::runtime::ADAPTERS.iter().map(|known| known.name).collect();
        assert_eq!(BUILT_IN.each_ref().map(|built_in| built_in.name), *named);
    }
}

//! The adapters of the program `portico`, which errors about missing interfaces name.

/// An adapter that the program contains.
#[derive(Debug)]
pub struct KnownAdapter {
    /// The name, as `--adapt` takes it.
    pub name: &'static str,
    /// The package of the interfaces that it provides.
    pub package: &'static str,
}

/// All adapters of the program.
pub static ADAPTERS: [KnownAdapter; 3] = [
    KnownAdapter { name: "blobstore", package: "wasi:blobstore" },
    KnownAdapter { name: "keyvalue", package: "wasi:keyvalue" },
    KnownAdapter { name: "logging", package: "wasi:logging" },
];

impl KnownAdapter {
    /// Returns the adapter for an interface, such as `wasi:keyvalue/store@0.2.0-draft`.
    pub fn of(interface: &str) -> Option<&'static KnownAdapter> {
        let (package, _) = interface.split_once('/')?;
        ADAPTERS.iter().find(|known| known.package == package)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_lead_to_their_adapter() {
        let of = |interface| KnownAdapter::of(interface).map(|known| known.name);
        assert_eq!(of("wasi:blobstore/container@0.2.0-draft"), Some("blobstore"));
        assert_eq!(of("wasi:keyvalue/atomics@0.2.0-draft2"), Some("keyvalue"));
        assert_eq!((of("wasi:http/types@0.2.0"), of("wasi:keyvalue")), (None, None));
    }
}

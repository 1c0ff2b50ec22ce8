//! The records of the adapter's part of the store, and their values.
//!
//! | record | what |
//! | --- | --- |
//! | `c/CONTAINER` | a container: its random id, its time, its name |
//! | `o/ID/OBJECT` | an object of the container of that id: the id of its content, its size, its time, its name |
//! | `w/FILE` | a note: content is about to be linked (see `note`) |
//! | `x/FILE` | a note: an object is about to be deleted |
//! | `d/ID` | a note: a container is about to be deleted |
//!
//! CONTAINER and OBJECT are identifiers of names. A container that is deleted and created again has another id, so no object
//! of the old one is in the new one.

use crate::limits::NAME_MAX;
use portico_adapter_common::encode;

/// A container, as its record says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct Container {
    /// The identifier of the name.
    pub(crate) key: String,
    /// The random id.
    pub(crate) id: String,
    /// The time of its creation, in milliseconds since the Unix epoch.
    pub(crate) created: u64,
    /// The name.
    pub(crate) name: String,
}

/// An object, as its record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// The file id of the content.
    pub(crate) file: String,
    /// The size in bytes.
    pub(crate) size: u64,
    /// The time when the content became complete, in milliseconds since the Unix epoch.
    pub(crate) created: u64,
}

/// Prefix of the records of containers.
pub(crate) const CONTAINERS: &str = "c/";

/// Returns the identifier of the name of a container or object.
///
/// # Errors
/// A text for a name longer than [`NAME_MAX`].
pub(crate) fn identifier(name: &str) -> Result<String, String> {
    match name.len() {
        0..=NAME_MAX => Ok(encode(name)),
        length => Err(format!("the name has {length} bytes, and at most {NAME_MAX} are allowed")),
    }
}

/// Returns the prefix of the records of a container's objects.
pub(crate) fn objects_of(container: &str) -> String {
    format!("o/{container}/")
}

impl Container {
    /// Returns the value of the record.
    pub(crate) fn write(&self) -> Vec<u8> {
        format!("1 {} {}\n{}", self.id, self.created, self.name).into_bytes()
    }

    /// Reads the value of the record of that identifier.
    pub(crate) fn read(key: &str, value: &[u8]) -> Option<Container> {
        let (head, name) = std::str::from_utf8(value).ok()?.split_once('\n')?;
        let [version, id, created] = words(head)?;
        let (key, id, name) = (key.to_owned(), id.to_owned(), name.to_owned());
        (version == "1").then_some(Container { key, id, created: created.parse().ok()?, name })
    }
}

impl Object {
    /// Returns the value of the record of an object of that name.
    pub(crate) fn write(&self, name: &str) -> Vec<u8> {
        format!("1 {} {} {}\n{name}", self.file, self.size, self.created).into_bytes()
    }

    /// Reads the value of a record. Returns the name too.
    pub(crate) fn read(value: &[u8]) -> Option<(Object, String)> {
        let (head, name) = std::str::from_utf8(value).ok()?.split_once('\n')?;
        let [version, file, size, created] = words(head)?;
        let object = Object { file: file.to_owned(), size: size.parse().ok()?, created: created.parse().ok()? };
        (version == "1").then_some((object, name.to_owned()))
    }
}

/// Splits a line into a number of words.
pub(crate) fn words<const N: usize>(line: &str) -> Option<[&str; N]> {
    let words: Vec<&str> = line.split(' ').collect();
    words.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_return_what_they_were_made_of() {
        for name in ["", "a", "a b\nc", "日本語", &"x".repeat(NAME_MAX)] {
            let container =
                Container { key: identifier(name).unwrap(), id: "0f".into(), created: 7, name: name.to_owned() };
            assert_eq!(Container::read(&container.key, &container.write()), Some(container));
            let object = Object { file: "ab".into(), size: u64::MAX, created: 9 };
            assert_eq!(Object::read(&object.write(name)), Some((object.clone(), name.to_owned())));
            assert!(object.write(name).len() < 64 << 10);
        }
        assert!(identifier(&"x".repeat(NAME_MAX + 1)).unwrap_err().contains("at most 32768"));
    }

    #[test]
    fn foreign_records_are_none() {
        for value in [&b""[..], b"1 a 1", b"2 a 1\nb", b"1 a x\nb", b"1 a 1 1 1\nb", b"\xff\n"] {
            assert_eq!((Container::read("k", value), Object::read(value)), (None, None));
        }
    }
}

//! The value of a record: the value of a key, after the key itself if its identifier does not contain it.

use crate::error::{Error, Result};
use crate::limits::{NAME_MAX, RECORD_MAX};
use portico_adapter_common::{encode, is_reversible};

/// Bytes of a length.
const LENGTH: usize = 4;

/// Returns the identifier of a key.
///
/// # Errors
/// A key longer than [`NAME_MAX`].
pub(crate) fn identifier(key: &str) -> Result<String> {
    if key.len() > NAME_MAX {
        return Err(Error::Other(format!("the key has {} bytes, and at most {NAME_MAX} are allowed", key.len())));
    }
    Ok(encode(key))
}

/// Returns the content of the record of a key.
///
/// # Errors
/// A value that does not fit.
pub(crate) fn pack(key: &str, identifier: &str, value: Vec<u8>) -> Result<Vec<u8>> {
    let head = if is_reversible(identifier) { 0 } else { LENGTH + key.len() };
    let most = RECORD_MAX - head;
    if value.len() > most {
        return Err(Error::Other(format!(
            "the value has {} bytes, and at most {most} are allowed under this key",
            value.len()
        )));
    }
    if head == 0 {
        return Ok(value);
    }
    let length = u32::try_from(key.len()).expect("a key is short");
    Ok([&length.to_le_bytes(), key.as_bytes(), &value].concat())
}

/// Returns the key, if the record has it, and the value.
///
/// # Errors
/// A record that [`pack`] did not make.
pub(crate) fn unpack(identifier: &str, mut content: Vec<u8>) -> Result<(Option<String>, Vec<u8>)> {
    if is_reversible(identifier) {
        return Ok((None, content));
    }
    let damaged = || Error::other("the record is damaged");
    let (length, rest) = content.split_first_chunk::<LENGTH>().ok_or_else(damaged)?;
    let length = u32::from_le_bytes(*length) as usize;
    let key = rest.get(..length).and_then(|key| std::str::from_utf8(key).ok()).ok_or_else(damaged)?.to_owned();
    let value = content.split_off(LENGTH + length);
    Ok((Some(key), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_returns_what_it_was_made_of() {
        for key in ["", "a", "a/b", &"日".repeat(500)] {
            let identifier = identifier(key).unwrap();
            for value in [&b""[..], b"x", &[0; 1_000]] {
                let packed = pack(key, &identifier, value.to_vec()).unwrap();
                let (found, unpacked) = unpack(&identifier, packed).unwrap();
                assert_eq!(unpacked, value);
                assert!(found.is_none_or(|found| found == key));
            }
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_with_the_limit() {
        assert!(pack("a", &identifier("a").unwrap(), vec![0; RECORD_MAX]).is_ok());
        let Err(Error::Other(text)) = pack("a", &identifier("a").unwrap(), vec![0; RECORD_MAX + 1]) else { panic!() };
        assert!(text.contains("at most 65536"), "{text}");
        let long = "k".repeat(NAME_MAX);
        let Err(Error::Other(text)) = pack(&long, &identifier(&long).unwrap(), vec![0; RECORD_MAX]) else { panic!() };
        assert!(text.contains("at most 61436"), "{text}");
        assert!(identifier(&"k".repeat(NAME_MAX + 1)).is_err());
    }

    #[test]
    fn a_foreign_record_is_damaged() {
        let long = identifier(&"k".repeat(200)).unwrap();
        for content in [&b""[..], b"abc", &[255, 255, 255, 255, 0], &[1, 0, 0, 0, 255]] {
            assert_eq!(unpack(&long, content.to_vec()), Err(Error::other("the record is damaged")));
        }
    }
}

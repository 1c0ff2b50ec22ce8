//! Reads the files that operators and users name, up to a limit. Invariant: nothing is truncated silently.

use std::io::{self, ErrorKind, Read};

/// Reads a source to its end.
///
/// # Errors
/// Errors of the source; [`ErrorKind::FileTooLarge`] if it has more than `limit` bytes.
pub fn read(source: impl Read, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    source.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(io::Error::new(ErrorKind::FileTooLarge, format!("it is larger than {limit} bytes")));
    }
    Ok(content)
}

/// Reads a text to its end.
///
/// # Errors
/// As [`read`]; [`ErrorKind::InvalidData`] if it is not UTF-8.
pub fn read_text(source: impl Read, limit: u64) -> io::Result<String> {
    String::from_utf8(read(source, limit)?).map_err(|_| io::Error::new(ErrorKind::InvalidData, "it is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_of_it_or_an_error() {
        assert_eq!(read(&b"1234"[..], 4).unwrap(), b"1234");
        let error = read(&b"12345"[..], 4).unwrap_err();
        assert_eq!(
            (error.kind(), error.to_string()),
            (ErrorKind::FileTooLarge, "it is larger than 4 bytes".to_owned())
        );
        assert_eq!(read_text(&b"\xff"[..], 4).unwrap_err().kind(), ErrorKind::InvalidData);
    }
}

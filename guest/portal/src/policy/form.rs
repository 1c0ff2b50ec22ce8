//! The rules of forms (`multipart/form-data`, RFC 7578): boundaries, and fields that become metadata of files.
//!
//! A field is metadata of every file after it, until a field of the same name replaces it. Its name is the metadata
//! name, in lower case. Two names have another meaning: `sha256` is the expected digest of the next file, and
//! `_charset_` names the encoding of the form (RFC 7578, 4.6).

use crate::{
    engine::ORIGINAL_FILENAME,
    limits::{BOUNDARY_MAX, FILENAME_MAX, METADATA_BYTES_MAX, METADATA_NAME_MAX, METADATA_PAIRS_MAX},
    policy::parameters::Parameterized,
};
use portico_guest::Digest;

/// What a form gives a file, and its original filename, fit the contract.
const _: () = assert!(METADATA_BYTES_MAX + ORIGINAL_FILENAME.len() + FILENAME_MAX == 8 << 10);

/// The media type of a form.
const FORM: &str = "multipart/form-data";

/// The field with the expected SHA-256 of the next file.
pub(crate) const SHA256: &str = "sha256";

/// Returns the boundary of a form; `None` if the content is no form.
///
/// # Errors
/// The reason, for the client, if the media type is malformed or the boundary is missing, too long, or has bytes that
/// RFC 2046 does not allow.
pub(crate) fn boundary(content_type: Option<&str>) -> Result<Option<String>, &'static str> {
    let text = content_type.unwrap_or_default();
    let (essence, _) = text.split_once([';', ',']).unwrap_or((text, ""));
    if !essence.trim().eq_ignore_ascii_case(FORM) {
        return Ok(None);
    }
    let parsed = Parameterized::parse(text.as_bytes()).ok_or("malformed")?;
    let boundary = parsed.get("boundary").ok_or("a form needs a boundary")?;
    let is_valid = |byte: &u8| byte.is_ascii_alphanumeric() || b"'()+_,-./:=? ".contains(byte);
    if !(1..=BOUNDARY_MAX).contains(&boundary.len()) {
        return Err("the boundary must have 1 to 70 bytes (RFC 2046)");
    }
    if !boundary.iter().all(is_valid) || boundary.ends_with(b" ") {
        return Err("the boundary has a byte that RFC 2046 does not allow");
    }
    Ok(Some(String::from_utf8_lossy(boundary).into_owned()))
}

/// Why a field is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadField {
    /// The name is no metadata name.
    Name,
    /// The portal sets metadata of that name.
    Reserved,
    /// The name occurs twice before the same file.
    Repeated,
    /// The value is not UTF-8, or has control characters.
    Value,
    /// The value of `sha256` is no digest.
    Digest,
    /// The form is not in UTF-8.
    Charset,
    /// More than [`METADATA_PAIRS_MAX`] fields.
    TooMany,
    /// More than [`METADATA_BYTES_MAX`] bytes.
    TooLarge,
}

impl BadField {
    /// Returns the reason, for the client.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            BadField::Name => "the name of a field must have 1 to 64 of the characters a-z, A-Z, 0-9, - and _",
            BadField::Reserved => "the portal sets this metadata itself",
            BadField::Repeated => "the field occurs twice before the same file",
            BadField::Value => "the value must be UTF-8 without control characters",
            BadField::Digest => "64 hexadecimal digits expected",
            BadField::Charset => "the form must be in UTF-8",
            BadField::TooMany => "a file can have at most 63 fields",
            BadField::TooLarge => "the fields of a file are too large",
        }
    }
}

/// The fields of a form that were read so far.
#[derive(Debug, Default)]
pub(crate) struct Fields {
    pairs: Vec<(String, String)>,
    /// The names since the last file.
    recent: Vec<String>,
    sha256: Option<Digest>,
}

impl Fields {
    /// Adds a field.
    pub(crate) fn add(&mut self, name: &str, value: &[u8]) -> Result<(), BadField> {
        let key = name.to_ascii_lowercase();
        let is_valid = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"-_".contains(&byte);
        if !(1..=METADATA_NAME_MAX).contains(&key.len()) || !key.bytes().all(is_valid) {
            return Err(BadField::Name);
        }
        if self.recent.contains(&key) {
            return Err(BadField::Repeated);
        }
        let value = std::str::from_utf8(value).ok().filter(|value| !value.contains(char::is_control));
        let value = value.ok_or(BadField::Value)?;
        match &*key {
            ORIGINAL_FILENAME => return Err(BadField::Reserved),
            "_charset_" if value.eq_ignore_ascii_case("utf-8") => return Ok(()),
            "_charset_" => return Err(BadField::Charset),
            // A page without a digest leaves its hidden input empty.
            SHA256 if value.is_empty() => return Ok(()),
            SHA256 if self.sha256.is_some() => return Err(BadField::Repeated),
            SHA256 => {
                self.sha256 = Some(value.parse().map_err(|_| BadField::Digest)?);
                return Ok(());
            }
            _ => {}
        }
        self.pairs.retain(|(known, _)| *known != key);
        let size: usize = self.pairs.iter().map(|(key, value)| key.len() + value.len()).sum();
        if self.pairs.len() >= METADATA_PAIRS_MAX {
            return Err(BadField::TooMany);
        }
        if size + key.len() + value.len() > METADATA_BYTES_MAX {
            return Err(BadField::TooLarge);
        }
        self.recent.push(key.clone());
        self.pairs.push((key, value.to_owned()));
        Ok(())
    }

    /// Returns the metadata and the expected digest of the file that follows.
    pub(crate) fn next_file(&mut self) -> (Vec<(String, String)>, Option<Digest>) {
        self.recent.clear();
        (self.pairs.clone(), self.sha256.take())
    }

    /// Whether a digest was announced for a file that has not followed yet.
    pub(crate) fn expects_file(&self) -> bool {
        self.sha256.is_some()
    }

    /// Returns the names of the fields after the last file, which are metadata of no file.
    pub(crate) fn unused(self) -> Vec<String> {
        self.recent
    }
}

#[cfg(test)]
mod tests {
    use super::{BadField, Fields, boundary};
    use crate::limits::{METADATA_BYTES_MAX, METADATA_PAIRS_MAX};

    #[test]
    fn boundaries() {
        let longest = "b".repeat(70);
        for (content_type, found) in [
            (None, Ok(None)),
            (Some("text/plain"), Ok(None)),
            (Some("multipart/mixed; boundary=b"), Ok(None)),
            (Some("multipart/form-datax; boundary=b"), Ok(None)),
            (Some("multipart/form-data; boundary=b"), Ok(Some("b"))),
            (Some("Multipart/Form-Data; charset=utf-8; Boundary=\"a b\""), Ok(Some("a b"))),
            (Some(&*format!("multipart/form-data; boundary={longest}")), Ok(Some(&*longest))),
        ] {
            assert_eq!(boundary(content_type), found.map(|found: Option<&str>| found.map(str::to_owned)));
        }
        for text in [
            "multipart/form-data",
            "multipart/form-data;",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=\"\"",
            "multipart/form-data; boundary=\"a \"",
            "multipart/form-data; boundary=\"a",
            "multipart/form-data; boundary=a; boundary=b",
            "multipart/form-data; boundary=\u{e9}",
            "multipart/form-data; boundary=\"a\\\"\"",
            "multipart/form-data, text/plain",
            "multipart/form-data; boundary=a, multipart/form-data; boundary=b",
            &format!("multipart/form-data; boundary={longest}b"),
            &format!("multipart/form-data; boundary={}", "b".repeat(10 << 10)),
        ] {
            assert!(boundary(Some(text)).is_err(), "{text}");
        }
    }

    #[test]
    fn fields_count_for_the_files_after_them() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let digest = "ab".repeat(32);
        let mut fields = Fields::default();
        assert_eq!(fields.next_file(), (vec![], None));
        for (name, value) in [("Note", "first"), ("_charset_", "UTF-8"), ("sha256", &*digest), ("owner", "é")] {
            assert_eq!(fields.add(name, value.as_bytes()), Ok(()), "{name}");
        }
        assert!(fields.expects_file());
        let first = fields.next_file();
        assert_eq!(first, (vec![pair("note", "first"), pair("owner", "é")], digest.parse().ok()));
        assert!(!fields.expects_file());
        // The digest was for one file; a field of the same name replaces the value.
        assert_eq!(fields.add("note", b"second"), Ok(()));
        assert_eq!(fields.add("sha256", b""), Ok(()));
        assert_eq!(fields.next_file(), (vec![pair("owner", "é"), pair("note", "second")], None));
        assert_eq!(fields.add("submit", b"Send"), Ok(()));
        assert_eq!(fields.unused(), ["submit"]);
    }

    #[test]
    fn fields_that_cannot_be_metadata_are_refused() {
        let mut fields = Fields::default();
        fields.add("note", b"x").unwrap();
        fields.add("sha256", "ab".repeat(32).as_bytes()).unwrap();
        for (name, value, why) in [
            ("", b"x".as_slice(), BadField::Name),
            ("a b", b"x", BadField::Name),
            ("user[name]", b"x", BadField::Name),
            ("n\u{e9}", b"x", BadField::Name),
            (&*"n".repeat(65), b"x", BadField::Name),
            ("Original-Filename", b"x", BadField::Reserved),
            ("NOTE", b"y", BadField::Repeated),
            ("sha256", "ab".repeat(32).as_bytes(), BadField::Repeated),
            ("text", b"a\r\nb", BadField::Value),
            ("text", b"\xff", BadField::Value),
            ("_charset_", b"iso-8859-1", BadField::Charset),
            ("text", &[b'x'; METADATA_BYTES_MAX], BadField::TooLarge),
        ] {
            assert_eq!(fields.add(name, value), Err(why), "{name}");
        }
        assert_eq!(Fields::default().add("sha256", b"abc"), Err(BadField::Digest));
    }

    #[test]
    fn as_many_fields_as_the_contract_has_room_for() {
        let mut fields = Fields::default();
        (0..METADATA_PAIRS_MAX).for_each(|number| fields.add(&format!("n{number}"), b"x").unwrap());
        assert_eq!(fields.add("more", b"x"), Err(BadField::TooMany));
        fields.next_file();
        assert_eq!(fields.add("n1", b"y"), Ok(()), "replaced");
        let mut fields = Fields::default();
        assert_eq!(fields.add("n", &[b'x'; METADATA_BYTES_MAX - 1]), Ok(()));
        assert_eq!(fields.add("m", b""), Err(BadField::TooLarge));
    }
}

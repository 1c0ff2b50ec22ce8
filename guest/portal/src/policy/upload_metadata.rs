//! `Upload-Metadata` of tus 1.0: pairs of a key and a value in base64.

use crate::{
    limits::{FILENAME_MAX, UPLOAD_METADATA_MAX},
    policy::names,
};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use portico_guest::http::media_type;

/// Why metadata is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BadMetadata {
    /// A key is empty, occurs twice, or is not visible ASCII without commas.
    Key,
    /// A value is not base64.
    Value,
    /// The field is longer than [`UPLOAD_METADATA_MAX`] bytes.
    Length,
}

impl BadMetadata {
    /// Returns the reason, for the client.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            BadMetadata::Key => "each key must be visible ASCII without commas, and occur once",
            BadMetadata::Value => "each value must be base64",
            BadMetadata::Length => "longer than 16 KiB",
        }
    }
}

/// Pairs of a key and its decoded value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct UploadMetadata(Vec<(String, Vec<u8>)>);

impl UploadMetadata {
    /// Reads a field. Blanks around commas are ignored, and a value may be absent with its space.
    pub(crate) fn read(field: &str) -> Result<UploadMetadata, BadMetadata> {
        if field.len() > UPLOAD_METADATA_MAX {
            return Err(BadMetadata::Length);
        }
        let mut pairs: Vec<(String, Vec<u8>)> = Vec::new();
        for pair in field.split(',').map(|pair| pair.trim_matches([' ', '\t'])) {
            if pair.is_empty() && field.trim_matches([' ', '\t']).is_empty() {
                continue;
            }
            let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
            let is_key = !key.is_empty() && key.bytes().all(|byte| byte.is_ascii_graphic());
            if !is_key || pairs.iter().any(|(there, _)| there == key) {
                return Err(BadMetadata::Key);
            }
            let value = BASE64_STANDARD.decode(value.trim_matches(' ')).map_err(|_| BadMetadata::Value)?;
            pairs.push((key.to_owned(), value));
        }
        Ok(UploadMetadata(pairs))
    }

    fn text(&self, keys: &[&str]) -> Option<String> {
        let value = keys.iter().find_map(|key| self.0.iter().find(|(there, _)| there == key))?;
        Some(String::from_utf8_lossy(&value.1).into_owned()).filter(|text| !text.is_empty())
    }

    /// Returns the file's name, made to fit: clients put paths and other texts there, and can't be asked again.
    pub(crate) fn filename(&self) -> Option<String> {
        self.text(&["filename", "name"]).map(|name| fitting(&name))
    }

    /// Returns the file's media type, if it is one.
    pub(crate) fn media_type(&self) -> Option<String> {
        let text = self.text(&["filetype", "type", "content-type", "contentType"])?;
        media_type::announced(Some(&text)).filter(|media_type| *media_type != media_type::DEFAULT).map(str::to_owned)
    }

    /// Returns the path of the file in the folder that the client sent, if the path is plain text.
    pub(crate) fn relative_path(&self) -> Option<String> {
        let path = self.text(&["relativePath", "relative_path"])?;
        (path != "null" && path.len() <= 1_024 && !path.chars().any(char::is_control)).then_some(path)
    }
}

/// Makes a valid filename of any text.
pub(crate) fn fitting(name: &str) -> String {
    let mut name = name.replace(|c: char| c == '/' || c.is_control(), "_");
    while name.len() > FILENAME_MAX {
        name.pop();
    }
    match names::check(&name) {
        Ok(()) => name,
        Err(_) => format!("_{name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::{BadMetadata, UploadMetadata, fitting};
    use crate::{limits::UPLOAD_METADATA_MAX, policy::names};
    use base64::{Engine as _, prelude::BASE64_STANDARD};
    use proptest::prelude::*;

    fn pair(key: &str, value: &str) -> String {
        format!("{key} {}", BASE64_STANDARD.encode(value))
    }

    #[test]
    fn names_and_types_are_found() {
        let field =
            format!("{}, {} ,empty,also-empty ", pair("filename", "naïve ☃.txt"), pair("filetype", "text/plain"));
        let read = UploadMetadata::read(&field).unwrap();
        assert_eq!(read.filename().as_deref(), Some("naïve ☃.txt"));
        assert_eq!(read.media_type().as_deref(), Some("text/plain"));
        assert_eq!(read.relative_path(), None);
        let uppy = format!("{},{},{}", pair("relativePath", "null"), pair("name", "a/../b"), pair("type", "no type"));
        let read = UploadMetadata::read(&uppy).unwrap();
        assert_eq!(read.filename().as_deref(), Some("a_.._b"));
        assert_eq!((read.media_type(), read.relative_path()), (None, None));
        assert_eq!(
            UploadMetadata::read(&pair("relativePath", "a/b.txt")).unwrap().relative_path().as_deref(),
            Some("a/b.txt")
        );
        assert_eq!(UploadMetadata::read("").unwrap(), UploadMetadata::default());
        assert_eq!(UploadMetadata::read(&pair("filename", "")).unwrap().filename(), None);
    }

    #[test]
    fn bad_metadata_is_refused() {
        for (field, bad) in [
            (",", BadMetadata::Key),
            ("a YQ==,", BadMetadata::Key),
            ("a YQ==,,b YQ==", BadMetadata::Key),
            ("a YQ==,a YQ==", BadMetadata::Key),
            ("a,a", BadMetadata::Key),
            ("ä YQ==", BadMetadata::Key),
            ("a\u{1} YQ==", BadMetadata::Key),
            ("a YQ", BadMetadata::Value),
            ("a Y Q = =", BadMetadata::Value),
            ("a %%%%", BadMetadata::Value),
            ("a YQ==;b YQ==", BadMetadata::Value),
        ] {
            assert_eq!(UploadMetadata::read(field), Err(bad), "{field}");
        }
        let long = pair("a", &"x".repeat(UPLOAD_METADATA_MAX));
        assert_eq!(UploadMetadata::read(&long), Err(BadMetadata::Length));
    }

    proptest! {
        #[test]
        fn any_text_becomes_a_name(text in any::<String>(), repeated in 1_usize..100) {
            prop_assert_eq!(names::check(&fitting(&text.repeat(repeated))), Ok(()));
        }
    }
}

//! The page that a browser gets after it has sent a form: the stored files. It has no script and loads nothing.
//!
//! Invariant: every text of a client is escaped, and isolated from the direction of the text around it.

use portico_guest::{StoredObject, http::Response};
use std::{borrow::Cow, fmt::Write};

/// Neither script nor style nor image, in no frame, with no form.
const POLICY: &str = "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file on the page.
pub(super) struct Row<'o> {
    /// The id of the file.
    pub(super) id: &'o str,
    /// The original filename.
    pub(super) name: &'o str,
    /// The receipt.
    pub(super) file: &'o StoredObject,
}

/// Sets the page as the body of a response to `POST /files`. Links are relative to that path, so any prefix of a proxy
/// stays in front of them.
pub(super) fn respond<'o>(response: Response, rows: impl Iterator<Item = Row<'o>>, unused: &[String]) -> Response {
    let mut page = String::from(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Stored files</title>\n\
         <h1>Stored files</h1>\n<ul>\n",
    );
    for Row { id, name, file } in rows {
        let _ = writeln!(
            page,
            "<li><a href=\"files/{}\"><bdi>{}</bdi></a>, {} bytes, SHA-256 <code>{}</code></li>",
            escape(id),
            escape(name),
            file.size,
            file.sha256
        );
    }
    page.push_str("</ul>\n");
    if !unused.is_empty() {
        let names: Vec<String> = unused.iter().map(|name| format!("<code>{}</code>", escape(name))).collect();
        let _ = writeln!(page, "<p>Not stored, because no file came after them: {}</p>", names.join(", "));
    }
    response
        .content("text/html; charset=utf-8", page)
        .header("content-security-policy", POLICY)
        .header("x-content-type-options", "nosniff")
        .header("referrer-policy", "no-referrer")
}

/// Escapes a text for HTML, in elements and in quoted attributes.
fn escape(text: &str) -> Cow<'_, str> {
    const SPECIAL: [char; 5] = ['&', '<', '>', '"', '\''];
    if !text.contains(SPECIAL) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for character in text.chars() {
        if SPECIAL.contains(&character) {
            let _ = write!(escaped, "&#{};", u32::from(character));
        } else {
            escaped.push(character);
        }
    }
    Cow::Owned(escaped)
}

#[cfg(test)]
mod tests {
    use super::escape;
    use proptest::prelude::*;

    #[test]
    fn names_are_no_markup() {
        assert_eq!(escape("<b a=\"'\">&amp;"), "&#60;b a=&#34;&#39;&#34;&#62;&#38;amp;");
        assert_eq!(escape("naïve.txt"), "naïve.txt");
    }

    proptest! {
        #[test]
        fn no_text_leaves_its_place(text in any::<String>()) {
            let escaped = escape(&text);
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']));
        }
    }
}

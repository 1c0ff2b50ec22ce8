//! Where a server is, and the token that opens it.

use crate::error::Error;
use http::uri::{Authority, Scheme};
use http::{HeaderValue, Uri};
use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::net::IpAddr;
use std::path::Path;

/// Longest file with a token, in bytes.
const TOKEN_MAX: u64 = 8 << 10;

/// The address of a server: `http` or `https`, a host, and possibly a path that all its paths are below.
#[derive(Clone, Debug)]
pub struct ServerUrl {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    prefix: String,
}

impl ServerUrl {
    /// Reads one.
    ///
    /// # Errors
    /// [`Error::Url`] if it is none, or has a user, a query or a fragment.
    pub fn parse(text: &str) -> Result<ServerUrl, Error> {
        let wrong = |reason| Error::Url { url: text.to_owned(), reason };
        let form = "expected a URL such as https://files.example.com or http://127.0.0.1:8080";
        if text.contains('#') {
            return Err(wrong("it has a fragment"));
        }
        let parts = text.parse::<Uri>().map_err(|_| wrong(form))?.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else { return Err(wrong(form)) };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err(wrong("only http and https are spoken here"));
        }
        if authority.as_str().contains('@') {
            return Err(wrong("no user goes there; a token is taken from PORTICO_TOKEN or --auth-file"));
        }
        let path = parts.path_and_query.as_ref();
        if path.is_some_and(|path| path.query().is_some()) {
            return Err(wrong("it has a query"));
        }
        let prefix = path.map_or("", |path| path.path()).trim_end_matches('/').to_owned();
        Ok(ServerUrl { scheme, authority, prefix })
    }

    /// The URL of a path on it, which begins with a slash and is encoded.
    ///
    /// # Errors
    /// [`Error::Path`] if no URL can have it, because it is too long.
    pub(super) fn at(&self, path: &str) -> Result<Uri, Error> {
        let path = format!("{}{path}", self.prefix);
        let bytes = path.len();
        let uri = Uri::builder().scheme(self.scheme.clone()).authority(self.authority.clone()).path_and_query(path);
        uri.build().map_err(|_| Error::Path { bytes })
    }

    /// Reports whether the server is reached over TLS.
    pub(crate) fn is_https(&self) -> bool {
        self.scheme == Scheme::HTTPS
    }

    /// Whether somebody on the way can read what goes there.
    pub fn is_overheard(&self) -> bool {
        let host = self.authority.host().trim_start_matches('[').trim_end_matches(']');
        let is_here = host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        self.scheme == Scheme::HTTP && !is_here
    }
}

impl fmt::Display for ServerUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", self.scheme, self.authority, self.prefix)
    }
}

/// A bearer token (RFC 6750). Nothing shows it.
pub struct Token(HeaderValue);

impl Token {
    /// The one that a text is.
    ///
    /// # Errors
    /// [`Error::Token`], which says where it came from and nothing of it.
    pub fn new(text: &str, place: &str) -> Result<Token, Error> {
        let wrong = |reason: &str| Error::Token { place: place.to_owned(), reason: reason.to_owned() };
        let text = text.trim();
        if text.is_empty() {
            return Err(wrong("it is empty"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(wrong("a token is one word of ASCII characters"));
        }
        let mut value = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| wrong("no header can carry it"))?;
        value.set_sensitive(true);
        Ok(Token(value))
    }

    /// The value of its `Authorization` field.
    pub(crate) fn into_header(self) -> HeaderValue {
        self.0
    }

    /// The one that a file holds, and nothing else.
    ///
    /// # Errors
    /// [`Error::Token`].
    pub fn read(path: &Path) -> Result<Token, Error> {
        let place = path.display().to_string();
        let wrong = |cause: io::Error| Error::Token { place: place.clone(), reason: cause.to_string() };
        let mut text = String::new();
        let file = File::open(path).map_err(wrong)?;
        if file.take(TOKEN_MAX + 1).read_to_string(&mut text).map_err(wrong)? as u64 > TOKEN_MAX {
            return Err(wrong(io::Error::other(format!("it is larger than {TOKEN_MAX} bytes"))));
        }
        Token::new(&text, &place)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_of_servers() {
        for (text, shown, path, overheard) in [
            ("http://127.0.0.1:8080", "http://127.0.0.1:8080", "http://127.0.0.1:8080/files", false),
            ("http://[::1]:80/", "http://[::1]:80", "http://[::1]:80/files", false),
            ("http://localhost", "http://localhost", "http://localhost/files", false),
            ("http://example.com", "http://example.com", "http://example.com/files", true),
            ("https://example.com/a/b/", "https://example.com/a/b", "https://example.com/a/b/files", false),
        ] {
            let url = ServerUrl::parse(text).unwrap();
            assert_eq!((url.to_string(), url.at("/files").unwrap().to_string()), (shown.to_owned(), path.to_owned()));
            assert_eq!(url.is_overheard(), overheard, "{text}");
        }
        for text in [
            "",
            "127.0.0.1:8080",
            "example.com",
            "/files",
            "ftp://example.com",
            "http://",
            "http://user@example.com",
            "http://user:secret@example.com",
            "http://example.com/?x=1",
            "http://example.com/#x",
            "http://exa mple.com",
            "file:/srv/store",
        ] {
            assert!(matches!(ServerUrl::parse(text), Err(Error::Url { .. })), "{text}");
        }
    }

    #[test]
    fn a_path_that_no_url_can_have_is_an_error() {
        let url = ServerUrl::parse("http://localhost/prefix").unwrap();
        assert!(url.at(&format!("/{}", "x".repeat(60_000))).is_ok());
        let path = format!("/{}", "x".repeat(70_000));
        assert!(matches!(url.at(&path), Err(Error::Path { bytes: 70_008 })));
    }

    #[test]
    fn tokens_are_words_and_their_errors_tell_nothing_of_them() {
        assert_eq!(Token::new(" secret\n", "here").unwrap().0, "Bearer secret");
        for text in ["", " \n", "two words", "sécret", "secret\u{7f}", "secret\nsecret"] {
            let error = Token::new(text, "here").err().unwrap().to_string();
            assert!(error.contains("here") && !error.contains("secret"), "{error}");
        }
    }
}

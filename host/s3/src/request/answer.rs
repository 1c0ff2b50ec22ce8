//! Tells a response of S3 from one of an intermediary: a proxy, an ingress, a captive portal.
//!
//! Invariants: an error comes from S3 only if its body is a complete document with S3's code, or if it is the response
//! to a `HEAD`, which has no body, with S3's request id. No other response says anything about an object. The server's
//! time is read only from responses of S3.

use aws_sdk_s3::config::http::HttpResponse;

/// The header that names a request in the logs of S3.
const REQUEST_ID: &str = "x-amz-request-id";

/// Longest text of a header or a document in a message, in bytes.
const TEXT_MAX: usize = 200;

/// An unsuccessful response.
pub(crate) struct Answer<'a> {
    response: &'a HttpResponse,
    /// The body; absent if the connection broke.
    body: Option<&'a [u8]>,
    is_head: bool,
}

impl<'a> Answer<'a> {
    /// Wraps the response to a request.
    pub(crate) fn new(response: &'a HttpResponse, is_head: bool) -> Self {
        Answer { response, body: response.body().bytes(), is_head }
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status().as_u16()
    }

    /// Returns whether the connection ended before the response did.
    pub(crate) fn is_cut(&self) -> bool {
        self.body.is_none()
    }

    /// Returns whether S3 sent this response.
    pub(crate) fn is_of_s3(&self) -> bool {
        let has_code = self.body.is_some_and(|body| is_document(body) && element(body, "Code").is_some());
        has_code || (self.is_head && self.request_id().is_some())
    }

    /// Returns the printable text of a header.
    fn header(&self, name: &str) -> Option<String> {
        self.response.headers().get(name).and_then(printable)
    }

    pub(crate) fn request_id(&self) -> Option<String> {
        self.header(REQUEST_ID)
    }

    /// Returns the value of `Retry-After`, in seconds.
    pub(crate) fn retry_after(&self) -> Option<u32> {
        self.response.headers().get("retry-after").and_then(|value| value.trim().parse().ok())
    }

    /// Describes a response that is not from S3: its status, its server, and the target of its redirect.
    pub(crate) fn described(&self) -> String {
        let from = self.header("server").map_or_else(String::new, |server| format!(" of {server}"));
        let to = self.header("location").map_or_else(String::new, |url| format!(", a redirect to {url}"));
        format!("{}{from}, which is not an answer of S3{to}", self.status())
    }

    /// Returns where S3 says that the bucket is: the endpoint or region in its document, or the region in a header.
    pub(crate) fn right_place(&self) -> Option<String> {
        let of = |name| self.body.and_then(|body| element(body, name));
        let region = || of("Region").or_else(|| self.header("x-amz-bucket-region"));
        of("Endpoint")
            .map(|endpoint| format!("S3 redirects to {endpoint}"))
            .or_else(|| region().map(|region| format!("S3 has the bucket in the region {region}")))
    }
}

/// Returns whether the `Date` of a response is the time of S3.
pub(crate) fn tells_time(status: u16, has_request_id: bool) -> bool {
    (200..300).contains(&status) || has_request_id
}

/// Returns whether a response has S3's request id.
pub(crate) fn has_request_id(response: &HttpResponse) -> bool {
    response.headers().get(REQUEST_ID).is_some()
}

/// Returns whether a body is a complete error document.
fn is_document(body: &[u8]) -> bool {
    body.trim_ascii_end().ends_with(b"</Error>")
}

/// Returns the printable text of an element of an error document.
fn element(body: &[u8], name: &str) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let (_, rest) = text.split_once(&format!("<{name}>"))?;
    printable(rest.split_once('<')?.0)
}

fn printable(text: &str) -> Option<String> {
    let text: String = text.trim().chars().filter(|c| c.is_ascii_graphic() || *c == ' ').take(TEXT_MAX).collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_s3::primitives::SdkBody;

    const DOCUMENT: &str = "<?xml version=\"1.0\"?>\n<Error><Code>NoSuchKey</Code><Message>No.</Message></Error>\n";
    const PAGE: &str = "<html><body><h1>404 Not Found</h1><hr>nginx</body></html>";

    fn response(body: &'static str, headers: &[(&'static str, &'static str)]) -> HttpResponse {
        let mut response = HttpResponse::new(404.try_into().unwrap(), SdkBody::from(body));
        for (name, value) in headers {
            response.headers_mut().insert(*name, *value);
        }
        response
    }

    #[test]
    fn only_a_whole_document_with_a_code_is_of_s3() {
        let id = [(REQUEST_ID, "1")];
        assert!(Answer::new(&response(DOCUMENT, &[]), false).is_of_s3());
        for end in 0..DOCUMENT.trim_end().len() {
            assert!(!Answer::new(&response(&DOCUMENT[..end], &id), false).is_of_s3(), "{end}");
        }
        for body in ["", PAGE, "<Error></Error>", "<Error><Code></Code></Error>", "{\"Code\":\"NoSuchKey\"}"] {
            assert!(!Answer::new(&response(body, &id), false).is_of_s3(), "{body}");
        }
    }

    #[test]
    fn an_answer_to_a_head_is_of_s3_by_its_request_id() {
        assert!(Answer::new(&response("", &[(REQUEST_ID, "1")]), true).is_of_s3());
        assert!(!Answer::new(&response("", &[("server", "nginx")]), true).is_of_s3());
    }

    #[test]
    fn the_description_names_status_origin_and_target() {
        let response = response(PAGE, &[("server", "nginx\t1.22"), ("location", "https://other.example/")]);
        assert_eq!(
            Answer::new(&response, false).described(),
            "404 of nginx1.22, which is not an answer of S3, a redirect to https://other.example/"
        );
        let moved = "<Error><Code>PermanentRedirect</Code><Endpoint>b.s3.example</Endpoint></Error>";
        let moved = self::response(moved, &[]);
        assert_eq!(Answer::new(&moved, false).right_place().as_deref(), Some("S3 redirects to b.s3.example"));
        let head = self::response("", &[(REQUEST_ID, "1"), ("x-amz-bucket-region", "eu-1")]);
        let told = Answer::new(&head, true).right_place();
        assert_eq!(told.as_deref(), Some("S3 has the bucket in the region eu-1"));
    }
}

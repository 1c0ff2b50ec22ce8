//! References to files and uploads, for the fields of responses.

use portico_guest::http::Request;

/// Returns a reference to a file, relative to the path of the request.
pub(super) fn file(request: &Request, id: &str) -> String {
    request.relative(&format!("files/{id}"))
}

/// Returns the first segment of the path of a request.
pub(super) fn root(request: &Request) -> &str {
    request.path().split('/').nth(1).unwrap_or_default()
}

/// Returns the path of an upload below the root of the portal, at the URL that a request went to.
pub(super) fn upload_path(request: &Request, id: &str) -> String {
    format!("{}/{id}", root(request))
}

//! The HTTP surface: one table of routes, and one file of handlers for each protocol.
//!
//! A handler takes the request and returns a response or a problem. The SDK sends it.

mod files;
mod form;
mod form_reader;
mod kinds;
mod links;
mod openapi;
mod page;
mod receipts;
mod refused;
mod resumable;
mod resumable_fields;
mod route;
mod sessions;
mod tus;
mod tus_fields;
mod uploads;
mod zip;

use portico_guest::http::{Kind, Problem, Request, Response};
use route::Route;

/// Answers one request.
///
/// # Errors
/// The problem that the client gets.
pub fn answer(request: &Request) -> Result<Response, Problem> {
    uploads::prepare(request);
    let (route, parameters) = find(request.path()).ok_or(Kind::NOT_FOUND)?;
    let wanted = request.method();
    match route.methods.iter().find(|(method, _)| *method == wanted) {
        Some((_, handler)) => handler(request, &parameters),
        None if wanted == "OPTIONS" => Ok(Response::new(204).header("allow", route.allow())),
        None => Err(Problem::method_not_allowed(route.allow())),
    }
}

static ROUTES: &[&[Route]] =
    &[files::ROUTES, zip::ROUTES, sessions::ROUTES, uploads::ROUTES, openapi::ROUTES, page::ROUTES];

fn find(path: &str) -> Option<(&'static Route, Vec<&str>)> {
    let segments: Vec<&str> = path.strip_prefix('/')?.split('/').collect();
    ROUTES.iter().copied().flatten().find_map(|route| Some((route, route.parameters(&segments)?)))
}

#[cfg(test)]
mod tests {
    use super::find;

    #[test]
    fn paths_that_lead_somewhere() {
        for (path, parameters) in [
            ("/files/abc", vec!["abc"]),
            ("/files/", vec![""]),
            ("/files/..", vec![".."]),
            ("/files/a%2Fb", vec!["a%2Fb"]),
        ] {
            let (route, found) = find(path).unwrap_or_else(|| panic!("{path} leads nowhere"));
            assert_eq!(found, parameters, "{path}");
            assert_eq!(route.allow(), "GET, HEAD, PUT, DELETE, OPTIONS", "{path}");
        }
    }

    #[test]
    fn paths_that_lead_nowhere() {
        for path in ["", "*", "files/abc", "/Files/abc", "/files/a/b", "/files/a/", "//files/a", "/fil%65s/a"] {
            assert!(find(path).is_none(), "{path}");
        }
    }
}

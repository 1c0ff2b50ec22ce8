//! `GET /openapi.json`: the API as an OpenAPI 3.1 document.

use crate::http::route::Route;
use portico_guest::http::{Problem, Request, Response};

const DOCUMENT: &str = include_str!("../../openapi.json");

/// The routes of this protocol.
pub(super) const ROUTES: &[Route] = &[Route { pattern: &["openapi.json"], methods: &[("GET", get), ("HEAD", get)] }];

fn get(_: &Request, _: &[&str]) -> Result<Response, Problem> {
    Ok(Response::new(200).header("cache-control", "no-cache").content("application/json", DOCUMENT))
}

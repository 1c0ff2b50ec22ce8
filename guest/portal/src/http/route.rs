//! A route: a pattern of paths with its handlers.

use portico_guest::http::{Problem, Request, Response};

pub(super) type Handler = fn(&Request, &[&str]) -> Result<Response, Problem>;

/// A pattern of paths, and the handlers of its methods.
pub(super) struct Route {
    /// The segments of the path; `*` matches any one segment, which handlers get undecoded.
    pub(super) pattern: &'static [&'static str],
    /// Methods and their handlers. `OPTIONS` is implied unless it has a handler.
    pub(super) methods: &'static [(&'static str, Handler)],
}

impl Route {
    /// Returns the segments of a path at the `*` of the pattern, if the path matches.
    pub(super) fn parameters<'p>(&self, segments: &[&'p str]) -> Option<Vec<&'p str>> {
        let fits = |(pattern, segment): (&&str, &&str)| *pattern == "*" || pattern == segment;
        let all = self.pattern.len() == segments.len() && self.pattern.iter().zip(segments).all(fits);
        let parameters = self.pattern.iter().zip(segments).filter(|(pattern, _)| **pattern == "*");
        all.then(|| parameters.map(|(_, segment)| *segment).collect())
    }

    /// Returns the value of the `Allow` field.
    pub(super) fn allow(&self) -> String {
        let methods = self.methods.iter().map(|(method, _)| *method).filter(|method| *method != "OPTIONS");
        methods.chain(["OPTIONS"]).collect::<Vec<_>>().join(", ")
    }
}

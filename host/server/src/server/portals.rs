//! The portals of a server, and the choice of the one that answers a request.
//!
//! Invariants: a portal with a host name goes before those without, and a longer prefix before a shorter one; a prefix ends at
//! the end of a path segment; a portal sees paths without its prefix. A portal may be replaced at any time: requests that run
//! keep the component that they began with.

use crate::runtime::{PortalLabel, Runtime};
use http::uri::PathAndQuery;
use http::{HeaderValue, Uri};
use std::cmp::Reverse;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::sync::Semaphore;

/// One portal of a server.
pub struct Portal {
    label: PortalLabel,
    host: Option<String>,
    /// Empty, or a path without a slash at its end.
    prefix: String,
    /// The page needs no token; see [`Portal::with_public_page`].
    pub(super) has_public_page: bool,
    runtime: RwLock<Arc<Runtime>>,
    /// A permit for each of its guests that may run.
    pub(super) guests: Arc<Semaphore>,
}

impl Portal {
    /// Creates the only portal of a server, which answers all requests.
    pub fn new(runtime: Runtime) -> Portal {
        Portal {
            label: PortalLabel::default(),
            host: None,
            prefix: String::new(),
            has_public_page: false,
            guests: Arc::new(Semaphore::new(runtime.limits().guests as usize)),
            runtime: RwLock::new(Arc::new(runtime)),
        }
    }

    /// Serves the page (GET and HEAD of `/` and `/page/`) without a token, because a browser asks for the page before its user
    /// can enter one. Only for a portal whose page has no data.
    #[must_use]
    pub fn with_public_page(self, has_public_page: bool) -> Portal {
        Portal { has_public_page, ..self }
    }

    /// Makes the portal one of several, which answers the requests for a host name and below a path prefix.
    #[must_use]
    pub fn at(self, label: PortalLabel, host: Option<String>, prefix: String) -> Portal {
        Portal { label, host, prefix, ..self }
    }

    /// Returns the label in metrics.
    pub fn label(&self) -> &PortalLabel {
        &self.label
    }

    /// Returns the current component.
    pub fn runtime(&self) -> Arc<Runtime> {
        self.runtime.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Replaces the component. Guests of the old one run to their end.
    pub fn replace(&self, runtime: Runtime) {
        *self.runtime.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(runtime);
    }

    /// Returns the path prefix as a header value; `None` at the root.
    pub(super) fn prefix(&self) -> Option<HeaderValue> {
        Some(&self.prefix).filter(|prefix| !prefix.is_empty()).and_then(|prefix| HeaderValue::from_str(prefix).ok())
    }

    /// Reports whether a path is the prefix itself, below which relative links would lead astray.
    pub(super) fn is_bare_prefix(&self, path: &str) -> bool {
        !self.prefix.is_empty() && path == self.prefix
    }

    /// Returns a path as the guests of this portal see it.
    pub(super) fn inner<'p>(&self, path: &'p str) -> &'p str {
        path.strip_prefix(&*self.prefix).unwrap_or(path)
    }

    /// Removes the prefix from the target of a request.
    pub(super) fn strip(&self, uri: &mut Uri) {
        if self.prefix.is_empty() {
            return;
        }
        let Some(target) = uri.path_and_query() else { return };
        let inner = PathAndQuery::try_from(self.inner(target.as_str()));
        let mut parts = uri.clone().into_parts();
        if let Ok(inner) = inner {
            parts.path_and_query = Some(inner);
            if let Ok(stripped) = Uri::from_parts(parts) {
                *uri = stripped;
            }
        }
    }

    fn answers(&self, host: Option<&str>, path: &str) -> bool {
        let is_host = self.host.as_ref().is_none_or(|own| host.is_some_and(|host| host.eq_ignore_ascii_case(own)));
        let below = path.strip_prefix(&*self.prefix);
        is_host && below.is_some_and(|rest| self.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
    }
}

/// The portals of a server. Clones share them.
#[derive(Clone)]
pub struct Portals(Arc<[Portal]>);

impl Portals {
    /// Takes the portals of a server.
    pub fn new(mut portals: Vec<Portal>) -> Portals {
        portals.sort_by_key(|portal| (portal.host.is_none(), Reverse(portal.prefix.len())));
        Portals(portals.into())
    }

    /// Returns the portals.
    pub fn iter(&self) -> impl Iterator<Item = &Portal> {
        self.0.iter()
    }

    /// Returns the place of the portal that answers a request.
    pub(super) fn find(&self, host: Option<&str>, path: &str) -> Option<usize> {
        self.0.iter().position(|portal| portal.answers(host, path))
    }

    /// Returns the portal in a place.
    pub(super) fn at(&self, place: usize) -> &Portal {
        &self.0[place]
    }

    /// Reports whether a portal has this host name.
    pub(super) fn has_host(&self, host: &str) -> bool {
        self.0.iter().any(|portal| portal.host.as_ref().is_some_and(|own| host.eq_ignore_ascii_case(own)))
    }
}

impl From<Runtime> for Portals {
    fn from(runtime: Runtime) -> Portals {
        Portals::new(vec![Portal::new(runtime)])
    }
}

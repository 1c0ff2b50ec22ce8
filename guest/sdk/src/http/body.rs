//! The body of a request, on the host or in a native test.
//!
//! Invariant: the host's body outlives its stream, as the host demands, because the request keeps the body.

use crate::IoError;

/// Returns whether a body failed because the client stopped sending.
#[must_use]
pub fn is_stalled(error: &IoError) -> bool {
    #[cfg(target_family = "wasm")]
    {
        use crate::bindings::wasi::http::types::{ErrorCode, http_error_code};
        matches!(http_error_code(error), Some(ErrorCode::ConnectionReadTimeout))
    }
    #[cfg(not(target_family = "wasm"))]
    error.is_stalled()
}

#[cfg(target_family = "wasm")]
mod host {
    use crate::InputStream;
    use crate::bindings::wasi::http::types::{IncomingBody, IncomingRequest};
    use std::cell::Cell;

    pub(crate) struct Body {
        taken: Cell<Option<IncomingBody>>,
        request: IncomingRequest,
    }

    impl Body {
        pub(crate) fn new(request: IncomingRequest) -> Self {
            Body { taken: Cell::new(None), request }
        }

        /// Takes the content. Call this once.
        pub(crate) fn stream(&self) -> InputStream {
            let body = self.request.consume().expect("the body is taken once");
            let stream = body.stream().expect("the stream is taken once");
            self.taken.set(Some(body));
            stream
        }

        /// Returns a field of the trailers, and drops the body. The stream must have been read to its end, and dropped.
        pub(crate) fn trailer(&self, name: &str) -> Option<String> {
            let trailers = IncomingBody::finish(self.taken.take()?);
            trailers.subscribe().block();
            let fields = trailers.get()?.ok()?.ok()??;
            let value = fields.get(name).into_iter().next()?;
            String::from_utf8(value).ok()
        }

        /// Drops the body. The stream must have been dropped.
        pub(crate) fn release(&self) {
            drop(self.taken.take());
        }
    }
}

#[cfg(target_family = "wasm")]
pub(crate) use host::Body;

#[cfg(not(target_family = "wasm"))]
mod test {
    use crate::InputStream;
    use std::cell::Cell;

    /// A body that a test gives.
    #[derive(Default)]
    pub(crate) struct Body {
        pub(crate) content: Cell<Option<InputStream>>,
        pub(crate) trailers: Vec<(String, String)>,
    }

    impl Body {
        pub(crate) fn stream(&self) -> InputStream {
            self.content.take().expect("the body is taken once")
        }

        pub(crate) fn trailer(&self, name: &str) -> Option<String> {
            let found = self.trailers.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value.clone())
        }

        pub(crate) fn release(&self) {}
    }
}

#[cfg(not(target_family = "wasm"))]
pub(crate) use test::Body;

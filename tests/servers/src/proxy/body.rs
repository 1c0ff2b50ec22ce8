//! Bodies of answers: passed as they come, whole or up to their half.

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

enum Source {
    Incoming(Incoming),
    Bytes(Option<Bytes>),
}

pub(super) struct Passed {
    source: Source,
    /// What the head says of the length.
    hint: SizeHint,
    /// How many bytes go before the cut; absent: all, and no cut.
    left: Option<u64>,
    /// Whether what went before the cut has been flushed.
    flushed: bool,
}

impl Passed {
    pub(super) fn whole(body: Incoming) -> Self {
        Passed { hint: body.size_hint(), source: Source::Incoming(body), left: None, flushed: false }
    }

    pub(super) fn text(text: String) -> Self {
        Passed {
            hint: SizeHint::with_exact(text.len() as u64),
            source: Source::Bytes(Some(text.into())),
            left: None,
            flushed: false,
        }
    }

    /// The first half; absent where there is nothing to halve. A body whose length is not known before, as that of a
    /// listing, is gathered.
    pub(super) async fn half(body: Incoming) -> Option<Self> {
        let hint = body.size_hint();
        let (source, size) = match hint.exact() {
            Some(size) => (Source::Incoming(body), size),
            None => {
                let bytes = body.collect().await.ok()?.to_bytes();
                let size = bytes.len() as u64;
                (Source::Bytes(Some(bytes)), size)
            }
        };
        (size > 0).then_some(Passed { source, hint, left: Some(size / 2), flushed: false })
    }
}

impl Body for Passed {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        if self.left == Some(0) {
            // hyper flushes when a body has nothing for it, and drops what it holds when a body fails.
            if !self.flushed {
                self.flushed = true;
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            return Poll::Ready(Some(Err(io::Error::other("cut half"))));
        }
        let frame = match &mut self.source {
            Source::Incoming(body) => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => frame.map(|frame| frame.map_err(io::Error::other)),
                Poll::Pending => return Poll::Pending,
            },
            Source::Bytes(bytes) => bytes.take().map(|bytes| Ok(Frame::data(bytes))),
        };
        let frame = match (frame, &mut self.left) {
            (Some(Ok(frame)), Some(left)) => frame.into_data().map_or(None, |mut data| {
                data.truncate((*left).min(data.len() as u64) as usize);
                *left -= data.len() as u64;
                Some(Ok(Frame::data(data)))
            }),
            (frame, _) => frame,
        };
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            _ if self.left.is_some() => false,
            Source::Incoming(body) => body.is_end_stream(),
            Source::Bytes(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        self.hint
    }
}

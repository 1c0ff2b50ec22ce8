//! Content in memory, in the frames that it arrived in. Sent without a copy.

use aws_sdk_s3::primitives::{ByteStream, SdkBody};
use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

/// A sequence of frames.
#[derive(Clone, Debug, Default)]
pub(crate) struct Frames {
    frames: Vec<Bytes>,
    len: u64,
}

impl Frames {
    pub(crate) fn push(&mut self, frame: Bytes) {
        self.len += frame.len() as u64;
        self.frames.push(frame);
    }

    /// Returns the total size, in bytes.
    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.frames.iter()
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = Bytes> {
        self.frames.into_iter()
    }

    /// Copies all frames into one buffer.
    pub(crate) fn joined(&self) -> Bytes {
        if let [only] = self.frames.as_slice() {
            return only.clone();
        }
        let mut all = BytesMut::with_capacity(usize::try_from(self.len).unwrap_or(0));
        self.frames.iter().for_each(|frame| all.extend_from_slice(frame));
        all.freeze()
    }

    /// Returns a body of known length, which shares the frames.
    pub(crate) fn stream(&self) -> ByteStream {
        let body = FramesBody { frames: self.frames.iter().cloned().collect(), rest: self.len };
        ByteStream::new(SdkBody::from_body_1_x(body))
    }
}

impl From<Bytes> for Frames {
    fn from(bytes: Bytes) -> Self {
        Frames { len: bytes.len() as u64, frames: vec![bytes] }
    }
}

struct FramesBody {
    frames: VecDeque<Bytes>,
    rest: u64,
}

impl Body for FramesBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.frames.pop_front().map(|frame| {
            self.rest -= frame.len() as u64;
            Ok(Frame::data(frame))
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.rest == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest)
    }
}

//! Writes the output of a guest to the log, line by line.

use super::limits::{OUTPUT_BYTES, OUTPUT_LINE};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// One output stream of a guest. Clones are handles of the same stream.
#[derive(Clone)]
pub(crate) struct GuestOutput(Arc<Mutex<LineBuffer>>);

struct LineBuffer {
    /// The id of the guest's request.
    request: Arc<str>,
    /// `stdout` or `stderr`.
    name: &'static str,
    line: Vec<u8>,
    left: usize,
}

impl GuestOutput {
    pub(crate) fn new(request: Arc<str>, name: &'static str) -> GuestOutput {
        GuestOutput(Arc::new(Mutex::new(LineBuffer { request, name, line: Vec::new(), left: OUTPUT_BYTES })))
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl LineBuffer {
    fn push(&mut self, bytes: &[u8]) {
        if self.left == 0 {
            return;
        }
        let taken = bytes.len().min(self.left);
        self.left -= taken;
        for &byte in &bytes[..taken] {
            if byte == b'\n' {
                self.emit();
                continue;
            }
            self.line.push(byte);
            if self.line.len() == OUTPUT_LINE {
                self.emit();
            }
        }
        if self.left == 0 {
            self.emit();
            tracing::warn!(target: "portal", parent: None, request = &*self.request, output = self.name, "too much output; the rest is discarded");
        }
    }

    fn emit(&mut self) {
        if !self.line.is_empty() {
            let line = String::from_utf8_lossy(&self.line).replace(char::is_control, " ");
            tracing::info!(target: "portal", parent: None, request = &*self.request, output = self.name, "{line}");
            self.line.clear();
        }
    }
}

impl Drop for LineBuffer {
    fn drop(&mut self) {
        self.emit();
    }
}

impl IsTerminal for GuestOutput {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for GuestOutput {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for GuestOutput {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        self.push(&bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(OUTPUT_BYTES)
    }
}

#[async_trait::async_trait]
impl Pollable for GuestOutput {
    async fn ready(&mut self) {}
}

impl AsyncWrite for GuestOutput {
    fn poll_write(self: Pin<&mut Self>, _: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.push(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

//! What a guest prints, as lines of the host's log.

use super::limits::{OUTPUT_BYTES, OUTPUT_LINE};
use bytes::Bytes;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use tokio::io::AsyncWrite;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamResult};

/// One output of one guest. Clones are handles of the same output.
#[derive(Clone)]
pub(crate) struct Output(Arc<Mutex<Lines>>);

struct Lines {
    /// The request that the guest runs for.
    request: Arc<str>,
    /// `stdout` or `stderr`.
    name: &'static str,
    line: Vec<u8>,
    left: usize,
}

impl Output {
    pub(crate) fn new(request: Arc<str>, name: &'static str) -> Output {
        Output(Arc::new(Mutex::new(Lines { request, name, line: Vec::new(), left: OUTPUT_BYTES })))
    }

    fn push(&self, bytes: &[u8]) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(bytes);
    }
}

impl Lines {
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
            tracing::warn!(target: "portal", parent: None, request = &*self.request, output = self.name, "too much output; the rest is dropped");
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

impl Drop for Lines {
    fn drop(&mut self) {
        self.emit();
    }
}

impl IsTerminal for Output {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for Output {
    fn async_stream(&self) -> Box<dyn AsyncWrite + Send + Sync> {
        Box::new(self.clone())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(self.clone())
    }
}

impl OutputStream for Output {
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
impl Pollable for Output {
    async fn ready(&mut self) {}
}

impl AsyncWrite for Output {
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

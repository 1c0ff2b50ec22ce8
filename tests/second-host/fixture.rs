//! The interface `portico:conformance/fixture`, for cases of one instance.

use crate::bindings::fixture::{self, Ending, Outcome, Piece};
use crate::state::State;
use bytes::Bytes;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, InputStream, Pollable, StreamError, StreamResult};

/// What a case has said so far.
#[derive(Default)]
pub(crate) struct Board {
    pub(crate) outcome: Option<Outcome>,
    pub(crate) objects: Vec<(String, Vec<Piece>)>,
    pub(crate) parts: Vec<(Vec<String>, String, Vec<Piece>)>,
    words: Vec<String>,
    sources: Arc<Mutex<HashMap<u32, Sources>>>,
}

/// The sources of a seed.
#[derive(Default)]
struct Sources {
    alive: u32,
    ended: bool,
}

/// Returns the bytes of a pattern, as the documentation of `source` defines them.
fn pattern(seed: u32, start: u64, count: usize) -> Vec<u8> {
    let word = |index: u64| {
        let z = (u64::from(seed) << 32).wrapping_add(index).wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    };
    (start..start + count as u64).map(|at| word(at / 8).to_le_bytes()[(at % 8) as usize]).collect()
}

/// Returns the bytes of pieces.
pub(crate) fn content(pieces: &[Piece]) -> Vec<u8> {
    pieces.iter().flat_map(|piece| pattern(piece.seed, piece.start, piece.size as usize)).collect()
}

struct Source {
    sources: Arc<Mutex<HashMap<u32, Sources>>>,
    seed: u32,
    at: u64,
    size: Option<u64>,
    chunk: u32,
    ending: Option<Ending>,
}

fn change(sources: &Mutex<HashMap<u32, Sources>>, seed: u32, change: impl FnOnce(&mut Sources)) {
    change(sources.lock().unwrap_or_else(PoisonError::into_inner).entry(seed).or_default());
}

impl Drop for Source {
    fn drop(&mut self) {
        change(&self.sources, self.seed, |sources| sources.alive -= 1);
    }
}

#[async_trait::async_trait]
impl Pollable for Source {
    async fn ready(&mut self) {
        if self.size == Some(self.at) && self.ending == Some(Ending::Stall) {
            change(&self.sources, self.seed, |sources| sources.ended = true);
            std::future::pending().await
        }
    }
}

impl InputStream for Source {
    fn read(&mut self, size: usize) -> StreamResult<Bytes> {
        let rest = self.size.map_or(u64::MAX, |size| size - self.at);
        let count = rest.min(self.chunk.into()).min(size as u64);
        if rest > 0 {
            let chunk = pattern(self.seed, self.at, count as usize);
            self.at += count;
            return Ok(chunk.into());
        }
        change(&self.sources, self.seed, |sources| sources.ended = true);
        match self.ending {
            Some(Ending::Stall) => Ok(Bytes::new()),
            Some(Ending::Fail) => {
                self.ending = None;
                Err(StreamError::LastOperationFailed(wasmtime::format_err!("the source fails on purpose")))
            }
            Some(Ending::Close) | None => Err(StreamError::Closed),
        }
    }
}

impl fixture::Host for State {
    async fn source(
        &mut self,
        seed: u32,
        size: Option<u64>,
        chunk: u32,
        ending: Ending,
    ) -> wasmtime::Result<Resource<DynInputStream>> {
        let sources = self.board.sources.clone();
        change(&sources, seed, |sources| sources.alive += 1);
        let source: DynInputStream = Box::new(Source { sources, seed, at: 0, size, chunk, ending: Some(ending) });
        Ok(self.table.push(source)?)
    }

    async fn await_end(&mut self, seed: u32) -> wasmtime::Result<()> {
        self.until(seed, |sources| sources.ended).await
    }

    async fn await_drop(&mut self, seed: u32) -> wasmtime::Result<()> {
        self.until(seed, |sources| sources.alive == 0).await
    }

    async fn keep_object(&mut self, _: String, key: String, content: Vec<Piece>) -> wasmtime::Result<()> {
        self.board.objects.push((key, content));
        Ok(())
    }

    async fn keep_part(&mut self, scope: Vec<String>, key: String, content: Vec<Piece>) -> wasmtime::Result<()> {
        self.board.parts.push((scope, key, content));
        Ok(())
    }

    async fn ends(&mut self, how: Outcome) -> wasmtime::Result<()> {
        self.board.outcome = Some(how);
        Ok(())
    }

    async fn instance(&mut self) -> wasmtime::Result<u32> {
        Ok(0)
    }

    async fn meet(&mut self) -> wasmtime::Result<()> {
        Ok(())
    }

    async fn kill(&mut self, _: u32) -> wasmtime::Result<()> {
        Err(wasmtime::format_err!("there is no other instance"))
    }

    async fn report(&mut self, word: String) -> wasmtime::Result<()> {
        self.board.words.push(word);
        Ok(())
    }

    async fn reports(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.board.words.clone())
    }
}

impl State {
    /// Waits until the sources of a seed are in a state. One instance does one thing at a time, so nothing can change
    /// while it waits.
    async fn until(&mut self, seed: u32, is_there: impl Fn(&Sources) -> bool) -> wasmtime::Result<()> {
        let mut sources = self.board.sources.lock().unwrap_or_else(PoisonError::into_inner);
        match is_there(sources.entry(seed).or_default()) {
            true => Ok(()),
            false => Err(wasmtime::format_err!("the sources of seed {seed} would be waited for without an end")),
        }
    }
}

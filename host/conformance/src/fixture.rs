//! The interface `portico:conformance/fixture` for one instance.

use crate::bindings::portico::conformance::fixture as wit;
use crate::board::{Board, ObjectClaim, PartClaim};
use crate::source::Source;
use std::sync::Arc;
use wasmtime::component::{HasData, Resource, ResourceTable};
use wasmtime_wasi::p2::DynInputStream;

/// The runner's side of one instance of a case.
pub struct Fixture {
    board: Arc<Board>,
    instance: u32,
    meetings: usize,
}

impl Fixture {
    pub(crate) fn new(board: Arc<Board>, instance: u32) -> Self {
        Fixture { board, instance, meetings: 0 }
    }
}

/// A fixture with the table of its guest's handles.
pub(crate) struct View<'a> {
    pub(crate) fixture: &'a mut Fixture,
    pub(crate) table: &'a mut ResourceTable,
}

/// Names the type of [`View`] for a linker.
pub(crate) struct ViewOf;

impl HasData for ViewOf {
    type Data<'a> = View<'a>;
}

impl wit::Host for View<'_> {
    async fn source(
        &mut self,
        seed: u32,
        size: Option<u64>,
        chunk: u32,
        ending: wit::Ending,
    ) -> wasmtime::Result<Resource<DynInputStream>> {
        let board = self.fixture.board.clone();
        board.source_made(seed);
        let source: DynInputStream = Box::new(Source { board, seed, at: 0, size, chunk, ending: Some(ending) });
        Ok(self.table.push(source)?)
    }

    async fn await_end(&mut self, seed: u32) -> wasmtime::Result<()> {
        self.fixture.board.await_end(seed).await;
        Ok(())
    }

    async fn await_drop(&mut self, seed: u32) -> wasmtime::Result<()> {
        self.fixture.board.await_drop(seed).await;
        Ok(())
    }

    async fn keep_object(&mut self, bucket: String, key: String, content: Vec<wit::Piece>) -> wasmtime::Result<()> {
        self.fixture.board.change(|state| state.claims.objects.push(ObjectClaim { bucket, key, content }));
        Ok(())
    }

    async fn keep_part(
        &mut self,
        scope: Vec<String>,
        temp_key: String,
        content: Vec<wit::Piece>,
    ) -> wasmtime::Result<()> {
        self.fixture.board.change(|state| state.claims.parts.push(PartClaim { scope, temp_key, content }));
        Ok(())
    }

    async fn ends(&mut self, how: wit::Outcome) -> wasmtime::Result<()> {
        let instance = self.fixture.instance;
        self.fixture.board.change(|state| _ = state.outcomes.insert(instance, how));
        Ok(())
    }

    async fn instance(&mut self) -> wasmtime::Result<u32> {
        Ok(self.fixture.instance)
    }

    async fn meet(&mut self) -> wasmtime::Result<()> {
        let round = self.fixture.meetings;
        self.fixture.meetings += 1;
        self.fixture.board.meet(round).await;
        Ok(())
    }

    async fn kill(&mut self, instance: u32) -> wasmtime::Result<()> {
        self.fixture.board.kill(instance).await;
        Ok(())
    }

    async fn report(&mut self, word: String) -> wasmtime::Result<()> {
        self.fixture.board.change(|state| state.words.push(word));
        Ok(())
    }

    async fn reports(&mut self) -> wasmtime::Result<Vec<String>> {
        Ok(self.fixture.board.look(|state| state.words.clone()))
    }
}

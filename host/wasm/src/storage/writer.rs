//! The resource `writer`. A sink is its child in the table, so dropping or finishing the writer before its sink traps.

use super::{Failure, Result, StorageCtxView};
use crate::bindings::portico::storage::storage as wit;
use crate::streams::GuestWriter;
use portico_store::{Argument, Error};
use wasmtime::component::Resource;
use wasmtime_wasi::p2::{DynInputStream, DynOutputStream};

impl wit::HostWriter for StorageCtxView<'_> {
    async fn pull(&mut self, writer: Resource<GuestWriter>, content: Resource<DynInputStream>) -> Result<u64> {
        let source = self.take_content(content);
        let writer = without_sink(self.table.get_mut(&writer)?)?;
        match source {
            Ok(mut source) => {
                let pulled = writer.pull(&mut source).await;
                Ok(source.outcome(pulled)??)
            }
            Err(Failure::Fault(_)) => Err(writer.fail(Error::InvalidArgument(Argument::Content)).await.into()),
            Err(trap) => Err(trap),
        }
    }

    async fn sink(&mut self, writer: Resource<GuestWriter>) -> Result<Resource<DynOutputStream>> {
        let sink: DynOutputStream = Box::new(without_sink(self.table.get_mut(&writer)?)?.sink()?);
        Ok(self.table.push_child(sink, &writer)?)
    }

    async fn finish(&mut self, writer: Resource<GuestWriter>, expected: wit::Expected) -> Result<wit::Receipt> {
        without_sink(self.table.get_mut(&writer)?)?;
        let writer = self.table.delete(writer)?;
        Ok(writer.finish(expected.try_into()?).await?.into())
    }

    async fn drop(&mut self, writer: Resource<GuestWriter>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

fn without_sink(writer: &mut GuestWriter) -> Result<&mut GuestWriter> {
    if writer.is_shared() {
        return Err(Failure::Trap(wasmtime::format_err!("the writer's sink must be dropped first")));
    }
    Ok(writer)
}

//! The resource `writer`.

use super::source::{Pull, Status};
use super::wit;
use crate::StorageCtxView;
use crate::storage::{Failure, Result, Storage};
use crate::streams::GuestWriter;
use wasmtime::component::{Accessor, Resource, ResourceTable, StreamReader};

impl wit::HostWriter for StorageCtxView<'_> {
    fn drop(&mut self, writer: Resource<GuestWriter>) -> wasmtime::Result<()> {
        self.table.delete(writer)?;
        Ok(())
    }
}

impl<T: Send + 'static> wit::HostWriterWithStore<T> for Storage {
    async fn pull(
        accessor: &Accessor<T, Self>,
        writer: Resource<GuestWriter>,
        content: StreamReader<u8>,
        status: Status,
    ) -> Result<u64> {
        let mut source = accessor.with(|access| Pull::take(access, content, status))?;
        let (upload, _call) = accessor.with(|mut access| -> Result<_> {
            let view = access.get();
            Ok((idle(view.table, &writer)?.share(), view.ctx.call()?))
        })?;
        Ok(upload.pull(&mut source).await?)
    }

    async fn finish(
        accessor: &Accessor<T, Self>,
        writer: Resource<GuestWriter>,
        expected: wit::Expected,
    ) -> Result<wit::Receipt> {
        let (writer, call) = accessor.with(|mut access| -> Result<_> {
            let view = access.get();
            idle(view.table, &writer)?;
            Ok((view.table.delete(writer)?, view.ctx.call()))
        })?;
        let _call = call?;
        Ok(writer.finish(expected.try_into()?).await?.into())
    }
}

/// Finds a writer, and traps while a pull of it runs.
fn idle<'a>(table: &'a ResourceTable, writer: &Resource<GuestWriter>) -> Result<&'a GuestWriter> {
    let writer = table.get(writer)?;
    if writer.is_shared() {
        return Err(Failure::Trap(wasmtime::format_err!("a pull of this writer runs")));
    }
    Ok(writer)
}

//! Links the host functions for guests that are called without `async`: each blocks its thread until it is done.
//!
//! The functions are those of the asynchronous face, so both always do the same. The table below has their names and
//! arguments once more; wasmtime compares both with a component's imports when the component is linked.

use super::link::checked;
use super::reader::FinalReader;
use super::{StorageCtxView, StorageView, Store, wit};
use crate::streams::GuestWriter;
use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, Resource, ResourceType};
use wasmtime_wasi::WasiView;
use wasmtime_wasi::p2::{DynInputStream, IoError};
use wasmtime_wasi::runtime::in_tokio;

/// Adds `portico:storage` to a linker whose guests are called without `async`. [`wasmtime_wasi::p2::add_to_linker_sync`]
/// adds the `wasi:io` interfaces that it depends on.
///
/// As in `wasmtime_wasi`, each function blocks its thread on the current Tokio runtime, or on a runtime of
/// `wasmtime_wasi` where there is none. Inside of an asynchronous task this panics: call the guest on a thread of its own
/// or through [`tokio::task::spawn_blocking`].
///
/// # Errors
/// If the linker already has the interface.
pub fn add_to_linker_sync<T: StorageView + WasiView + 'static>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    add_to_linker_sync_with(linker, checked::<T>)
}

/// Adds `portico:storage` to a linker of any type of data, as [`crate::add_to_linker_with`] does, for guests that are
/// called without `async`.
///
/// # Errors
/// If the linker already has the interface.
pub fn add_to_linker_sync_with<T: Send + 'static>(
    linker: &mut Linker<T>,
    getter: fn(&mut T) -> StorageCtxView<'_>,
) -> wasmtime::Result<()> {
    let mut instance = linker.instance("portico:storage/storage@0.2.0")?;

    macro_rules! resource {
        ($name:literal, $resource:ty, $trait:ident) => {
            instance.resource($name, ResourceType::host::<$resource>(), move |mut cx, rep| {
                in_tokio(wit::$trait::drop(&mut getter(cx.data_mut()), Resource::new_own(rep)))
            })?;
        };
    }
    // Functions whose only failures are traps.
    macro_rules! plain {
        ($($name:literal = $trait:ident::$method:ident($($arg:ident: $type:ty),*);)*) => {$(
            instance.func_wrap($name, move |mut cx: StoreContextMut<'_, T>, ($($arg,)*): ($($type,)*)| {
                Ok((in_tokio(wit::$trait::$method(&mut getter(cx.data_mut()), $($arg),*))?,))
            })?;
        )*};
    }
    // Functions that fail with an `error`.
    macro_rules! fallible {
        ($($name:literal = $trait:ident::$method:ident($($arg:ident: $type:ty),*);)*) => {$(
            instance.func_wrap($name, move |mut cx: StoreContextMut<'_, T>, ($($arg,)*): ($($type,)*)| {
                let mut storage = getter(cx.data_mut());
                let result = in_tokio(wit::$trait::$method(&mut storage, $($arg),*));
                Ok((match result {
                    Ok(value) => Ok(value),
                    Err(failure) => Err(wit::Host::convert_error(&mut storage, failure)?),
                },))
            })?;
        )*};
    }

    resource!("store", Store, HostStore);
    resource!("final-reader", FinalReader, HostFinalReader);
    resource!("writer", GuestWriter, HostWriter);
    plain! {
        "open" = Host::open();
        "error-of" = Host::error_of(error: Resource<IoError>);
        "[method]store.info" = HostStore::info(store: Resource<Store>);
        "[method]final-reader.receipt" = HostFinalReader::receipt(reader: Resource<FinalReader>);
    }
    type Text = String;
    type Content = Resource<DynInputStream>;
    type Range = Option<wit::ByteRange>;
    fallible! {
        "[method]store.scope" = HostStore::scope(store: Resource<Store>, name: Text);
        "[method]store.put-temp-part" = HostStore::put_temp_part(
            store: Resource<Store>, session: Text, number: u32, content: Content, options: wit::PartOptions);
        "[method]store.get-temp-part-stream" = HostStore::get_temp_part_stream(
            store: Resource<Store>, key: Text, range: Range);
        "[method]store.stat-temp-part" = HostStore::stat_temp_part(store: Resource<Store>, key: Text);
        "[method]store.join-temp-parts" = HostStore::join_temp_parts(
            store: Resource<Store>, session: Text, number: u32, parts: Vec<Text>);
        "[method]store.delete-temp-part" = HostStore::delete_temp_part(store: Resource<Store>, key: Text);
        "[method]store.list-temp-parts" = HostStore::list_temp_parts(
            store: Resource<Store>, session: Text, after: Option<Text>, limit: u32);
        "[method]store.list-temp-sessions" = HostStore::list_temp_sessions(
            store: Resource<Store>, after: Option<Text>, limit: u32);
        "[method]store.delete-session-parts" = HostStore::delete_session_parts(store: Resource<Store>, session: Text);
        "[method]store.interrupt" = HostStore::interrupt(store: Resource<Store>, session: Text);
        "[method]store.put-final" = HostStore::put_final(
            store: Resource<Store>, file: Text, content: Content, options: wit::FinalOptions);
        "[method]store.assemble-final" = HostStore::assemble_final(
            store: Resource<Store>, file: Text, parts: Vec<Text>, options: wit::FinalOptions);
        "[method]store.get-final-stream" = HostStore::get_final_stream(
            store: Resource<Store>, bucket: Text, key: Text, range: Range);
        "[method]store.open-final" = HostStore::open_final(store: Resource<Store>, file: Text);
        "[method]store.stat-final" = HostStore::stat_final(store: Resource<Store>, file: Text);
        "[method]store.stat-finals" = HostStore::stat_finals(store: Resource<Store>, files: Vec<Text>);
        "[method]store.delete-final" = HostStore::delete_final(store: Resource<Store>, bucket: Text, key: Text);
        "[method]store.list-finals" = HostStore::list_finals(store: Resource<Store>, after: Option<Text>, limit: u32);
        "[method]store.void-final" = HostStore::void_final(store: Resource<Store>, file: Text, reason: Text);
        "[method]store.purge-gone" = HostStore::purge_gone(store: Resource<Store>, before: u64, after: Option<Text>);
        "[method]store.create-temp-part" = HostStore::create_temp_part(
            store: Resource<Store>, session: Text, number: u32, options: wit::PartOptions);
        "[method]store.create-final" = HostStore::create_final(
            store: Resource<Store>, file: Text, options: wit::FinalOptions);
        "[method]store.create-record" = HostStore::create_record(store: Resource<Store>, name: Text, value: Vec<u8>);
        "[method]store.get-record" = HostStore::get_record(store: Resource<Store>, name: Text);
        "[method]store.replace-record" = HostStore::replace_record(
            store: Resource<Store>, name: Text, version: Text, value: Vec<u8>);
        "[method]store.delete-record" = HostStore::delete_record(
            store: Resource<Store>, name: Text, version: Option<Text>);
        "[method]store.list-records" = HostStore::list_records(
            store: Resource<Store>, prefix: Text, after: Option<Text>, limit: u32);
        "[method]final-reader.stream" = HostFinalReader::stream(reader: Resource<FinalReader>, range: Range);
        "[method]writer.pull" = HostWriter::pull(writer: Resource<GuestWriter>, content: Content);
        "[method]writer.sink" = HostWriter::sink(writer: Resource<GuestWriter>);
        "[static]writer.finish" = HostWriter::finish(writer: Resource<GuestWriter>, expected: wit::Expected);
    }
    Ok(())
}

//! Values: content on its way in or out. Both hand out streams of the host, so the bytes stay there.

use crate::Adapter;
use crate::bindings::exports::wasi::blobstore::types as wit;
use crate::limits::SYNC_MAX;
use crate::link;
use crate::places::{Place, store, text};
use portico_guest::bindings::portico::storage::storage;
use portico_guest::bindings::wasi::io::streams as wasi;
use portico_guest::{InputStream, ReadStream, StoredObject, random};
use std::cell::RefCell;
use std::io::Read;

impl wit::Guest for Adapter {
    type OutgoingValue = OutgoingValue;
    type IncomingValue = IncomingValue;
}

/// Content that an app writes. Dropping it discards the content.
#[derive(Default)]
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct OutgoingValue(RefCell<Outgoing>);

#[derive(Default)]
struct Outgoing {
    /// The content in progress and its file id, once the app has its stream.
    content: Option<(String, storage::Writer)>,
    /// Where `finish` links the content.
    place: Option<Place>,
}

impl OutgoingValue {
    /// Says where `finish` links the content.
    pub(crate) fn send_to(&self, place: Place) -> Result<(), String> {
        let mut value = self.0.borrow_mut();
        match value.place {
            Some(_) => Err("this value was given to write-data before".to_owned()),
            None => {
                value.place = Some(place);
                Ok(())
            }
        }
    }
}

impl wit::GuestOutgoingValue for OutgoingValue {
    fn new_outgoing_value() -> wit::OutgoingValue {
        wit::OutgoingValue::new(OutgoingValue::default())
    }

    #[expect(
        clippy::print_stderr,
        reason = "standard error is what the host logs, and the interface has no error here"
    )]
    fn outgoing_value_write_body(&self) -> Result<wasi::OutputStream, ()> {
        let mut value = self.0.borrow_mut();
        if value.content.is_some() {
            return Err(());
        }
        let (file, writer) = begin().map_err(|error| eprintln!("blobstore: {error}"))?;
        let sink = writer.sink().map_err(|error| eprintln!("blobstore: {}", text(error.into())))?;
        value.content = Some((file, writer));
        Ok(sink)
    }

    fn finish(this: wit::OutgoingValue) -> Result<(), String> {
        let Outgoing { content, place } = this.into_inner::<OutgoingValue>().0.into_inner();
        let place = place.ok_or("the value was not given to write-data")?;
        let (file, writer) = content.map_or_else(begin, Ok)?;
        link::write(&store()?, &place, &file, || {
            let nothing = storage::Expected { size: None, sha256: None, others: Vec::new() };
            Ok(StoredObject::from(storage::Writer::finish(writer, &nothing)?))
        })
    }
}

/// Begins content under a new id.
fn begin() -> Result<(String, storage::Writer), String> {
    let file = random::id();
    let store = storage::open().scope(crate::places::SCOPE).map_err(|error| text(error.into()))?;
    let options = portico_guest::FinalOptions::new();
    let writer = store.create_final(&file, &options.into()).map_err(|error| text(error.into()))?;
    Ok((file, writer))
}

/// Content that an app reads.
#[expect(unreachable_pub, reason = "the generated bindings name it")]
pub struct IncomingValue {
    /// The bytes, as a stream of the host.
    pub(crate) stream: InputStream,
    /// The number of bytes.
    pub(crate) size: u64,
}

impl wit::GuestIncomingValue for IncomingValue {
    fn incoming_value_consume_sync(this: wit::IncomingValue) -> Result<Vec<u8>, String> {
        let IncomingValue { stream, size } = this.into_inner();
        if size > SYNC_MAX {
            return Err(format!(
                "the value has {size} bytes, and incoming-value-consume-sync returns at most {SYNC_MAX}: read its \
                 stream (incoming-value-consume-async)"
            ));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or_default());
        ReadStream::new(stream).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
        Ok(bytes)
    }

    fn incoming_value_consume_async(this: wit::IncomingValue) -> Result<wasi::InputStream, String> {
        Ok(handle(this.into_inner::<IncomingValue>().stream))
    }

    fn size(&self) -> u64 {
        self.size
    }
}

/// Returns the handle of a stream. In a component the stream of the SDK is one.
#[cfg(target_family = "wasm")]
fn handle(stream: InputStream) -> wasi::InputStream {
    stream
}

/// A stream in memory, as native tests have it, is no handle.
#[cfg(not(target_family = "wasm"))]
fn handle(_: InputStream) -> wasi::InputStream {
    unreachable!("only a host calls it")
}

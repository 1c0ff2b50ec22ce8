//! Containers, and the operations on their objects.

use crate::Adapter;
use crate::bindings::exports::wasi::blobstore::{container as wit, types};
use crate::layout::Container;
use crate::link;
use crate::listing::Names;
use crate::places::{Content, Place, store, text};
use crate::value::{IncomingValue, OutgoingValue};

impl wit::Guest for Adapter {
    type Container = Container;
    type StreamObjectNames = Names;
}

/// Milliseconds of one second. The interface counts its timestamps in seconds, as its other hosts do.
const SECOND: u64 = 1_000;

impl wit::GuestContainer for Container {
    fn name(&self) -> Result<String, String> {
        Ok(self.name.clone())
    }

    fn info(&self) -> Result<wit::ContainerMetadata, String> {
        Ok(wit::ContainerMetadata { name: self.name.clone(), created_at: self.created / SECOND })
    }

    fn get_data(&self, name: String, start: u64, end: u64) -> Result<wit::IncomingValue, String> {
        // Opened now, so that a later deletion of the object does not matter.
        let content = Place::new(self, &name)?.read(&store()?, |size| range(start, end, size))?;
        let Content { stream, size, .. } = content;
        Ok(types::IncomingValue::new(IncomingValue { stream, size }))
    }

    fn write_data(&self, name: String, data: wit::OutgoingValueBorrow<'_>) -> Result<(), String> {
        data.get::<OutgoingValue>().send_to(Place::new(self, &name)?)
    }

    fn list_objects(&self) -> Result<wit::StreamObjectNames, String> {
        Ok(wit::StreamObjectNames::new(Names::of(&self.id)))
    }

    fn delete_object(&self, name: String) -> Result<(), String> {
        link::delete(&store()?, &Place::new(self, &name)?, None).map(drop)
    }

    fn delete_objects(&self, names: Vec<String>) -> Result<(), String> {
        let store = store()?;
        names.iter().try_for_each(|name| link::delete(&store, &Place::new(self, name)?, None).map(drop))
    }

    fn has_object(&self, name: String) -> Result<bool, String> {
        Ok(Place::new(self, &name)?.find(&store()?).map_err(text)?.is_some())
    }

    fn object_info(&self, name: String) -> Result<wit::ObjectMetadata, String> {
        let place = Place::new(self, &name)?;
        let (object, _) = place.find(&store()?).map_err(text)?.ok_or_else(|| place.missing())?;
        let created_at = object.created / SECOND;
        Ok(wit::ObjectMetadata { name, container: self.name.clone(), created_at, size: object.size })
    }

    fn clear(&self) -> Result<(), String> {
        crate::blobstore::delete_all(&store()?, self)
    }
}

/// Returns the half-open range of an inclusive one. An end beyond the content counts as its last byte, because apps ask for
/// `0..size` and `0..u64::MAX` to get all of an object.
///
/// # Errors
/// A start beyond the content, or behind the end. Only an empty object may be read from its end on.
fn range(start: u64, end: u64, size: u64) -> Result<std::ops::Range<u64>, String> {
    match size {
        0 if start == 0 => Ok(0..0),
        _ if start >= size => Err(format!("the range begins at byte {start} of an object of {size} bytes")),
        _ if start > end => Err(format!("the range begins at byte {start}, behind its end at byte {end}")),
        _ => Ok(start..end.min(size - 1) + 1),
    }
}

#[cfg(test)]
mod tests {
    use super::range;

    #[test]
    fn both_ends_of_a_range_are_in_it() {
        for (start, end, size, expected) in [
            (0, 0, 10, 0..1),
            (0, 9, 10, 0..10),
            (3, 5, 10, 3..6),
            (9, 9, 10, 9..10),
            (0, 10, 10, 0..10),
            (5, u64::MAX, 10, 5..10),
            (0, 0, 0, 0..0),
            (0, u64::MAX, 0, 0..0),
            (0, u64::MAX, u64::MAX, 0..u64::MAX),
        ] {
            assert_eq!(range(start, end, size), Ok(expected));
        }
        for (start, end, size) in [(10, 12, 10), (5, 4, 10), (u64::MAX, u64::MAX, 10), (1, 1, 0), (11, 5, 10)] {
            range(start, end, size).unwrap_err();
        }
    }
}

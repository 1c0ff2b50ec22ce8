//! Looks containers, objects and content up, and removes content.

use crate::layout::{CONTAINERS, Container, Object, identifier, objects_of};
use portico_adapter_common::{Attempts, open};
use portico_guest::{Error, InputStream, Store, clock, random};
use std::ops::Range;

/// The part of the store that belongs to this adapter.
pub(crate) const SCOPE: &str = "wasi-blobstore";

/// The reason under which ids are voided whose content must never be created.
const ABANDONED: &str = "abandoned";

/// Opens the adapter's part of the store.
pub(crate) fn store() -> Result<Store, String> {
    open(SCOPE).map_err(text)
}

/// Returns the text of an error of the store, which is all that the interface has for errors.
pub(crate) fn text(error: Error) -> String {
    match error {
        Error::Denied => "access denied by the storage backend".to_owned(),
        other => other.to_string(),
    }
}

/// Returns a container by its name, if it exists, with the version of its record.
pub(crate) fn find_container(store: &Store, name: &str) -> Result<Option<(Container, String)>, String> {
    container_by_key(store, &identifier(name)?).map_err(text)
}

/// Returns a container by the identifier of its name, as [`find_container`] does.
pub(crate) fn container_by_key(store: &Store, key: &str) -> Result<Option<(Container, String)>, Error> {
    let Some(record) = found(store.get_record(&format!("{CONTAINERS}{key}")))? else { return Ok(None) };
    Ok(Container::read(key, &record.value).map(|container| (container, record.version)))
}

/// Returns a container by its name.
pub(crate) fn container(store: &Store, name: &str) -> Result<Container, String> {
    let (container, _) = find_container(store, name)?.ok_or_else(|| format!("container '{name}' does not exist"))?;
    Ok(container)
}

/// Creates a container. Returns `None` if one of that name exists.
pub(crate) fn create_container(store: &Store, name: &str) -> Result<Option<Container>, String> {
    let (key, id, created) = (identifier(name)?, random::id(), clock::now_ms());
    let container = Container { key, id, created, name: name.to_owned() };
    match store.create_record(&format!("{CONTAINERS}{}", container.key), &container.write()) {
        Ok(_) => Ok(Some(container)),
        Err(Error::Conflict) => Ok(None),
        Err(error) => Err(text(error)),
    }
}

/// Content that is opened for reading.
pub(crate) struct Content {
    /// The bytes, as a stream of the host.
    pub(crate) stream: InputStream,
    /// The number of bytes.
    pub(crate) size: u64,
    /// The file id.
    pub(crate) file: String,
}

/// The place of an object: a name in a container.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    /// The container.
    pub(crate) container: Container,
    /// The identifier of the object's name.
    pub(crate) key: String,
    /// The object's name.
    pub(crate) name: String,
}

impl Place {
    /// Returns the place of a name in a container.
    pub(crate) fn new(container: &Container, name: &str) -> Result<Place, String> {
        Ok(Place { container: container.clone(), key: identifier(name)?, name: name.to_owned() })
    }

    /// Returns the name of the object's record.
    pub(crate) fn record(&self) -> String {
        format!("{}{}", objects_of(&self.container.id), self.key)
    }

    /// Returns the error for an object that does not exist.
    pub(crate) fn missing(&self) -> String {
        format!("object '{}' does not exist in container '{}'", self.name, self.container.name)
    }

    /// Returns the object, if it exists, with the version of its record.
    pub(crate) fn find(&self, store: &Store) -> Result<Option<(Object, String)>, Error> {
        find_object(store, &self.record())
    }

    /// Opens a stream of the object's content. `range` returns the range for a size. The object may be replaced meanwhile, and the
    /// old content removed; then the new one is opened.
    pub(crate) fn read(
        &self,
        store: &Store,
        range: impl Fn(u64) -> Result<Range<u64>, String>,
    ) -> Result<Content, String> {
        let mut attempts = Attempts::default();
        let mut last = None;
        while attempts.begin() {
            let (Object { file, .. }, _) = self.find(store).map_err(text)?.ok_or_else(|| self.missing())?;
            if last.as_ref() == Some(&file) {
                break;
            }
            let reader = match store.open_final(&file) {
                Ok(reader) => reader,
                Err(Error::NotFound | Error::Gone { .. }) => {
                    last = Some(file);
                    continue;
                }
                Err(error) => return Err(text(error)),
            };
            let range = range(reader.receipt().size)?;
            let size = range.end - range.start;
            match reader.stream(range) {
                Ok(stream) => return Ok(Content { stream: stream.into_inner(), size, file }),
                Err(Error::NotFound | Error::Gone { .. }) => last = Some(file),
                Err(error) => return Err(text(error)),
            }
        }
        Err(format!("the content of object '{}' cannot be found", self.name))
    }
}

/// Returns the object of a record, as [`Place::find`] does.
pub(crate) fn find_object(store: &Store, record: &str) -> Result<Option<(Object, String)>, Error> {
    let Some(record) = found(store.get_record(record))? else { return Ok(None) };
    Ok(Object::read(&record.value).map(|(object, _)| (object, record.version)))
}

/// Removes content. No content can be created under its id afterwards.
pub(crate) fn remove_content(store: &Store, file: &str) -> Result<(), Error> {
    match store.stat_final(file) {
        Ok(stored) => store.delete_final(&stored.bucket, &stored.key).map(drop),
        Err(Error::Gone { .. }) => Ok(()),
        // A writer that has not completed the content fails from here on.
        Err(Error::NotFound) => match store.void_final(file, ABANDONED)? {
            true => Ok(()),
            false => match found(store.stat_final(file)) {
                Ok(Some(stored)) => store.delete_final(&stored.bucket, &stored.key).map(drop),
                Ok(None) | Err(Error::Gone { .. }) => Ok(()),
                Err(error) => Err(error),
            },
        },
        Err(error) => Err(error),
    }
}

/// Turns `not-found` into `None`.
pub(crate) fn found<T>(result: Result<T, Error>) -> Result<Option<T>, Error> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(Error::NotFound) => Ok(None),
        Err(error) => Err(error),
    }
}

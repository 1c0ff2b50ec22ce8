//! The containers of the store, and copies between them.

use crate::Adapter;
use crate::bindings::exports::wasi::blobstore::{blobstore as wit, container as container_wit};
use crate::layout::{CONTAINERS, Container, objects_of};
use crate::link;
use crate::note::Note;
use crate::places::{Content, Place, container, create_container, find_container, found, remove_content, store, text};
use portico_adapter_common::decode;
use portico_guest::{Error, FinalOptions, Page, Store, random};

/// Objects of one page.
const PAGE: u32 = 100;

impl wit::Guest for Adapter {
    fn create_container(name: String) -> Result<wit::Container, String> {
        let created = create_container(&store()?, &name)?;
        let created = created.ok_or_else(|| format!("container '{name}' already exists"))?;
        Ok(container_wit::Container::new(created))
    }

    fn get_container(name: String) -> Result<wit::Container, String> {
        Ok(container_wit::Container::new(container(&store()?, &name)?))
    }

    fn delete_container(name: String) -> Result<(), String> {
        let store = store()?;
        let (container, version) =
            find_container(&store, &name)?.ok_or_else(|| format!("container '{name}' does not exist"))?;
        let note = Note::DeleteContainer { container_key: container.key.clone(), container: container.id.clone() };
        match store.create_record(&note.record(), &note.write()) {
            Ok(_) | Err(Error::Conflict) => {}
            Err(error) => return Err(text(error)),
        }
        // From here on the container does not exist.
        match store.delete_record(&format!("{CONTAINERS}{}", container.key), Some(&version)) {
            Ok(_) | Err(Error::Conflict) => {}
            Err(error) => return Err(text(error)),
        }
        while remove_objects(&store, &container.id, PAGE).map_err(text)? {}
        link::forget(&store, &note);
        Ok(())
    }

    fn container_exists(name: String) -> Result<bool, String> {
        Ok(find_container(&store()?, &name)?.is_some())
    }

    fn copy_object(src: wit::ObjectId, dest: wit::ObjectId) -> Result<(), String> {
        copy(&store()?, &src, &dest).map(drop)
    }

    fn move_object(src: wit::ObjectId, dest: wit::ObjectId) -> Result<(), String> {
        let store = store()?;
        if src.container == dest.container && src.object == dest.object {
            let place = Place::new(&container(&store, &src.container)?, &src.object)?;
            return place.find(&store).map_err(text)?.map(drop).ok_or_else(|| place.missing());
        }
        let (place, file) = copy(&store, &src, &dest)?;
        // An object that was replaced meanwhile stays: it is not the one that was moved.
        link::delete(&store, &place, Some(&file)).map(drop)
    }
}

/// Copies an object within the host. Returns the place of the source, and the content that was copied.
fn copy(store: &Store, src: &wit::ObjectId, dest: &wit::ObjectId) -> Result<(Place, String), String> {
    let from = Place::new(&container(store, &src.container)?, &src.object)?;
    let to = Place::new(&container(store, &dest.container)?, &dest.object)?;
    let Content { stream, size, file: copied } = from.read(store, |size| Ok(0..size))?;
    let file = random::id();
    link::write(store, &to, &file, || store.put_final(&file, stream, FinalOptions::new().size(size)))?;
    Ok((from, copied))
}

/// Deletes all objects of a container that stays, one after the other.
pub(crate) fn delete_all(store: &Store, container: &Container) -> Result<(), String> {
    let prefix = objects_of(&container.id);
    let mut after = None;
    loop {
        let Page { items, next } = store.list_records(&prefix, after.as_deref(), PAGE).map_err(text)?;
        for record in items {
            let key = record.strip_prefix(&prefix).unwrap_or_default().to_owned();
            let name = decode(&key).unwrap_or_else(|| key.clone());
            link::delete(store, &Place { container: container.clone(), key, name }, None)?;
        }
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Removes at most `limit` objects of a container that does not exist any more. Returns whether more may be there.
pub(crate) fn remove_objects(store: &Store, container: &str, limit: u32) -> Result<bool, Error> {
    let page = store.list_records(&objects_of(container), None, limit)?;
    for record in &page.items {
        // The content goes first, because after a crash its record leads here again.
        if let Some((object, _)) = crate::places::find_object(store, record)? {
            remove_content(store, &object.file)?;
        }
        found(store.delete_record(record, None))?;
    }
    Ok(page.next.is_some())
}

//! `POST /files.zip`: several files as one ZIP archive, which is made while the client reads it.
//!
//! The ids of the files are the fields `id` of an HTML form, so a page needs no script for it. Contents are stored and
//! not compressed, so the response has a length.
//!
//! Invariants: contents pass through this guest, piece by piece, because the store has no CRC-32 of them; an archive
//! that cannot be completed is cut off, so no client takes it for a whole one.

use crate::{
    engine::RELATIVE_PATH,
    http::{files::original_filename, route::Route},
    limits::{ZIP_FILES_MAX, ZIP_FORM_MAX},
    policy::{
        zip::{self, Archive, Entry},
        zip_paths,
    },
};
use crc32fast::Hasher;
use percent_encoding::percent_decode_str;
use portico_guest::{
    Sink, Store, StoredObject,
    http::{Kind, Problem, Request, Response, disposition, media_type},
};
use std::{
    collections::HashSet,
    io::{self, BufRead, Write},
};

/// The routes of this protocol.
pub(super) const ROUTES: &[Route] = &[Route { pattern: &["files.zip"], methods: &[("POST", download)] }];

/// The media type of a form that has texts alone.
const FORM: &str = "application/x-www-form-urlencoded";

/// The suggested name of the archive.
const NAME: &str = "files.zip";

/// A file of the archive.
struct File {
    object: StoredObject,
    entry: Entry,
}

fn download(request: &Request, _: &[&str]) -> Result<Response, Problem> {
    let ids = ids(request)?;
    let mut objects = Vec::with_capacity(ids.len());
    for (id, object) in ids.iter().zip(Store::open().stat_finals(&ids)?) {
        let missing = || Problem::from(Kind::NOT_FOUND).detail(format!("no file has the id {id}")).field("id");
        objects.push(object.ok_or_else(missing)?);
    }
    let files = list(objects);
    let length = zip::length(files.iter().map(|file| &file.entry));
    Ok(Response::new(200)
        .header("cache-control", "no-store")
        .header("content-type", "application/zip")
        .header("content-disposition", disposition::attachment(NAME))
        .header("x-content-type-options", "nosniff")
        .header("content-security-policy", "sandbox")
        .made(length, move |sink| write(&files, sink)))
}

/// Reads the ids, each once.
fn ids(request: &Request) -> Result<Vec<String>, Problem> {
    request.must_be_whole_and_plain()?;
    if !request.field("content-type").is_some_and(|field| media_type::is(&field, FORM)) {
        return Err(Problem::from(Kind::UNSUPPORTED_MEDIA_TYPE).detail("application/x-www-form-urlencoded expected"));
    }
    let form = request.read(ZIP_FORM_MAX)?;
    let form = std::str::from_utf8(&form).map_err(|_| Problem::invalid("body", "not UTF-8"))?;
    let mut ids = Vec::new();
    let mut known = HashSet::new();
    for (key, value) in form.split('&').filter_map(|pair| pair.split_once('=')) {
        let id = percent_decode_str(value).decode_utf8().map_err(|_| Problem::invalid("id", "not UTF-8"))?;
        if key == "id" && known.insert(id.clone()) {
            ids.push(id.into_owned());
        }
    }
    match ids.len() {
        0 => Err(Problem::invalid("id", "at least one id of a file expected")),
        count if count > ZIP_FILES_MAX => {
            Err(Problem::invalid("id", format!("an archive can have at most {ZIP_FILES_MAX} files")))
        }
        _ => Ok(ids),
    }
}

/// Gives each file its place in the archive.
fn list(objects: Vec<StoredObject>) -> Vec<File> {
    let wanted = objects.iter().map(|object| {
        let path = object.metadata(RELATIVE_PATH).unwrap_or_else(|| original_filename(object));
        (path, object.file_id.as_str())
    });
    let paths = zip_paths::paths(wanted);
    let files = objects.into_iter().zip(paths).map(|(object, path)| {
        let entry = Entry { path, size: object.size, modified: object.created_at };
        File { object, entry }
    });
    files.collect()
}

/// Writes the archive.
fn write(files: &[File], sink: &mut Sink<'_>) -> io::Result<()> {
    let store = Store::open();
    let mut archive = Archive::default();
    for File { object, entry } in files {
        sink.write_all(&Archive::header(entry))?;
        let crc = copy(&store, object, sink)?;
        sink.write_all(&archive.descriptor(entry, crc))?;
    }
    sink.write_all(&archive.finish())?;
    sink.flush()
}

/// Writes the content of a file, and returns its CRC-32.
fn copy(store: &Store, object: &StoredObject, sink: &mut Sink<'_>) -> io::Result<u32> {
    let reader = store.open_final(&object.file_id).map_err(io::Error::other)?;
    if reader.receipt().sha256 != object.sha256 {
        return Err(io::Error::other("another file has the id"));
    }
    let mut content = reader.stream(..).map_err(io::Error::other)?;
    let mut crc = Hasher::new();
    let mut left = object.size;
    loop {
        let piece = content.fill_buf()?;
        let length = piece.len();
        if length == 0 {
            break;
        }
        left = left.checked_sub(length as u64).ok_or_else(|| io::Error::other("more content than the receipt says"))?;
        crc.update(piece);
        sink.write_all(piece)?;
        content.consume(length);
    }
    if left == 0 { Ok(crc.finalize()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}

//! Forms (`multipart/form-data`, RFC 7578): one or more files in one request, and fields as their metadata.
//!
//! A part with a filename is a file; any other part is a field (see [`crate::policy::form`]). An empty filename without
//! content is a file input where the person chose nothing, and is ignored.
//!
//! Invariants: the content of a file passes through this guest, because only a parser finds its end, and each piece is
//! written before the next one is read. A form that fails leaves no file: its client would send all of it again. If a
//! removal fails, the problem names the files that may remain.

use crate::{
    engine::ORIGINAL_FILENAME,
    http::form_reader::{FormReader, Part},
    limits::{FORM_FILES_MAX, FORM_PARTS_MAX, METADATA_BYTES_MAX},
    policy::{
        announced_name::{BadDisposition, Disposition},
        form::{BadField, Fields, SHA256},
        names,
    },
};
use portico_guest::{
    Error, Expected, FinalOptions, Store, StoredObject,
    http::{Kind, Problem, Request, media_type},
    random,
};
use std::io::Write;

/// The files of a form, all stored.
pub(super) struct Uploaded {
    /// The receipts, in the order of the form.
    pub(super) files: Vec<StoredObject>,
    /// The names of the fields after the last file.
    pub(super) unused: Vec<String>,
}

/// Stores the files of the form in the body of a request.
///
/// # Errors
/// If the form is malformed or incomplete, exceeds a limit, or a file cannot be stored.
pub(super) fn store(request: &Request, boundary: &str, store: &Store) -> Result<Uploaded, Problem> {
    if request.announced_digest()?.is_some() {
        let detail = "the digest of a form is not checked; send a field `sha256` before each file";
        return Err(Problem::invalid("content-digest", detail));
    }
    let mut upload = FormUpload { store, fields: Fields::default(), files: Vec::new(), uncertain: None };
    match upload.read(FormReader::new(request.body(), boundary)) {
        Ok(()) => Ok(Uploaded { files: upload.files, unused: upload.fields.unused() }),
        Err(problem) => Err(upload.undo(problem)),
    }
}

/// A form that is being stored.
struct FormUpload<'s> {
    store: &'s Store,
    fields: Fields,
    files: Vec<StoredObject>,
    /// The id of a file that may exist, although its last operation failed.
    uncertain: Option<String>,
}

impl FormUpload<'_> {
    fn read(&mut self, mut form: FormReader) -> Result<(), Problem> {
        let mut parts = 0;
        while let Some(part) = form.next()? {
            parts += 1;
            if parts > FORM_PARTS_MAX {
                return Err(Problem::invalid("body", format!("a form can have at most {FORM_PARTS_MAX} parts")));
            }
            let Disposition { kind, name, filename } = disposition(&part)?;
            let name = name.filter(|name| kind == "form-data" && !name.is_empty());
            let name = name.ok_or_else(|| Problem::invalid("body", "a part has no name"))?;
            must_be_plain(&part, &name)?;
            match filename {
                Some(filename) => self.file(&name, filename, part)?,
                None => self.field(&name, part)?,
            }
        }
        if self.fields.expects_file() {
            return Err(invalid(SHA256, "no file follows"));
        }
        if self.files.is_empty() {
            return Err(Problem::invalid("body", "the form has no file"));
        }
        form.finish()
    }

    fn field(&mut self, name: &str, mut part: Part<'_>) -> Result<(), Problem> {
        if part.header("content-type").is_some_and(|text| text.to_ascii_lowercase().starts_with(b"multipart/")) {
            let detail = "a multipart body in a form is not supported; send each file as a part of its own";
            return Err(Problem::from(Kind::UNSUPPORTED_MEDIA_TYPE).detail(detail).field(name.to_owned()));
        }
        let mut value = Vec::new();
        while let Some(bytes) = part.chunk()? {
            value.extend_from_slice(&bytes);
            if value.len() > METADATA_BYTES_MAX {
                return Err(refused(name, BadField::TooLarge));
            }
        }
        self.fields.add(name, &value).map_err(|bad| refused(name, bad))
    }

    fn file(&mut self, name: &str, filename: String, mut part: Part<'_>) -> Result<(), Problem> {
        if filename.is_empty() {
            while let Some(bytes) = part.chunk()? {
                if !bytes.is_empty() {
                    return Err(invalid(name, names::BadName::Length.reason()));
                }
            }
            return Ok(());
        }
        names::check_parameter(&filename).map_err(|bad| invalid(name, bad.reason()))?;
        if self.files.len() == FORM_FILES_MAX {
            return Err(invalid(name, format!("a form can have at most {FORM_FILES_MAX} files")));
        }
        let content_type = part.header("content-type").map(String::from_utf8_lossy);
        let content_type = media_type::announced(content_type.as_deref());
        let content_type = content_type.ok_or_else(|| invalid(name, media_type::EXPECTED))?;
        let mut options = FinalOptions::new().content_type(content_type).metadata(ORIGINAL_FILENAME, filename);
        let (metadata, sha256) = self.fields.next_file();
        options.metadata.extend(metadata);
        options.expected.sha256 = sha256;

        let id = random::id();
        let failed = |error: Error| Problem::from(error).field(name.to_owned());
        let mut writer = self.store.create_final(&id, options).map_err(failed)?;
        let mut sink = writer.sink().map_err(failed)?;
        while let Some(bytes) = part.chunk()? {
            sink.write_all(&bytes)
                .map_err(|error| Error::of_io(&error).cloned().map_or(Kind::INTERNAL.into(), failed))?;
        }
        drop(sink);
        match writer.finish(Expected::default()) {
            Ok(file) => self.files.push(file),
            Err(error) => {
                // The operation may have taken effect, although its answer was lost.
                self.uncertain = matches!(error, Error::Unavailable { .. } | Error::Internal { .. }).then_some(id);
                return Err(failed(error));
            }
        }
        Ok(())
    }

    /// Removes the files that were stored; adds to the problem which of them may remain.
    fn undo(self, problem: Problem) -> Problem {
        let is_gone = |file: &StoredObject| self.store.delete_final(&file.bucket, &file.key).is_ok();
        let stored = self.files.iter().filter(|file| !is_gone(file)).map(|file| file.file_id.clone());
        let uncertain = self.uncertain.iter().filter(|id| self.rule_out(id).is_err()).cloned();
        let remaining: Vec<String> = stored.chain(uncertain).collect();
        if remaining.is_empty() { problem } else { problem.member("remaining_files", remaining) }
    }

    /// Ensures that no file exists under an id.
    fn rule_out(&self, id: &str) -> Result<(), Error> {
        if !self.store.void_final(id, "form-failed")? {
            let file = match self.store.stat_final(id) {
                Err(Error::Gone { .. }) => return Ok(()),
                file => file?,
            };
            self.store.delete_final(&file.bucket, &file.key)?;
        }
        Ok(())
    }
}

/// Reads the disposition of a part.
fn disposition(part: &Part<'_>) -> Result<Disposition, Problem> {
    let value = part.header("content-disposition").ok_or(BadDisposition::Malformed);
    value.and_then(Disposition::of_part).map_err(|bad| invalid("content-disposition", bad.reason()))
}

/// Refuses content that is not sent as it is (RFC 7578, 4.7).
fn must_be_plain(part: &Part<'_>, name: &str) -> Result<(), Problem> {
    let coding = part.header("content-transfer-encoding").unwrap_or(b"binary").to_ascii_lowercase();
    if [b"7bit".as_slice(), b"8bit", b"binary"].contains(&coding.trim_ascii()) {
        return Ok(());
    }
    let detail = "Content-Transfer-Encoding is not supported in forms";
    Err(Problem::from(Kind::UNSUPPORTED_CODING).detail(detail).field(name.to_owned()))
}

/// Returns the problem of a field that is no metadata.
fn refused(name: &str, bad: BadField) -> Problem {
    match bad {
        BadField::TooLarge => {
            Problem::from(Kind::TOO_LARGE).detail(bad.reason()).field(name.to_owned()).limit(METADATA_BYTES_MAX as u64)
        }
        bad => invalid(name, bad.reason()),
    }
}

/// Returns an invalid-request problem about a part.
fn invalid(name: &str, detail: impl Into<std::borrow::Cow<'static, str>>) -> Problem {
    Problem::from(Kind::INVALID_REQUEST).detail(detail).field(name.to_owned())
}

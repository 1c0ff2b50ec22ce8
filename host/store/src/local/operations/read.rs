//! Streams of stored content.

use crate::local::files::aside::Opened;
use crate::local::files::disk::Disk;
use crate::local::files::layout;
use crate::local::index::finals::{self, FinalRow};
use crate::local::index::parts::{self, PartFile, PartRow};
use crate::local::shared::Inner;
use crate::stream::ByteStream;
use crate::{
    ByteRange, Digest, Error, FileId, FinalKey, FinalReader, FinalReceipt, Result, Scope, Sha256, TempKey, limits,
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::task::JoinHandle;

/// A range of an open file, which stays readable after its name is removed.
struct FileStream {
    file: Arc<Opened>,
    at: u64,
    end: u64,
    /// The next chunk, which is read ahead.
    ahead: Option<JoinHandle<Result<Bytes>>>,
}

impl FileStream {
    fn new(file: Arc<Opened>, start: u64, end: u64) -> Self {
        FileStream { file, at: start, end, ahead: None }
    }

    fn read_ahead(&mut self) {
        let len = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(limits::READ_CHUNK);
        if len > 0 {
            let (file, at) = (self.file.clone(), self.at);
            self.at += len as u64;
            self.ahead = Some(tokio::task::spawn_blocking(move || {
                let mut chunk = vec![0; len];
                file.read_exact_at(&mut chunk, at)?;
                Ok(Bytes::from(chunk))
            }));
        }
    }
}

#[async_trait]
impl ByteStream for FileStream {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        if self.ahead.is_none() {
            self.read_ahead();
        }
        let Some(ahead) = &mut self.ahead else { return Ok(None) };
        let chunk = ahead.await.map_err(Error::internal)?;
        self.ahead = None;
        let chunk = chunk?;
        self.read_ahead();
        Ok(Some(chunk))
    }
}

/// The digest of a whole stream.
pub(crate) async fn digest(stream: &mut dyn ByteStream) -> Result<Digest> {
    let mut sha256 = Sha256::new();
    while let Some(chunk) = stream.next().await? {
        sha256.update(&chunk);
    }
    Ok(sha256.finish())
}

/// Hashes a range of a file. Blocks.
pub(crate) fn hash(file: &File, start: u64, end: u64, sha256: &mut Sha256) -> Result<()> {
    let len = |start: u64| usize::try_from(end - start).unwrap_or(usize::MAX).min(limits::HASH_BUFFER);
    let mut buffer = vec![0; len(start)];
    let mut at = start;
    while at < end {
        let piece = &mut buffer[..len(at)];
        file.read_exact_at(piece, at)?;
        sha256.update(piece);
        at += piece.len() as u64;
    }
    Ok(())
}

/// The path of the file that contains a part, and the offset of the part in it, in bytes.
pub(crate) fn place(scope: &Scope, part: &PartRow) -> (PathBuf, u64) {
    match part.file {
        PartFile::Placed => (layout::placed(scope, &part.key.session), part.offset.unwrap_or(0)),
        PartFile::Own => (layout::own(scope, &part.key.session, &part.key.token), 0),
    }
}

/// Opens the file that a part is in; answers the offset, too, where the part begins there. `None` if the part is no more.
pub(crate) async fn open_part(inner: &Arc<Inner>, scope: &Scope, part: &PartRow) -> Result<Option<(Opened, u64)>> {
    let (disk, scope, part) = (inner.disk.clone(), scope.clone(), part.clone());
    inner.index.read(move |conn| open_row(&disk, conn, &scope, &part)).await
}

/// As [`open_part`]. Blocks.
pub(crate) fn open_row(disk: &Disk, conn: &Connection, scope: &Scope, part: &PartRow) -> Result<Option<(Opened, u64)>> {
    let (path, start) = place(scope, part);
    let file = disk.open_read(&path)?;
    // A session's file is replaced only after its rows are gone: if the row is still there, this is its file.
    match (parts::by_key(conn, scope, &part.key)?, file) {
        (Some(_), Some(file)) => Ok(Some((file, start))),
        (Some(_), None) => Err(Error::internal(format!("the data of part {} is missing", part.key))),
        (None, _) => Ok(None),
    }
}

/// The row of a part; `None` if the part is no more.
pub(crate) async fn row(inner: &Arc<Inner>, scope: &Scope, key: &TempKey) -> Result<Option<PartRow>> {
    let (scope, key) = (scope.clone(), key.clone());
    inner.index.read(move |conn| parts::by_key(conn, &scope, &key)).await
}

/// Opens a part.
pub(crate) async fn part(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &TempKey,
    range: ByteRange,
) -> Result<Box<dyn ByteStream>> {
    let there = row(inner, scope, key).await?.ok_or(Error::NotFound)?;
    let (start, end) = range.within(there.size)?;
    let (file, base) = open_part(inner, scope, &there).await?.ok_or(Error::NotFound)?;
    Ok(Box::new(FileStream::new(Arc::new(file), base + start, base + end)))
}

/// An open final object. The file stays readable when its name goes.
struct FinalFile {
    receipt: FinalReceipt,
    file: Arc<Opened>,
}

#[async_trait]
impl FinalReader for FinalFile {
    fn receipt(&self) -> &FinalReceipt {
        &self.receipt
    }

    async fn stream(&self, range: ByteRange) -> Result<Box<dyn ByteStream>> {
        let (start, end) = range.within(self.receipt.size)?;
        Ok(Box::new(FileStream::new(self.file.clone(), start, end)))
    }
}

/// Opens a final object.
pub(crate) async fn open_final(inner: &Arc<Inner>, scope: &Scope, file: &FileId) -> Result<Box<dyn FinalReader>> {
    inner.names.is_certain(scope, file)?;
    let (disk, scope, id) = (inner.disk.clone(), scope.clone(), file.clone());
    let open = move |conn: &Connection| {
        let receipt = || FinalRow::live(finals::get(conn, &scope, &id)?);
        let found = receipt()?;
        match disk.open_read(&layout::final_path(&scope, &id))? {
            Some(file) => Ok(FinalFile { receipt: found, file: Arc::new(file) }),
            // Deleted since its row was read, or lost.
            None => Err(receipt().err().unwrap_or_else(|| Error::internal(format!("the data of {id} is missing")))),
        }
    };
    Ok(Box::new(inner.index.read(open).await?))
}

/// Opens a stream of a final object.
pub(crate) async fn final_object(
    inner: &Arc<Inner>,
    scope: &Scope,
    key: &FinalKey,
    range: ByteRange,
) -> Result<Box<dyn ByteStream>> {
    let id = layout::file_of(scope, key).ok_or(Error::NotFound)?;
    open_final(inner, scope, &id).await?.stream(range).await
}

//! The index alone.

mod opening;
mod queries;
mod writer;

use super::*;
use crate::{Digest, FileId, FinalReceipt, RecordName, Scope, SessionId, TempKey, Token};
use parts::{PartFile, PartRow};

const ID: &str = "00000000000000000000000000000001";

/// An index in a folder of its own.
struct Scratch {
    dir: tempfile::TempDir,
    reserve: Arc<Reserve>,
    index: Index,
}

impl Scratch {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        create(&dir.path().join("index"), ID, |_| Ok(())).unwrap();
        let reserve = Arc::new(Reserve::open(tempfile::tempfile().unwrap()).unwrap());
        let index =
            Index::open(&dir.path().join("index"), false, reserve.clone(), Arc::default(), Arc::default(), &folder())
                .unwrap();
        Scratch { dir, reserve, index }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("index")
    }
}

/// A folder in the place of a store's.
fn folder() -> Arc<Folder> {
    Arc::new(Folder::new(tempfile::tempfile().unwrap().into()))
}

/// A connection to new tables.
fn tables() -> Connection {
    let conn = Connection::open_in_memory().unwrap();
    settle(&conn, false).unwrap();
    schema::create(&conn, ID).unwrap();
    conn
}

fn scope() -> Scope {
    Scope::root()
}

fn session(name: &str) -> SessionId {
    SessionId::parse(name).unwrap()
}

fn file(name: &str) -> FileId {
    FileId::parse(name).unwrap()
}

fn name(name: &str) -> RecordName {
    RecordName::parse(name).unwrap()
}

fn part(of: &str, number: u32, file: PartFile, offset: Option<u64>, size: u64) -> PartRow {
    PartRow {
        key: TempKey { session: session(of), number, token: Token::random().unwrap() },
        size,
        file,
        offset,
        sha256: None,
        chain: None,
    }
}

fn object(name: &str, metadata: &[(&str, &str)]) -> FinalReceipt {
    FinalReceipt {
        key: crate::local::files::layout::final_key(&scope(), &file(name)),
        file: file(name),
        size: 7,
        sha256: Digest([7; 32]),
        content_type: Some("text/plain; charset=utf-8".to_owned()),
        metadata: metadata.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect(),
        created_at: 1_700_000_000_123,
        replayed: false,
    }
}

//! The operations that faults are injected into: preparation, execution and inspection of each.

use crate::support::{Framed, MIB, content, options, read, sha256, sized};
use portico_s3::S3Store;
use portico_store::{
    Backend, ByteRange, Cursor, Error, FileId, FinalKey, IfExists, ListedPart, PartOptions, Reason, RecordName, Result,
    Scope, SessionId, TempKey, assemble_final, put_final, put_part, stream,
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    SmallFinal,
    LargeFinal,
    LargeFinalOfUnknownLength,
    Part,
    /// Of parts that the server copies.
    Assembly,
    /// Of parts that are too small to be copied.
    MergingAssembly,
    DeleteFinal,
    DeletePart,
    DeleteSession,
    CreateRecord,
    ReplaceRecord,
    DeleteRecord,
    VoidFinal,
}

/// The visible effect of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    /// No effect.
    Before,
    /// The whole effect.
    After,
}

/// The prerequisites of an operation.
#[derive(Default)]
pub(crate) struct Prepared {
    content: Vec<u8>,
    parts: Vec<TempKey>,
    object: Option<FinalKey>,
    version: String,
}

fn file() -> FileId {
    FileId::parse("file").unwrap()
}

fn session() -> SessionId {
    SessionId::parse("session").unwrap()
}

fn name() -> RecordName {
    RecordName::parse("a/record").unwrap()
}

async fn parts(store: &S3Store, scope: &Scope) -> Vec<ListedPart> {
    store.list_parts(scope, &session(), None::<&Cursor>, 100).await.unwrap().entries
}

impl Operation {
    pub(crate) const ALL: [Operation; 13] = [
        Operation::SmallFinal,
        Operation::LargeFinal,
        Operation::LargeFinalOfUnknownLength,
        Operation::Part,
        Operation::Assembly,
        Operation::MergingAssembly,
        Operation::DeleteFinal,
        Operation::DeletePart,
        Operation::DeleteSession,
        Operation::CreateRecord,
        Operation::ReplaceRecord,
        Operation::DeleteRecord,
        Operation::VoidFinal,
    ];

    /// Returns the sizes of the parts that must exist before.
    fn sizes(self) -> &'static [usize] {
        match self {
            Operation::Assembly => &[5 * MIB, 5 * MIB, 5 * MIB, 100_000],
            Operation::MergingAssembly => &[3 * MIB, 5 * MIB, 100_000],
            Operation::DeletePart => &[100_000],
            Operation::DeleteSession => &[100_000, 0, 7],
            _ => &[],
        }
    }

    pub(crate) async fn prepare(self, store: &S3Store, scope: &Scope) -> Prepared {
        let mut prepared = Prepared::default();
        for (at, &size) in self.sizes().iter().enumerate() {
            let bytes = content(size, 1 + at as u64);
            let options = PartOptions {
                expected: sized(Some(size)),
                offset: Some(prepared.content.len() as u64),
                ..Default::default()
            };
            let put = put_part(store, scope, &session(), at as u32, &mut Framed::new(&bytes), options).await.unwrap();
            prepared.parts.push(put.key);
            prepared.content.extend_from_slice(&bytes);
        }
        match self {
            Operation::SmallFinal | Operation::Part => prepared.content = content(100_000, 7),
            Operation::LargeFinal | Operation::LargeFinalOfUnknownLength => {
                prepared.content = content(10 * MIB + 5, 8);
            }
            Operation::DeleteFinal => {
                let content = &mut stream::from_bytes("content");
                let put = put_final(store, scope, &file(), content, options(None, IfExists::Fail)).await.unwrap();
                prepared.object = Some(put.key);
            }
            Operation::ReplaceRecord | Operation::DeleteRecord => {
                prepared.version = store.create_record(scope, &name(), b"before").await.unwrap();
            }
            _ => {}
        }
        prepared
    }

    /// Runs the operation and checks its result; `again` says that it may have run before.
    pub(crate) async fn run(self, store: &S3Store, scope: &Scope, prepared: &Prepared, again: bool) -> Result<()> {
        let if_exists = if again { IfExists::SameContentOk } else { IfExists::Fail };
        let content = &prepared.content;
        match self {
            Operation::SmallFinal | Operation::LargeFinal | Operation::LargeFinalOfUnknownLength => {
                let known = self != Operation::LargeFinalOfUnknownLength;
                let options = options(known.then_some(content.len()), if_exists);
                let put = put_final(store, scope, &file(), &mut Framed::new(content), options).await?;
                assert_eq!((put.size, put.sha256), (content.len() as u64, sha256(content)));
                assert!(again || !put.replayed);
            }
            Operation::Part => {
                let options = PartOptions { if_exists, want_sha256: true, ..Default::default() };
                let put = put_part(store, scope, &session(), 0, &mut Framed::new(content), options).await?;
                assert_eq!((put.size, put.sha256), (content.len() as u64, Some(sha256(content))));
                assert!(again || !put.replayed);
            }
            Operation::Assembly | Operation::MergingAssembly => {
                let made = assemble_final(store, scope, &file(), &prepared.parts, options(None, if_exists)).await?;
                assert_eq!((made.size, made.sha256), (content.len() as u64, sha256(content)));
                assert!(again || !made.replayed);
            }
            Operation::DeleteFinal => {
                let key = prepared.object.as_ref().expect("an object");
                assert!(store.delete_final(scope, key).await? || again);
            }
            Operation::DeletePart => assert!(store.delete_part(scope, &prepared.parts[0]).await? || again),
            Operation::DeleteSession => {
                let count = store.delete_session(scope, &session()).await?;
                assert!(count as usize == prepared.parts.len() || again, "{count}");
            }
            Operation::CreateRecord => {
                store.create_record(scope, &name(), b"after").await?;
            }
            Operation::ReplaceRecord => {
                store.replace_record(scope, &name(), &prepared.version, b"after").await?;
            }
            Operation::DeleteRecord => {
                assert!(store.delete_record(scope, &name(), Some(&prepared.version)).await? || again);
            }
            Operation::VoidFinal => {
                let reason = Reason::parse("aborted").unwrap();
                assert!(store.void_final(scope, &file(), &reason).await? || again);
            }
        }
        Ok(())
    }

    /// Returns whether `error` means to the caller that the operation has run before.
    pub(crate) fn is_done_before(self, error: &Error) -> bool {
        match self {
            Operation::CreateRecord | Operation::ReplaceRecord => matches!(error, Error::Conflict),
            // The first run, whose response was lost, removed its parts.
            Operation::Assembly | Operation::MergingAssembly => matches!(error, Error::NotFound),
            _ => false,
        }
    }

    /// Looks at every visible effect. Panics if there is neither the whole effect nor none.
    pub(crate) async fn seen(self, store: &S3Store, scope: &Scope, prepared: &Prepared) -> Seen {
        let listed = store.list_finals(scope, None, 10).await.unwrap().entries;
        let stat = store.stat_final(scope, &file()).await;
        match self {
            Operation::DeleteFinal | Operation::VoidFinal => match stat {
                Err(Error::Gone(reason)) => {
                    let deleted = self == Operation::DeleteFinal;
                    assert_eq!(reason, if deleted { "deleted" } else { "aborted" });
                    assert!(listed.is_empty());
                    if let Some(key) = &prepared.object {
                        assert!(matches!(read(store, scope, key).await, Err(Error::Gone(_))));
                    }
                    Seen::After
                }
                Ok(there) => {
                    assert_eq!(read(store, scope, &there.key).await.unwrap(), b"content");
                    assert_eq!((Some(&there.key), listed.len()), (prepared.object.as_ref(), 1));
                    Seen::Before
                }
                Err(Error::NotFound) if self == Operation::VoidFinal => Seen::Before,
                Err(other) => panic!("{other:?}"),
            },
            Operation::Part | Operation::DeletePart | Operation::DeleteSession => {
                let listed = parts(store, scope).await;
                for part in &listed {
                    let mut stream = store.read_part(scope, &part.key, ByteRange::default()).await.unwrap();
                    let bytes = stream::collect(&mut *stream, 64 * MIB).await.unwrap();
                    assert_eq!(bytes.len() as u64, part.size);
                    assert!(self != Operation::Part || bytes == prepared.content);
                }
                let before = prepared.parts.len();
                assert!(self == Operation::DeleteSession || listed.len() <= 1);
                // A session may be deleted in part; each remaining part is whole.
                if listed.len() == before { Seen::Before } else { Seen::After }
            }
            Operation::CreateRecord | Operation::ReplaceRecord | Operation::DeleteRecord => {
                let names = store.list_records(scope, "", None, 10).await.unwrap().entries;
                match store.get_record(scope, &name()).await {
                    Err(Error::NotFound) => {
                        assert!(names.is_empty() && self != Operation::ReplaceRecord);
                        if self == Operation::CreateRecord { Seen::Before } else { Seen::After }
                    }
                    there => {
                        assert_eq!(names, vec![name()]);
                        if there.unwrap().value == b"before" { Seen::Before } else { Seen::After }
                    }
                }
            }
            _ => match stat {
                Ok(there) => {
                    assert_eq!(listed, vec![there.file.clone()]);
                    assert!(read(store, scope, &there.key).await.unwrap() == prepared.content, "other content");
                    Seen::After
                }
                Err(Error::NotFound) => {
                    assert!(listed.is_empty());
                    assert_eq!(parts(store, scope).await.len(), prepared.parts.len(), "a part was lost");
                    Seen::Before
                }
                Err(other) => panic!("{other:?}"),
            },
        }
    }

    /// Returns whether everything that the operation deletes is gone.
    pub(crate) async fn is_tidy(self, store: &S3Store, scope: &Scope) -> bool {
        match self {
            Operation::Part => true,
            _ => parts(store, scope).await.is_empty(),
        }
    }
}

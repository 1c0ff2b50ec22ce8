//! Content of all sizes and ways, and the bytes that an assembly moves.

use crate::support::{Framed, MIB, content, sha256, sized, store};
use portico_s3::Traffic;
use portico_store::{
    Backend, ByteRange, Error, Expected, FileId, FinalOptions, IfExists, PartOptions, Reason, RecordName, Scope,
    SessionId, TempKey, assemble_final, put_final, put_part, stream,
};
use portico_test_servers::Server;

pub(crate) async fn finals_of_all_sizes_come_back_as_they_went(server: Server) {
    let store = store(&server).await;
    let scope = Scope::root();
    for (at, size) in [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 11 * MIB + 7].into_iter().enumerate() {
        for known in [true, false] {
            let bytes = content(size, 1 + at as u64);
            let file = FileId::parse(&format!("file-{size}-{known}")).unwrap();
            let options = FinalOptions { expected: sized(known.then_some(size)), ..Default::default() };
            let put = put_final(&store, &scope, &file, &mut Framed::new(&bytes), options.clone()).await.unwrap();
            assert_eq!((put.size, put.sha256), (size as u64, sha256(&bytes)));
            let read = async |range: ByteRange| {
                let mut stream = store.read_final(&scope, &put.key, range).await.unwrap();
                stream::collect(&mut *stream, 20 * MIB).await.unwrap()
            };
            assert!(read(ByteRange::default()).await == bytes, "{size} {known}");
            let (start, end) = (size / 3, size - size / 5);
            assert!(read(ByteRange { start: start as u64, end: Some(end as u64) }).await == bytes[start..end]);
            let again = FinalOptions { if_exists: IfExists::SameContentOk, ..options };
            let again = put_final(&store, &scope, &file, &mut Framed::new(&bytes), again).await.unwrap();
            assert!(again.replayed && again.key == put.key);
        }
    }
}

pub(crate) async fn an_assembly_in_order_moves_nothing_through_the_host(server: Server) {
    let store = store(&server).await;
    let (scope, session) = (Scope::root(), SessionId::parse("session").unwrap());
    let bytes = content(23 * MIB, 9);
    let mut keys = Vec::new();
    for (at, part) in bytes.chunks(5 * MIB).enumerate() {
        let options = PartOptions {
            expected: sized(Some(part.len())),
            offset: Some((at * 5 * MIB) as u64),
            ..Default::default()
        };
        let put = put_part(&store, &scope, &session, at as u32 + 1, &mut Framed::new(part), options).await.unwrap();
        keys.push(put.key);
    }
    let file = FileId::parse("file").unwrap();
    let made = assemble_final(&store, &scope, &file, &keys, FinalOptions::default()).await.unwrap();
    assert_eq!((made.size, made.sha256), (bytes.len() as u64, sha256(&bytes)));
    // Garage does not copy, so all of it goes through the host, once.
    let streamed = if server.name() == "garage" { bytes.len() as u64 } else { 0 };
    assert_eq!(store.traffic(), Traffic { streamed, ..Traffic::default() });
    let mut stream = store.read_final(&scope, &made.key, ByteRange::default()).await.unwrap();
    assert!(stream::collect(&mut *stream, 30 * MIB).await.unwrap() == bytes);
    assert!(store.list_parts(&scope, &session, None, 10).await.unwrap().entries.is_empty());
    assert!(store.list_sessions(&scope, None, 10).await.unwrap().entries.is_empty());
    assert!(matches!(store.read_part(&scope, &keys[0], ByteRange::default()).await, Err(Error::NotFound)));
}

pub(crate) async fn parts_that_are_too_small_to_copy_are_merged(server: Server) {
    let store = store(&server).await;
    let (scope, session) = (Scope::root(), SessionId::parse("session").unwrap());
    let sizes = [3, 0, 5 * MIB + 10, 1, 2 * MIB, 4 * MIB, 7];
    let mut keys: Vec<TempKey> = Vec::new();
    let mut bytes = Vec::new();
    for (at, size) in sizes.into_iter().enumerate() {
        let part = content(size, 100 + at as u64);
        let options = PartOptions::default();
        let put = put_part(&store, &scope, &session, at as u32, &mut Framed::new(&part), options).await.unwrap();
        keys.push(put.key);
        bytes.extend_from_slice(&part);
    }
    let file = FileId::parse("file").unwrap();
    let wrong = FinalOptions {
        expected: Expected { size: None, sha256: Some(sha256(b"something else")), ..Expected::default() },
        ..Default::default()
    };
    let refused = assemble_final(&store, &scope, &file, &keys, wrong).await;
    assert!(matches!(refused, Err(Error::DigestMismatch)), "{refused:?}");
    assert_eq!(store.list_parts(&scope, &session, None, 100).await.unwrap().entries.len(), sizes.len());
    let made = assemble_final(&store, &scope, &file, &keys, FinalOptions::default()).await.unwrap();
    assert_eq!(made.sha256, sha256(&bytes));
    let mut stream = store.read_final(&scope, &made.key, ByteRange::default()).await.unwrap();
    assert!(stream::collect(&mut *stream, 30 * MIB).await.unwrap() == bytes);
}

pub(crate) async fn names_end_once(server: Server) {
    let store = store(&server).await;
    let scope = Scope::root();
    let (file, other) = (FileId::parse("file").unwrap(), FileId::parse("other").unwrap());
    let put = async |file, text: &'static str, if_exists| {
        let options = FinalOptions { if_exists, ..Default::default() };
        put_final(&store, &scope, file, &mut stream::from_bytes(text), options).await
    };
    let first = put(&file, "content", IfExists::Fail).await.unwrap();
    assert!(matches!(put(&file, "content", IfExists::Fail).await, Err(Error::Conflict)));
    assert!(put(&file, "content", IfExists::SameContentOk).await.unwrap().replayed);
    assert!(matches!(put(&file, "another", IfExists::SameContentOk).await, Err(Error::Conflict)));
    let aborted = Reason::parse("aborted").unwrap();
    assert!(!store.void_final(&scope, &file, &aborted).await.unwrap());
    assert!(store.void_final(&scope, &other, &aborted).await.unwrap());
    assert!(matches!(put(&other, "content", IfExists::Fail).await, Err(Error::Gone(reason)) if reason == "aborted"));
    assert_eq!(store.list_finals(&scope, None, 10).await.unwrap().entries, vec![file.clone()]);
    assert!(store.delete_final(&scope, &first.key).await.unwrap());
    assert!(!store.delete_final(&scope, &first.key).await.unwrap());
    assert!(matches!(store.stat_final(&scope, &file).await, Err(Error::Gone(reason)) if reason == "deleted"));
    assert!(store.list_finals(&scope, None, 10).await.unwrap().entries.is_empty());

    let name = RecordName::parse("a/b-c.d").unwrap();
    let version = store.create_record(&scope, &name, b"one").await.unwrap();
    assert!(matches!(store.create_record(&scope, &name, b"one").await, Err(Error::Conflict)));
    let next = store.replace_record(&scope, &name, &version, b"two").await.unwrap();
    assert!(matches!(store.replace_record(&scope, &name, &version, b"x").await, Err(Error::Conflict)));
    assert_eq!(store.get_record(&scope, &name).await.unwrap().value, b"two");
    assert_eq!(store.list_records(&scope, "a/b", None, 10).await.unwrap().entries, vec![name.clone()]);
    assert!(store.delete_record(&scope, &name, Some(&next)).await.unwrap());
    assert!(!store.delete_record(&scope, &name, None).await.unwrap());
    assert!(store.list_records(&scope, "", None, 10).await.unwrap().entries.is_empty());
    store.create_record(&scope, &name, b"three").await.unwrap();
}

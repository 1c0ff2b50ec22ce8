//! Pages of listings: whatever their length, together they are the whole, once.

mod support;

use portico_store::local::{Durability, LocalOptions, LocalStore};
use portico_store::{Backend, Cursor, Page, RecordName, Result, limits};
use std::path::Path;
use support::*;

async fn scratch(root: &Path) -> LocalStore {
    let options = LocalOptions { durability: Durability::None, ..LocalOptions::default() };
    LocalStore::open(root, options).await.unwrap()
}

/// All entries by pages of a length. Each page but the last is full and says where the next begins.
async fn pages<T>(limit: u32, list: impl AsyncFn(Option<Cursor>, u32) -> Result<Page<T>>) -> Vec<T> {
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let page = list(after, limit).await.unwrap();
        assert!(page.next.is_none() || page.entries.len() == limit as usize, "a page that is not full is the last one");
        assert!(!page.entries.is_empty() || all.is_empty(), "no empty page after a full one");
        all.extend(page.entries);
        match page.next {
            Some(next) => after = Some(next),
            None => return all,
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_any_length_make_the_whole() {
    let dir = tempfile::tempdir().unwrap();
    let store = scratch(dir.path()).await;
    let ids = ["A", "a", "a.b", "a~", "b", "z"];
    for id in ids {
        put(&store, id, Vec::new()).await.unwrap();
        part(&store, id, 7, None, Vec::new()).await.unwrap();
        store.create_record(&scope(), &RecordName::parse(&format!("r/{id}")).unwrap(), b"").await.unwrap();
    }
    let numbers = [0, 1, 2, 9, 10, u32::MAX];
    for number in numbers {
        part(&store, "many", number, None, Vec::new()).await.unwrap();
    }
    put(&store, "m", Vec::new()).await.unwrap();
    delete(&store, "m").await.unwrap();
    for limit in 1..=8 {
        let finals = pages(limit, async |after, limit| store.list_finals(&scope(), after.as_ref(), limit).await).await;
        assert_eq!(finals.iter().map(|file| file.as_str()).collect::<Vec<_>>(), ids, "pages of {limit}");
        let sessions =
            pages(limit, async |after, limit| store.list_sessions(&scope(), after.as_ref(), limit).await).await;
        let names: Vec<&str> = sessions.iter().map(|session| session.as_str()).collect();
        assert_eq!(names, ["A", "a", "a.b", "a~", "b", "many", "z"], "pages of {limit}");
        let list = async |after: Option<Cursor>, limit| {
            store.list_parts(&scope(), &session("many"), after.as_ref(), limit).await
        };
        let parts = pages(limit, list).await;
        assert_eq!(parts.iter().map(|part| part.key.number).collect::<Vec<_>>(), numbers, "pages of {limit}");
        for (prefix, expected) in [("", &ids[..]), ("r/", &ids[..]), ("r/a", &ids[1..4]), ("s", &[])] {
            let list =
                async |after: Option<Cursor>, limit| store.list_records(&scope(), prefix, after.as_ref(), limit).await;
            let records = pages(limit, list).await;
            let names: Vec<&str> = records.iter().map(|name| &name.as_str()[2..]).collect();
            assert_eq!(names, expected, "{prefix:?} by pages of {limit}");
        }
    }
    // What was the last of a page may be gone when the next is asked for.
    let page = store.list_finals(&scope(), None, 2).await.unwrap();
    delete(&store, "a").await.unwrap();
    let next = store.list_finals(&scope(), page.next.as_ref(), 1).await.unwrap();
    assert_eq!(next.entries[0].as_str(), "a.b");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_longest_page_is_full_and_the_rest_follows() {
    let dir = tempfile::tempdir().unwrap();
    let store = scratch(dir.path()).await;
    let count = 2 * limits::PAGE_MAX + 1;
    for number in 0..count {
        part(&store, "s", number, Some(u64::from(number)), vec![b'x']).await.unwrap();
    }
    let list =
        async |after: Option<Cursor>, limit| store.list_parts(&scope(), &session("s"), after.as_ref(), limit).await;
    let first = list(None, limits::PAGE_MAX).await.unwrap();
    assert_eq!(first.entries.len(), limits::PAGE_MAX as usize);
    let parts = pages(limits::PAGE_MAX, list).await;
    assert!(parts.iter().map(|part| part.key.number).eq(0..count));
    assert_eq!(store.delete_session(&scope(), &session("s")).await.unwrap(), count);
    assert!(pages(limits::PAGE_MAX, list).await.is_empty());
}

use super::*;
use std::sync::mpsc::channel;
use tokio::task::{JoinHandle, spawn};

type Work<T> = Box<dyn Fn(&Connection) -> Result<T> + Send>;

/// Queues changes while the thread is busy, so that they form one group, and returns their results.
async fn together<T: Send + 'static>(index: &Index, changes: Vec<(Kind, Work<T>)>) -> Vec<Result<T>> {
    let (busy, is_busy) = channel();
    let (go, wait) = channel::<()>();
    let (busy, wait) = (Mutex::new(busy), Mutex::new(wait));
    let first = index.clone();
    let first = spawn(async move {
        first
            .write(move |_| {
                busy.lock().unwrap().send(()).unwrap();
                wait.lock().unwrap().recv().map_err(Error::internal)
            })
            .await
    });
    tokio::task::spawn_blocking(move || is_busy.recv().unwrap()).await.unwrap();
    let mut waiting: Vec<JoinHandle<Result<T>>> = Vec::new();
    for (kind, work) in changes {
        let queued = QUEUE - index.0.changes.as_ref().unwrap().capacity();
        let index = index.clone();
        let shared = index.0.clone();
        waiting.push(spawn(async move { index.change(kind, work).await }));
        while QUEUE - shared.changes.as_ref().unwrap().capacity() == queued {
            tokio::task::yield_now().await;
        }
    }
    go.send(()).unwrap();
    first.await.unwrap().unwrap();
    let mut results = Vec::new();
    for change in waiting {
        results.push(change.await.unwrap());
    }
    results
}

fn record(text: &'static str, value: Vec<u8>) -> (Kind, Work<String>) {
    (Kind::Keeps, Box::new(move |conn| records::create(conn, &scope(), &name(text), &value)))
}

async fn names(index: &Index) -> Vec<String> {
    let names = index.read(|conn| records::list(conn, &scope(), "", None, 1_000)).await.unwrap();
    names.iter().map(|name| name.as_str().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_that_fails_or_panics_is_undone_alone() {
    let scratch = Scratch::new();
    let fails = |text: &'static str, how: fn() -> Result<String>| -> (Kind, Work<String>) {
        let work = move |conn: &Connection| {
            records::create(conn, &scope(), &name(text), b"half")?;
            how()
        };
        (Kind::Keeps, Box::new(work))
    };
    let results = together(
        &scratch.index,
        vec![
            record("a", vec![]),
            fails("fails", || Err(Error::Conflict)),
            record("b", vec![]),
            fails("panics", || panic!("as it should")),
            record("b", b"second".to_vec()),
            record("c", vec![]),
        ],
    )
    .await;
    let kinds: Vec<_> = results.iter().map(|result| result.as_ref().map(|_| ()).map_err(ToString::to_string)).collect();
    let conflict = Err(Error::Conflict.to_string());
    let internal = Err(Error::internal("x").to_string());
    assert_eq!(kinds, [Ok(()), conflict.clone(), Ok(()), internal, conflict, Ok(())]);
    assert_eq!(names(&scratch.index).await, ["a", "b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_needs_more_room_than_there_is_takes_it_from_nobody() {
    let scratch = Scratch::new();
    let pages = |conn: &Connection| -> Result<u32> {
        let count: u32 = conn.query_row("PRAGMA page_count", [], |row| row.get(0))?;
        Ok(conn.query_row(&format!("PRAGMA max_page_count = {}", count + 8), [], |row| row.get(0))?)
    };
    scratch.index.write(pages).await.unwrap();
    let large = vec![1; 64 << 10];
    let results = together(
        &scratch.index,
        vec![record("a", vec![1; 100]), record("large", large.clone()), record("b", vec![2; 100])],
    )
    .await;
    assert!(results[0].is_ok() && results[2].is_ok(), "{results:?}");
    assert!(matches!(results[1], Err(Error::NoSpace)), "{results:?}");
    assert!(!in_doubt(results[1].as_ref().unwrap_err()));
    assert_eq!(names(&scratch.index).await, ["a", "b"]);
    assert!(!scratch.reserve.is_spent(), "the reserve is not for them");

    let delete: (Kind, Work<String>) = (
        Kind::Frees,
        Box::new(|conn| {
            assert!(records::delete(conn, &scope(), &name("a"), None)?);
            Ok(String::new())
        }),
    );
    let results = together(&scratch.index, vec![record("large", large), delete, record("c", vec![])]).await;
    assert!(matches!(results[0], Err(Error::NoSpace)) && results[1].is_ok() && results[2].is_ok(), "{results:?}");
    assert_eq!(names(&scratch.index).await, ["b", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_reserve_is_for_what_frees_and_nothing_else_begins_without_it() {
    let scratch = Scratch::new();
    scratch.index.write(|conn| records::create(conn, &scope(), &name("there"), b"")).await.unwrap();
    // Work that finds no room until the reserve was given up.
    let reserve = scratch.reserve.clone();
    let needy = move |conn: &Connection| {
        if !reserve.is_spent() {
            return Err(Error::NoSpace);
        }
        records::delete(conn, &scope(), &name("there"), None)
    };
    assert!(matches!(scratch.index.write(needy.clone()).await, Err(Error::NoSpace)));
    assert!(!scratch.reserve.is_spent());
    assert!(scratch.index.free(needy).await.unwrap());
    assert!(scratch.reserve.is_spent());
    // There is room again, so the reserve is retaken before the next change.
    let seen = scratch.reserve.clone();
    assert!(!scratch.index.write(move |_| Ok(seen.is_spent())).await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn only_notes_alone_are_not_synced() {
    const NORMAL: i64 = 1;
    const FULL: i64 = 2;
    let synchronous = |kind| -> (Kind, Work<i64>) {
        (kind, Box::new(|conn| Ok(conn.query_row("PRAGMA synchronous", [], |row| row.get(0))?)))
    };
    let Scratch { dir, index, reserve } = Scratch::new();
    drop(index);
    let index =
        Index::open(&dir.path().join("index"), true, reserve, Arc::default(), Arc::default(), &folder()).unwrap();
    for (kinds, expected) in [
        (vec![Kind::Notes, Kind::Notes], NORMAL),
        (vec![Kind::Notes, Kind::Keeps], FULL),
        (vec![Kind::Frees, Kind::Notes], FULL),
        (vec![Kind::Notes], NORMAL),
        (vec![Kind::Frees], FULL),
        (vec![Kind::Keeps], FULL),
    ] {
        let seen = together(&index, kinds.iter().map(|kind| synchronous(*kind)).collect()).await;
        assert!(seen.iter().all(|seen| matches!(seen, Ok(seen) if *seen == expected)), "{kinds:?}: {seen:?}");
    }
    let scratch = Scratch::new();
    let seen = scratch.index.write(|conn| Ok(conn.query_row("PRAGMA synchronous", [], |row| row.get::<_, i64>(0))?));
    assert_eq!(seen.await.unwrap(), 0, "nothing is, where nothing has to survive");
}

/// A commit fails here because of a foreign key that is checked at its end. It stands for any cause but lack of room.
#[test]
fn after_a_failed_commit_nothing_is_made_or_written_back_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    create(&path, ID, |conn| {
        Ok(conn.execute_batch(
            "CREATE TABLE parents (id INTEGER PRIMARY KEY);
             CREATE TABLE children (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED)",
        )?)
    })
    .unwrap();
    let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_WRITE, true).unwrap();
    conn.execute_batch("PRAGMA foreign_keys = ON").unwrap();
    let reserve = Arc::new(Reserve::open(tempfile::tempfile().unwrap()).unwrap());
    let health = Arc::new(Health::default());
    let writer = super::super::writer::Writer::new(conn, reserve, health.clone(), true).unwrap();
    let (changes, queue) = mpsc::channel(1);
    let thread = std::thread::spawn(move || writer.run(queue));
    let make = |kind, sql: &'static str| {
        let (answer, answered) = channel();
        let work = move |conn: &Connection| Ok(conn.execute_batch(sql)?);
        changes
            .blocking_send(super::super::writer::change(kind, work, move |result| answer.send(result).unwrap()))
            .unwrap();
        answered.recv().unwrap()
    };
    make(Kind::Keeps, "INSERT INTO parents VALUES (1); INSERT INTO children VALUES (1)").unwrap();
    assert!(!health.has_failed());
    let failed = make(Kind::Keeps, "INSERT INTO children VALUES (2)").unwrap_err();
    assert!(matches!(failed, Error::Internal(_)) && in_doubt(&failed), "{failed:?}");
    for kind in [Kind::Keeps, Kind::Frees, Kind::Notes] {
        let refused = make(kind, "INSERT INTO parents VALUES (3)").unwrap_err();
        assert!(is_refusal(&refused) && !in_doubt(&refused), "{refused:?}");
    }
    drop(changes);
    thread.join().unwrap();
    assert!(beside(&path, "-wal").metadata().unwrap().len() > 0, "the next opening finds the log as it was");
    let conn = connect(&path, OpenFlags::SQLITE_OPEN_READ_ONLY, true).unwrap();
    let rows = conn.query_row("SELECT (SELECT count(*) FROM parents), (SELECT count(*) FROM children)", [], |row| {
        Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?))
    });
    assert_eq!(rows.unwrap(), (1, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_that_panics_gives_its_connection_back() {
    let scratch = Scratch::new();
    for _ in 0..=READERS {
        let read = scratch.index.read(|_| -> Result<()> { panic!("as it should") }).await;
        assert!(matches!(read, Err(Error::Internal(_))));
    }
    assert!(names(&scratch.index).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn closing_does_what_is_queued_and_leaves_one_whole_file() {
    let Scratch { dir, index, .. } = Scratch::new();
    let shared = Arc::downgrade(&index.0);
    for number in 0..100 {
        let work = move |conn: &Connection| records::create(conn, &scope(), &name(&format!("r{number}")), b"");
        let change = index.write(work);
        tokio::pin!(change);
        // A queued change whose caller is gone.
        let _ = std::future::poll_fn(|context| std::task::Poll::Ready(change.as_mut().poll(context))).await;
    }
    drop(index);
    assert!(shared.upgrade().is_none());
    let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["index"], "no log and no shared memory");
    let reserve = Arc::new(Reserve::open(tempfile::tempfile().unwrap()).unwrap());
    let again =
        Index::open(&dir.path().join("index"), true, reserve, Arc::default(), Arc::default(), &folder()).unwrap();
    assert_eq!(names(&again).await.len(), 100);
}

use super::*;

/// Names and contents of a folder.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = std::fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap())
        .map(|entry| (entry.file_name().into_string().unwrap(), std::fs::read(entry.path()).unwrap()))
        .collect();
    files.sort();
    files
}

#[test]
fn looking_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    assert!(matches!(inspect(&path), Err(IndexFault::Missing)));
    create(&path, ID, |_| Ok(())).unwrap();
    let before = files(dir.path());
    assert_eq!(before.len(), 1, "a new index is one file");
    assert_eq!(inspect(&path).unwrap(), ID);
    assert_eq!(files(dir.path()), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_after_a_kill_reads_the_log_and_leaves_it() {
    let scratch = Scratch::new();
    let work = |conn: &Connection| records::create(conn, &scope(), &name("in-the-log"), b"");
    scratch.index.write(work).await.unwrap();
    // What a killed process leaves: copied while the index is open.
    let killed = tempfile::tempdir().unwrap();
    for suffix in ["", "-wal", "-shm"] {
        std::fs::copy(beside(&scratch.path(), suffix), beside(&killed.path().join("index"), suffix)).unwrap();
    }
    let before = files(killed.path());
    assert!(before[2].1.len() > 1_000, "the log has something");
    assert_eq!(inspect(&killed.path().join("index")).unwrap(), ID);
    assert_eq!(files(killed.path()), before);
    let index = Index::open(
        &killed.path().join("index"),
        true,
        scratch.reserve.clone(),
        Arc::default(),
        Arc::default(),
        &folder(),
    )
    .unwrap();
    let found = index.read(|conn| records::get(conn, &scope(), &name("in-the-log"))).await;
    assert!(found.is_ok(), "{found:?}");
}

#[test]
fn each_fault_has_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    let sql = |text: &str| {
        let conn = Connection::open(&path).unwrap();
        conn.execute_batch(text).unwrap();
        conn.close().unwrap();
    };
    let check = |what: &str, expected: fn(&IndexFault) -> bool| {
        let before = files(dir.path());
        let fault = inspect(&path).unwrap_err();
        assert!(expected(&fault), "{what}: {fault:?}");
        assert_eq!(files(dir.path()), before, "{what}");
    };
    std::fs::write(&path, "").unwrap();
    std::fs::write(beside(&path, "-wal"), "a log that SQLite would remove").unwrap();
    check("empty", |fault| matches!(fault, IndexFault::Damaged(_)));
    std::fs::remove_file(beside(&path, "-wal")).unwrap();
    std::fs::write(&path, [7; 10_000]).unwrap();
    check("noise", |fault| matches!(fault, IndexFault::Damaged(_)));
    std::fs::remove_file(&path).unwrap();
    sql("CREATE TABLE somebody_elses (x)");
    check("another program's", |fault| matches!(fault, IndexFault::NotAnIndex));
    std::fs::remove_file(&path).unwrap();

    create(&path, ID, |_| Ok(())).unwrap();
    std::fs::write(beside(&path, "-journal"), "a journal that SQLite would roll back").unwrap();
    check("a journal", |fault| matches!(fault, IndexFault::Damaged(_)));
    std::fs::remove_file(beside(&path, "-journal")).unwrap();
    sql("PRAGMA user_version = 0");
    check("older", |fault| matches!(fault, IndexFault::Older(0)));
    sql("PRAGMA user_version = 1000");
    check("newer", |fault| matches!(fault, IndexFault::Newer(1000)));
    sql(&format!("PRAGMA user_version = {}; DELETE FROM meta", schema::VERSION));
    check("no id", |fault| matches!(fault, IndexFault::Damaged(_)));
    sql("DROP TABLE meta");
    check("no tables", |fault| matches!(fault, IndexFault::Damaged(_)));
}

#[test]
fn a_page_of_noise_or_a_cut_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("index");
    create(&path, ID, |conn| {
        for number in 0..500 {
            let made = records::create(conn, &scope(), &name(&format!("r/{number}")), &[1; 500]);
            made.map_err(IndexFault::Fault)?;
        }
        Ok(())
    })
    .unwrap();
    let whole = std::fs::read(&path).unwrap();
    let pages = whole.len() / 4096;
    assert!(pages > 20);
    for page in [1, pages / 2, pages - 1] {
        let mut damaged = whole.clone();
        damaged[page * 4096..][..4096].fill(0xa5);
        std::fs::write(&path, &damaged).unwrap();
        assert!(matches!(inspect(&path), Err(IndexFault::Damaged(_))), "page {page} of {pages}");
        assert_eq!(files(dir.path()), [("index".to_owned(), damaged)]);
    }
    for len in [100, 4096, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&path, &whole[..len]).unwrap();
        assert!(matches!(inspect(&path), Err(IndexFault::Damaged(_))), "cut to {len}");
        assert_eq!(files(dir.path()), [("index".to_owned(), whole[..len].to_vec())]);
    }
}

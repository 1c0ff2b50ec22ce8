use super::*;
use crate::{Argument, Chain, Sha256, limits};
use finals::FinalRow;
use rusqlite::StatementStatus;
use std::collections::BTreeMap;

const QUERIES: [&str; 22] = [
    parts::TOKENS,
    parts::GET,
    parts::LIST,
    parts::NEXT_OF_ALL,
    parts::NEXT_SESSION,
    parts::LAST_PLACED,
    parts::LAST_WITHDRAWN,
    parts::NEXT_WITHDRAWN,
    parts::STATE_AT,
    parts::BEHIND,
    parts::FIRST_BEHIND,
    parts::OWN,
    parts::COUNT,
    parts::COUNT_PLACED,
    parts::COUNT_WITHDRAWN,
    finals::GET,
    finals::LIST,
    finals::EXISTS,
    finals::NEXT_OF_ALL,
    finals::DELETED,
    finals::GONE,
    records::LIST,
];

#[test]
fn a_query_is_planned_once() {
    let conn = tables();
    let planned_again = |sql: &&str| {
        let mut statement = conn.prepare(sql).unwrap();
        for value in 0..10 {
            let values = vec![value; statement.parameter_count()];
            let mut rows = statement.query(rusqlite::params_from_iter(values)).unwrap();
            while rows.next().unwrap().is_some() {}
        }
        statement.get_status(StatementStatus::RePrepare) > 0
    };
    let again: Vec<_> = QUERIES.into_iter().filter(|sql| planned_again(sql)).collect();
    assert_eq!(again, [""; 0]);
}

#[test]
fn no_query_scans_or_sorts() {
    let conn = tables();
    for sql in QUERIES {
        let mut plan = conn.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
        let nothing = vec![rusqlite::types::Null; plan.parameter_count()];
        let steps = plan.query_map(rusqlite::params_from_iter(nothing), |row| row.get::<_, String>(3)).unwrap();
        let steps: Vec<String> = steps.map(Result::unwrap).collect();
        // Deleted finals are found through an index that holds nothing else.
        let deleted = steps == ["SCAN finals USING INDEX finals_deleted"];
        let searches = steps.iter().all(|step| step.starts_with("SEARCH ") && !step.contains("TEMP"));
        assert!(!steps.is_empty() && (searches || deleted), "{sql}: {steps:?}");
    }
}

/// Steps of SQLite's machine that a query takes.
fn steps(conn: &Connection, sql: &str, params: impl rusqlite::Params) -> i32 {
    let mut statement = conn.prepare(sql).unwrap();
    let mut rows = statement.query(params).unwrap();
    while rows.next().unwrap().is_some() {}
    drop(rows);
    statement.get_status(StatementStatus::VmStep)
}

#[test]
fn ten_thousand_parts_cost_no_more_than_one() {
    let conn = tables();
    conn.execute_batch("BEGIN").unwrap();
    for number in 0..10_000 {
        let offset = u64::from(number) * 10;
        parts::insert(&conn, &scope(), &part("many", number, PartFile::Placed, Some(offset), 10)).unwrap();
        // All of these end at one offset, and none has a state.
        parts::insert(&conn, &scope(), &part("same", number, PartFile::Own, Some(0), 10)).unwrap();
    }
    conn.execute_batch("COMMIT").unwrap();
    parts::insert(&conn, &scope(), &part("next", 0, PartFile::Own, None, 1)).unwrap();
    let (main, many) = ("main", "many");
    assert!(steps(&conn, parts::NEXT_SESSION, [main, many]) < 100);
    assert!(steps(&conn, parts::LAST_PLACED, (main, many, 50_000)) < 100);
    assert!(steps(&conn, parts::STATE_AT, (main, "same", 10)) < 100);
    assert!(steps(&conn, parts::BEHIND, (main, "same", 0)) < 100);
    assert!(steps(&conn, parts::LIST, (main, many, 5_000, 3)) < 300);
    let found = parts::sessions(&conn, &scope(), None, 10).unwrap();
    assert_eq!(found, [session("many"), session("next"), session("same")]);
    assert_eq!(parts::own(&conn, &scope(), &session("same")).unwrap().len(), 10_000);
    assert!(!parts::session_has_placed(&conn, &scope(), &session("same")).unwrap());
    assert!(parts::session_has_placed(&conn, &scope(), &session("many")).unwrap());
    assert_eq!(parts::placed_counts(&conn, &scope(), &session("many")).unwrap(), (10_000, 0));

    let listed = parts::list(&conn, &scope(), &session("many"), Some(9_997), 1_000).unwrap();
    assert_eq!(listed.iter().map(|row| row.key.number).collect::<Vec<_>>(), [9_998, 9_999]);
    let cleared = parts::clear(&conn, &scope(), &session("same")).unwrap();
    assert_eq!((cleared.parts, cleared.own.len()), (10_000, 10_000));
    assert_eq!(parts::sessions(&conn, &scope(), None, 10).unwrap(), [session("many"), session("next")]);
}

#[test]
fn a_part_comes_back_as_it_was_put_in_and_once() {
    let conn = tables();
    let mut sha256 = Sha256::new();
    sha256.update(b"content");
    let state = sha256.suspend();
    let full = PartRow {
        sha256: Some(Digest([3; 32])),
        chain: Some(Chain { before: Digest([4; 32]), state: state.clone() }),
        ..part("s", u32::MAX, PartFile::Placed, Some(limits::SIZE_MAX - 7), 7)
    };
    let bare = part("s", 0, PartFile::Own, None, 0);
    for row in [&full, &bare] {
        assert_eq!(parts::insert(&conn, &scope(), row).unwrap(), None);
        assert_eq!(parts::get(&conn, &scope(), &row.key.session, row.key.number).unwrap().as_ref(), Some(row));
        assert_eq!(parts::by_key(&conn, &scope(), &row.key).unwrap().as_ref(), Some(row));
        let second = part("s", row.key.number, PartFile::Own, None, 9);
        assert_eq!(parts::insert(&conn, &scope(), &second).unwrap().as_ref(), Some(row), "the first one stays");
        assert_eq!(parts::by_key(&conn, &scope(), &second.key).unwrap(), None);
        assert_eq!(parts::delete(&conn, &scope(), &second.key).unwrap(), None);
    }
    assert_eq!(parts::state_at(&conn, &scope(), &session("s"), limits::SIZE_MAX).unwrap(), Some(state));
    assert_eq!(parts::state_at(&conn, &scope(), &session("s"), 0).unwrap(), None, "an empty part precedes nothing");
    let other = scope().narrow("other").unwrap();
    assert_eq!(parts::by_key(&conn, &other, &full.key).unwrap(), None);

    let beyond = part("s", 5, PartFile::Own, Some(limits::SIZE_MAX), 1);
    let refused = parts::insert(&conn, &scope(), &beyond);
    assert!(matches!(refused, Err(Error::InvalidArgument(Argument::Offset))), "{refused:?}");
}

#[test]
fn a_part_gets_its_chain_once_and_what_is_behind_is_found() {
    let conn = tables();
    let hashed = |text: &str| {
        let mut sha256 = Sha256::new();
        sha256.update(text.as_bytes());
        Chain { before: Sha256::new().finish(), state: sha256.suspend() }
    };
    let put = |number, offset, size, chain| {
        let row = PartRow { chain, ..part("s", number, PartFile::Own, offset, size) };
        parts::insert(&conn, &scope(), &row).unwrap();
        row
    };
    let first_behind = || parts::first_behind(&conn, &scope(), &session("s")).unwrap();
    let behind = |offset| parts::behind(&conn, &scope(), &session("s"), offset).unwrap();
    let state_at = |offset| parts::state_at(&conn, &scope(), &session("s"), offset).unwrap();
    // An empty part, one without an offset, and one after a gap have no predecessor.
    put(0, Some(5), 0, None);
    put(1, None, 5, None);
    put(2, Some(20), 5, None);
    let second = put(3, Some(5), 5, None);
    assert_eq!((first_behind(), state_at(5)), (None, None));
    assert_eq!(behind(5).as_ref(), Some(&second));
    // Of two parts that end at one offset, the one with a state counts.
    put(4, Some(0), 5, None);
    put(5, Some(0), 5, Some(hashed("first")));
    assert_eq!(state_at(5), Some(hashed("first").state));
    assert_eq!(first_behind(), Some((5, hashed("first").state)));

    let other = TempKey { token: Token::random().unwrap(), ..second.key.clone() };
    parts::chain(&conn, &scope(), &other, &hashed("other")).unwrap();
    assert_eq!(behind(5).as_ref(), Some(&second), "another write's chain is not its own");
    for text in ["second", "third"] {
        parts::chain(&conn, &scope(), &second.key, &hashed(text)).unwrap();
        let there = parts::by_key(&conn, &scope(), &second.key).unwrap().unwrap();
        assert_eq!(there.chain, Some(hashed("second")));
    }
    assert_eq!((behind(5), first_behind()), (None, None));
    assert_eq!(state_at(10), Some(hashed("second").state));
}

#[test]
fn a_range_stays_taken_when_its_part_is_deleted() {
    let conn = tables();
    let rows = [(0, 10), (10, 20), (40, 50)].map(|(start, end)| {
        let row = part("s", start, PartFile::Placed, Some(start.into()), end - u64::from(start));
        parts::insert(&conn, &scope(), &row).unwrap();
        row
    });
    let taken = |start, end| parts::placed(&conn, &scope(), &session("s"), start, end).unwrap();
    let check = || {
        for (start, end) in [(0, 1), (9, 10), (5, 15), (0, 100), (15, 45), (49, 60), (40, 41)] {
            assert!(taken(start, end), "{start}..{end}");
        }
        for (start, end) in [(20, 40), (25, 30), (50, 60)] {
            assert!(!taken(start, end), "{start}..{end}");
        }
    };
    check();
    for row in &rows[1..] {
        assert_eq!(parts::delete(&conn, &scope(), &row.key).unwrap().as_ref(), Some(row));
    }
    check();
    assert_eq!(parts::placed_counts(&conn, &scope(), &session("s")).unwrap(), (1, 2));
    parts::delete(&conn, &scope(), &rows[0].key).unwrap();
    assert!(parts::sessions(&conn, &scope(), None, 10).unwrap().is_empty());
    assert!(parts::session_has_placed(&conn, &scope(), &session("s")).unwrap(), "an open stream may read it");
    let cleared = parts::clear(&conn, &scope(), &session("s")).unwrap();
    assert_eq!((cleared.parts, cleared.own.len()), (0, 0));
    assert!(!taken(0, 100));
}

#[test]
fn a_final_is_there_once_and_its_id_is_never_free_again() {
    let conn = tables();
    let made = object("a", &[("z", "first"), ("a", ""), ("k-_9", "x=y=z \u{2028} ü")]);
    assert!(finals::insert(&conn, &scope(), &made).unwrap().is_none());
    let Some(FinalRow::Live(there)) = finals::get(&conn, &scope(), &file("a")).unwrap() else { panic!("not there") };
    assert_eq!(there, made, "metadata in the order given");
    assert!(
        matches!(finals::insert(&conn, &scope(), &object("a", &[])).unwrap(), Some(FinalRow::Live(there)) if there == made)
    );
    assert!(!finals::void(&conn, &scope(), &file("a"), "late", 1).unwrap());

    let deleted = |limit| finals::deleted_with_data(&conn, limit).unwrap();
    assert!(deleted(10).is_empty());
    assert!(finals::delete(&conn, &scope(), &file("a"), 2).unwrap());
    assert!(!finals::delete(&conn, &scope(), &file("a"), 3).unwrap());
    assert!(matches!(finals::get(&conn, &scope(), &file("a")).unwrap(), Some(FinalRow::Gone(why)) if why == "deleted"));
    assert!(matches!(finals::insert(&conn, &scope(), &made).unwrap(), Some(FinalRow::Gone(_))));
    assert_eq!(deleted(10), [(scope(), file("a"))]);
    finals::data_removed(&conn, &scope(), &file("a")).unwrap();
    assert!(deleted(10).is_empty());

    assert!(finals::void(&conn, &scope(), &file("b"), "expired", 1).unwrap());
    assert!(!finals::void(&conn, &scope(), &file("b"), "aborted", 1).unwrap());
    assert!(
        matches!(finals::insert(&conn, &scope(), &object("b", &[])).unwrap(), Some(FinalRow::Gone(why)) if why == "expired")
    );
    assert!(!finals::delete(&conn, &scope(), &file("b"), 2).unwrap());
    assert!(deleted(10).is_empty(), "a voided id has no data");
    for id in ["c", "d", "e"] {
        finals::insert(&conn, &scope(), &object(id, &[])).unwrap();
        finals::delete(&conn, &scope(), &file(id), 2).unwrap();
    }
    assert_eq!(deleted(2).len(), 2);
}

#[test]
fn finals_are_listed_in_byte_order_without_tombstones() {
    let conn = tables();
    for id in ["a", "B", "~", "aa", "a.b", "gone"] {
        finals::insert(&conn, &scope(), &object(id, &[])).unwrap();
    }
    finals::insert(&conn, &scope().narrow("other").unwrap(), &object("ab", &[])).unwrap();
    finals::delete(&conn, &scope(), &file("gone"), 1).unwrap();
    finals::void(&conn, &scope(), &file("b"), "r", 1).unwrap();
    let list = |after: Option<&str>, limit| -> Vec<String> {
        let objects = finals::list(&conn, &scope(), after, limit).unwrap();
        objects.iter().map(|file| file.as_str().to_owned()).collect()
    };
    assert_eq!(list(None, 100), ["B", "a", "a.b", "aa", "~"]);
    assert_eq!(list(None, 2), ["B", "a"]);
    assert_eq!(list(Some("a"), 2), ["a.b", "aa"]);
    assert_eq!(list(Some("gone"), 2), ["~"], "where it goes on need not exist any more");
    assert!(list(Some("~"), 2).is_empty());
}

#[test]
fn a_record_is_replaced_and_deleted_by_version_only() {
    let conn = tables();
    let first = records::create(&conn, &scope(), &name("a"), b"1").unwrap();
    assert!(matches!(records::create(&conn, &scope(), &name("a"), b"1"), Err(Error::Conflict)));
    let second = records::replace(&conn, &scope(), &name("a"), &first, b"1").unwrap();
    assert_ne!(first, second, "the same value has another version");
    assert!(matches!(records::replace(&conn, &scope(), &name("a"), &first, b"2"), Err(Error::Conflict)));
    assert!(matches!(records::replace(&conn, &scope(), &name("b"), &first, b"2"), Err(Error::NotFound)));
    let there = records::get(&conn, &scope(), &name("a")).unwrap();
    assert_eq!((there.version.as_str(), there.value.as_slice()), (second.as_str(), &b"1"[..]));
    assert!(matches!(records::delete(&conn, &scope(), &name("a"), Some(&first)), Err(Error::Conflict)));
    assert!(records::delete(&conn, &scope(), &name("a"), Some(&second)).unwrap());
    assert!(!records::delete(&conn, &scope(), &name("a"), Some(&second)).unwrap());
    assert!(!records::delete(&conn, &scope(), &name("a"), None).unwrap());
    assert!(matches!(records::get(&conn, &scope(), &name("a")), Err(Error::NotFound)));
}

#[test]
fn records_are_listed_by_prefix_from_any_page() {
    let conn = tables();
    for text in ["a", "a-", "a/b", "a/b/c", "a/~", "ab", "b", "B", "~"] {
        records::create(&conn, &scope(), &name(text), &[0; 4_000]).unwrap();
    }
    let list = |prefix: &str, after: Option<&str>, limit| -> Vec<String> {
        let names = records::list(&conn, &scope(), prefix, after, limit).unwrap();
        names.iter().map(|name| name.as_str().to_owned()).collect()
    };
    assert_eq!(list("", None, 100), ["B", "a", "a-", "a/b", "a/b/c", "a/~", "ab", "b", "~"]);
    assert_eq!(list("a", None, 100), ["a", "a-", "a/b", "a/b/c", "a/~", "ab"]);
    assert_eq!(list("a/", None, 100), ["a/b", "a/b/c", "a/~"]);
    assert_eq!(list("a/", None, 1), ["a/b"]);
    assert_eq!(list("a/", Some("a/b"), 1), ["a/b/c"]);
    assert_eq!(list("a/", Some("a/b/c"), 2), ["a/~"]);
    assert_eq!(list("a", Some("B"), 2), ["a", "a-"], "a cursor from before the prefix");
    assert!(list("a", Some("b"), 2).is_empty());
    assert!(list("c", None, 2).is_empty());

    conn.execute_batch("BEGIN").unwrap();
    for number in 0..5_000 {
        records::create(&conn, &scope(), &name(&format!("many/{number:05}")), b"").unwrap();
    }
    conn.execute_batch("COMMIT").unwrap();
    assert_eq!(list("many/", Some("many/04998"), 10), ["many/04999"]);
    let last = steps(&conn, records::LIST, ("main", "many/04990\u{1}", "many/\u{7f}", 10));
    assert!(last < 300, "{last} steps for a page at the end");
}

#[test]
fn an_assembly_takes_its_parts_whole_or_not_at_all() {
    let conn = tables();
    let fill = |name: &str| -> BTreeMap<u32, Token> {
        let rows = (0..6).map(|number| part(name, number, PartFile::Placed, Some(u64::from(number) * 10), 10));
        rows.map(|row| {
            parts::insert(&conn, &scope(), &row).unwrap();
            (row.key.number, row.key.token)
        })
        .collect()
    };
    let consume = |of: &str, tokens: &_, file| parts::consume(&conn, &scope(), &session(of), tokens, file);
    let counts = |of: &str| parts::placed_counts(&conn, &scope(), &session(of)).unwrap();
    for file in [true, false] {
        let tokens = fill("whole");
        consume("whole", &tokens, file).unwrap();
        assert_eq!(counts("whole"), (0, 0), "neither parts nor withdrawn ranges");
    }
    let mut tokens = fill("some");
    let rest = tokens.split_off(&4);
    tokens.remove(&1);
    consume("some", &tokens, false).unwrap();
    assert_eq!(counts("some"), (3, 3), "the ranges of the parts stay taken");
    let (mut gone, mut replaced) = (rest.clone(), rest);
    gone.insert(0, tokens[&0].clone());
    replaced.insert(4, Token::random().unwrap());
    for tokens in [gone, replaced] {
        let refused = consume("some", &tokens, false);
        assert!(matches!(refused, Err(Error::NotFound)), "{refused:?}");
    }
    assert_eq!(counts("some"), (3, 3), "nothing was removed");
}

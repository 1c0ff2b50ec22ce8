//! Receipts of single parts and of many objects at once.

use portico_guest_conformance::*;

cases! {
    parts,
    parts_that_are_not_there,
    objects,
    as_many_as_allowed,
}

fn parts(store: &Store) {
    let content = pattern(1, 70_000);
    let offset = PartOptions::new().size(70_000).offset(140_000);
    let digest = PartOptions::new().want_sha256();
    for (number, options) in [(0, PartOptions::new()), (u32::MAX, offset), (7, digest)] {
        let asked = options.want_sha256;
        let part = store.put_temp_part("session", number, content.source(), options.clone()).expect("a put");
        assert_eq!(store.stat_temp_part(&part.temp_key), Ok(part.clone()));
        assert_eq!(part.sha256, asked.then(|| content.sha256()));
        let again = store.put_temp_part("session", number, content.source(), options.same_content_ok());
        assert!(again.expect("a replay").replayed);
        assert_eq!(store.stat_temp_part(&part.temp_key), Ok(part.clone()), "it is not a replay itself");
        keep_part(store, &part, &content);
    }
}

fn parts_that_are_not_there(store: &Store) {
    let content = pattern(1, 10);
    let deleted = put_part(store, "session", 1, &content);
    assert_eq!(store.delete_temp_part(&deleted.temp_key), Ok(true));
    refused(store.stat_temp_part(&deleted.temp_key), Error::NotFound);
    let part = put_part(store, "session", 1, &content);
    refused(store.stat_temp_part(&deleted.temp_key), Error::NotFound);
    assert_eq!(store.stat_temp_part(&part.temp_key).as_ref(), Ok(&part));
    let object = store.assemble_final("file", [&part.temp_key], FinalOptions::new()).expect("an object");
    refused(store.stat_temp_part(&part.temp_key), Error::NotFound);
    keep_object(store, &object, &content);
}

fn objects(store: &Store) {
    assert_eq!(store.stat_finals(&[]), Ok(Vec::new()));
    let [one, two] = [1, 2].map(|seed| {
        let (id, content) = (format!("file-{seed}"), pattern(seed, 10));
        let options = FinalOptions::new().content_type("text/plain").metadata("seed", seed.to_string());
        let object = store.put_final(&id, content.source(), options).expect("a put");
        keep_object(store, &object, &content);
        object
    });
    let deleted = put(store, "deleted", &pattern(3, 10));
    store.delete_final(&deleted.bucket, &deleted.key).expect("a delete");
    store.void_final("voided", "aborted").expect("an end");
    put_part(store, "file-3", 1, &pattern(4, 10));
    let ids = ["file-2", "nothing", "file-1", "deleted", "file-2", "voided", "file-3"].map(str::to_owned);
    let (one, two) = (Some(one), Some(two));
    assert_eq!(store.stat_finals(&ids), Ok(vec![two.clone(), None, one, None, two, None, None]));
    assert_eq!(store.delete_session_parts("file-3"), Ok(1));
}

fn as_many_as_allowed(store: &Store) {
    let content = pattern(1, 10);
    let object = put(store, "file-0999", &content);
    let ids: Vec<String> = (0..1_001).map(|n| format!("file-{n:04}")).collect();
    let found = store.stat_finals(&ids[..1_000]).expect("receipts");
    assert_eq!(found.len(), 1_000);
    assert!(found[..999].iter().all(Option::is_none));
    assert_eq!(found[999].as_ref(), Some(&object));
    refused_argument(store.stat_finals(&ids), Argument::Limit);
    keep_object(store, &object, &content);
}

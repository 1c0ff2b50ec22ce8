//! Malformed names and options: nothing is stored and no content is read.

use portico_guest_conformance::*;

cases! { file_ids, session_ids, content_types, metadata, temp_keys, keys_of_finals, offsets }

/// Returns malformed identifiers, with a meaning in a path, a URL or a shell.
fn no_identifiers() -> Vec<String> {
    let mut names: Vec<String> = [
        "",
        ".",
        "..",
        ".hidden",
        "...",
        "a/b",
        "/",
        "/etc/passwd",
        "../x",
        "a/../b",
        "a\\b",
        "a b",
        " ",
        "a\n",
        "\0",
        "a\0b",
        "%2e%2e",
        "a%2fb",
        "a:b",
        "a*",
        "a?",
        "é",
        "a\u{301}",
        "\u{202e}",
        "表",
        "a+b",
        "a,b",
        "a=b",
        "@",
        "\u{7f}",
    ]
    .map(str::to_owned)
    .into();
    names.push("x".repeat(129));
    names.push("x".repeat(5_000));
    names
}

fn file_ids(store: &Store) {
    for id in no_identifiers() {
        let content = pattern(1, 10).source();
        refused_argument(store.put_final(&id, content, FinalOptions::new()), Argument::FileId);
        refused_argument(store.create_final(&id, FinalOptions::new()), Argument::FileId);
        refused_argument(store.assemble_final(&id, [""; 0], FinalOptions::new()), Argument::FileId);
        refused_argument(store.stat_final(&id), Argument::FileId);
        refused_argument(store.open_final(&id), Argument::FileId);
        refused_argument(store.stat_finals(&["file".to_owned(), id.clone()]), Argument::FileId);
        refused_argument(store.void_final(&id, "reason"), Argument::FileId);
    }
}

fn session_ids(store: &Store) {
    for id in no_identifiers() {
        let content = pattern(1, 10).source();
        refused_argument(store.put_temp_part(&id, 1, content, PartOptions::new()), Argument::SessionId);
        refused_argument(store.create_temp_part(&id, 1, PartOptions::new()), Argument::SessionId);
        refused_argument(store.list_temp_parts(&id, None, 1), Argument::SessionId);
        refused_argument(store.delete_session_parts(&id), Argument::SessionId);
        refused_argument(store.interrupt(&id), Argument::SessionId);
    }
}

fn refused_options(store: &Store, options: FinalOptions, argument: Argument) {
    refused_argument(store.put_final("file", endless(1), options.clone()), argument);
    refused_argument(store.create_final("file", options.clone()), argument);
    refused_argument(store.assemble_final("file", [""; 0], options), argument);
    assert_free(store, "file");
}

fn content_types(store: &Store) {
    for content_type in ["x".repeat(256), "a\nb".into(), "a\0".into(), "é".into(), "a\tb".into(), "\u{7f}".into()] {
        refused_options(store, FinalOptions::new().content_type(content_type), Argument::ContentType);
    }
}

fn metadata(store: &Store) {
    let many = (0..65).fold(FinalOptions::new(), |options, pair| options.metadata(format!("{pair}"), ""));
    refused_options(store, many, Argument::Metadata);
    let long = FinalOptions::new().metadata("key", "v".repeat((8 << 10) - 2));
    refused_options(store, long, Argument::Metadata);
    let twice = FinalOptions::new().metadata("key", "1").metadata("key", "2");
    refused_options(store, twice, Argument::Metadata);
    for key in ["", "Key", "a b", "a.b", "a=b", "é", "a\n", &"k".repeat(65)] {
        refused_options(store, FinalOptions::new().metadata(key, "value"), Argument::Metadata);
    }
    for value in ["a\nb", "\0", "\u{7f}", "\u{85}", "a\r\nX-Header: b"] {
        refused_options(store, FinalOptions::new().metadata("key", value), Argument::Metadata);
    }
}

fn temp_keys(store: &Store) {
    let content = pattern(1, 10);
    let part = put_part(store, "session", 1, &content);
    let object = put(store, "file", &content);
    let mut keys: Vec<String> =
        ["", "/", "///", "session", "session/1", "session/1/", "../../index.sqlite", "\0"].map(str::to_owned).into();
    keys.push(object.key.clone());
    keys.push(format!("/{}", part.temp_key));
    keys.push(format!("{}/", part.temp_key));
    keys.push(format!("{} ", part.temp_key));
    keys.push(part.temp_key.repeat(100));
    for key in keys {
        // A well-formed key may be the key of nothing.
        let read = store.get_temp_part_stream(&key, ..);
        assert!(matches!(read, Err(Error::InvalidArgument(Argument::TempKey) | Error::NotFound)), "{key}: {read:?}");
        let stat = store.stat_temp_part(&key);
        assert!(matches!(stat, Err(Error::InvalidArgument(Argument::TempKey) | Error::NotFound)), "{key}: {stat:?}");
        let delete = store.delete_temp_part(&key);
        assert!(matches!(delete, Err(Error::InvalidArgument(Argument::TempKey)) | Ok(false)), "{key}: {delete:?}");
        let assembly = store.assemble_final("new", [key.as_str()], FinalOptions::new());
        let refusal = matches!(assembly, Err(Error::InvalidArgument(Argument::TempKey) | Error::NotFound));
        assert!(refusal, "{key}: {assembly:?}");
    }
    refused_argument(store.get_temp_part_stream("", ..), Argument::TempKey);
    refused_argument(store.stat_temp_part(""), Argument::TempKey);
    refused_argument(store.delete_temp_part(""), Argument::TempKey);
    refused_argument(store.assemble_final("new", [""], FinalOptions::new()), Argument::TempKey);
    keep_part(store, &part, &content);
    keep_object(store, &object, &content);
}

/// A bucket or key from no receipt is not found, whatever its form.
fn keys_of_finals(store: &Store) {
    let content = pattern(1, 10);
    let part = put_part(store, "session", 1, &content);
    let object = put(store, "file", &content);
    let (bucket, key) = (object.bucket.as_str(), object.key.as_str());
    let mut names: Vec<(String, String)> = Vec::new();
    for wrong in ["", ".", "..", "\0", "other", "é", "bucket/../x"] {
        names.push((wrong.to_owned(), key.to_owned()));
    }
    names.push((bucket.repeat(2_000), key.to_owned()));
    for wrong in ["", ".", "..", "/", "\0", "index.sqlite", "lock", "/etc/passwd", "../../etc/passwd", "file", "é"] {
        names.push((bucket.to_owned(), wrong.to_owned()));
    }
    names.push((bucket.to_owned(), format!("/{key}")));
    names.push((bucket.to_owned(), format!("{key}/")));
    names.push((bucket.to_owned(), format!("./{key}")));
    names.push((bucket.to_owned(), format!("{key}\0")));
    names.push((bucket.to_owned(), format!("{key}/../file")));
    names.push((bucket.to_owned(), key.replace("file", "")));
    names.push((bucket.to_owned(), key.replace("file", ".")));
    names.push((bucket.to_owned(), key.to_uppercase()));
    names.push((bucket.to_owned(), key.repeat(500)));
    names.push((bucket.to_owned(), part.temp_key.clone()));
    names.push((bucket.to_owned(), format!("temp/main/{}", part.temp_key.replace("/1/", "/"))));
    for (bucket, key) in names {
        refused(store.get_final_stream(&bucket, &key, ..), Error::NotFound);
        assert!(!store.delete_final(&bucket, &key).expect("an answer"), "{bucket} {key}");
    }
    keep_part(store, &part, &content);
    keep_object(store, &object, &content);
}

fn offsets(store: &Store) {
    const END: u64 = i64::MAX as u64;
    for (offset, size) in [(END + 1, 0), (u64::MAX, 0), (END, 1), (END - 9, 10 + 1), (u64::MAX, 1)] {
        let options = PartOptions::new().offset(offset).size(size);
        refused_argument(
            store.put_temp_part("session", 1, pattern(1, size).source(), options.clone()),
            Argument::Offset,
        );
        refused_argument(store.create_temp_part("session", 1, options), Argument::Offset);
    }
    refused_argument(
        store.put_temp_part("session", 1, pattern(1, 1).source(), PartOptions::new().offset(END + 1)),
        Argument::Offset,
    );
}

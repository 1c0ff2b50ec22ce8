//! `portico check` and `portico conformance` over a bucket.

use crate::fixture::run;
use crate::{S3Server, Store};
use std::sync::Arc;

pub(crate) fn check_says_what_the_server_is_able_to(s3: &Arc<S3Server>) {
    let store = Store::on(s3);
    let said = run(store.command("check"));
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    let findings: Vec<&str> = said.out.lines().skip_while(|line| !line.starts_with("store: ")).skip(1).collect();
    let (closing, findings) = findings.split_last().expect("findings");
    assert_eq!(*closing, "writing, reading and deleting succeeded");
    assert!(findings.len() > 3, "{said:?}");
    assert!(findings.iter().all(|line| line.starts_with("ok ") || line.starts_with("missing ")), "{said:?}");
    if s3.name() == "s3s" {
        assert!(findings.iter().all(|line| line.starts_with("ok ")), "{said:?}");
    }
    assert!(!said.out.contains(s3.secret_key()), "{said:?}");
    assert_eq!(store.names_differ(&[]), None);
}

/// The configuration takes what a store opens with, and no more.
pub(crate) fn what_the_configuration_takes_opens(s3: &Arc<S3Server>) {
    let store = Store::on(s3);
    let check = |flags: &[&str]| {
        let mut command = store.command("check");
        command.args(flags);
        run(command)
    };
    for flags in [
        &["--s3-concurrency", "64"][..],
        &["--s3-part-size", "5MiB", "--s3-memory", "20MiB"],
        &["--s3-part-size", "2GiB", "--s3-memory", "4GiB"],
        &["--s3-single-runner", "true"],
    ] {
        let said = check(flags);
        assert_eq!((said.code, &*said.err), (Some(0), ""), "{flags:?}: {said:?}");
    }
    for (flags, key) in [
        (&["--s3-concurrency", "65"][..], "s3_concurrency"),
        (&["--s3-part-size", "5MiB", "--s3-memory", "19MiB"], "s3_memory"),
        (&["--s3-part-size", "3GiB", "--s3-memory", "6GiB"], "s3_part_size"),
        (&["--s3-memory", "5GiB"], "s3_memory"),
    ] {
        let said = check(flags);
        assert_eq!((said.code, &*said.out), (Some(2), ""), "{flags:?}: {said:?}");
        assert!(said.err.starts_with(&format!("portico: {key} = ")), "{flags:?}: {said:?}");
    }
}

pub(crate) fn conformance_runs_over_a_bucket_and_leaves_nothing(s3: &Arc<S3Server>) {
    let store = Store::on(s3);
    let mut command = store.command("conformance");
    command.args(["::put_final::", "--jobs=4"]);
    let said = run(command);
    assert_eq!((said.code, &*said.err), (Some(0), ""), "{said:?}");
    let lines: Vec<&str> = said.out.lines().collect();
    let (closing, cases) = lines.split_last().expect("a closing line");
    assert!(cases.len() > 3, "{said:?}");
    for case in cases {
        assert!(case.starts_with("s3::put_final::") && case.ends_with(" ... ok"), "{case}");
    }
    assert_eq!(*closing, format!("{} passed, 0 failed, 0 skipped", cases.len()));
    assert_eq!(store.keys().into_keys().collect::<Vec<_>>(), Vec::<String>::new());
}

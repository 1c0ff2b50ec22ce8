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
    assert_eq!(*closing, "it can be written, read and deleted from");
    assert!(findings.len() > 3, "{said:?}");
    assert!(findings.iter().all(|line| line.starts_with("ok ") || line.starts_with("missing ")), "{said:?}");
    if s3.name() == "s3s" {
        assert!(findings.iter().all(|line| line.starts_with("ok ")), "{said:?}");
    }
    assert!(!said.out.contains(s3.secret_key()), "{said:?}");
    assert_eq!(store.names_differ(&[]), None);
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

//! Servers that lack what a store rests on are refused.

use portico_s3::{OpenError, S3Store};
use portico_test_servers::Server;

/// A server without conditional writes is accepted only for a sole process, which has to say so.
pub(crate) async fn a_server_without_conditional_writes_is_refused_unless_it_is_for_one_process(server: Server) {
    let mut options = server.options(&server.bucket().await);
    options.single_runner = false;
    match S3Store::open(options.clone()).await.map(drop) {
        Ok(()) => assert!(server.has_conditions(), "it was taken"),
        Err(OpenError::Lacks { capability, advice, .. }) => {
            assert!(!server.has_conditions(), "it was refused: {capability}");
            assert!(capability.contains("If-None-Match") && advice.contains("single_runner"), "{capability}: {advice}");
        }
        Err(error) => panic!("{error:?}"),
    }
    options.single_runner = true;
    let store = S3Store::open(options).await.expect("the store opens");
    let report = store.capabilities().report();
    let has = |name| report.iter().find(|finding| finding.name == name).expect("a finding").works;
    assert_eq!(has("create-only writes") && has("compare-and-swap"), server.has_conditions(), "{report:?}");
}

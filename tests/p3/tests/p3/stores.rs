//! A fresh store for each test.

use portico_s3::S3Store;
use portico_store::local::LocalStore;
use portico_store::{Backend, Error, Expected, FileId, FinalOptions, IfExists, Scope, put_final, stream::from_bytes};
use portico_test_servers::{FaultProxy, Server};
use std::any::Any;
use std::path::Path;
use std::sync::Arc;

#[derive(Clone, Copy)]
pub(crate) enum Kind {
    Local,
    S3,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Local => "local",
            Kind::S3 => "s3",
        }
    }
}

/// A store, and what it lives in.
pub(crate) struct TestStore {
    pub(crate) backend: Arc<dyn Backend>,
    _home: Box<dyn Any + Send + Sync>,
}

impl TestStore {
    pub(crate) async fn open(kind: Kind) -> TestStore {
        match kind {
            Kind::Local => Self::local(&std::env::temp_dir()).await,
            Kind::S3 => {
                let server = Server::s3s().await;
                let options = server.options(&server.bucket().await);
                let backend = Arc::new(S3Store::open(options).await.expect("a store"));
                TestStore { backend, _home: Box::new(server) }
            }
        }
    }

    /// A local store in a fresh folder.
    pub(crate) async fn local(parent: &Path) -> TestStore {
        let folder = tempfile::tempdir_in(parent).expect("a folder");
        let backend = Arc::new(LocalStore::open(folder.path(), Default::default()).await.expect("a store"));
        TestStore { backend, _home: Box::new(folder) }
    }

    /// A store on S3 whose requests a proxy can spoil.
    pub(crate) async fn behind_a_proxy() -> (TestStore, FaultProxy) {
        let server = Server::s3s().await;
        let proxy = FaultProxy::start(&server).await;
        let mut options = server.options(&server.bucket().await);
        options.endpoint = Some(proxy.endpoint().to_owned());
        let backend = Arc::new(S3Store::open(options).await.expect("a store"));
        (TestStore { backend, _home: Box::new(server) }, proxy)
    }

    /// Stores an object of this size.
    pub(crate) async fn put(&self, id: &str, size: usize) -> Result<(), Error> {
        let options = FinalOptions {
            expected: Expected::default(),
            if_exists: IfExists::Fail,
            content_type: None,
            metadata: Vec::new(),
        };
        let content: Vec<u8> = (0..size).map(|at| (at / 7) as u8).collect();
        let file = FileId::parse(id)?;
        put_final(&*self.backend, &Scope::root(), &file, &mut from_bytes(content), options).await.map(drop)
    }
}

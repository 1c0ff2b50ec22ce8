//! `portico-example-tenants PORTAL STORE` serves the portal on 127.0.0.1:8080 to the tenants `alice`, `bob` and `carol`.
//! STORE is a folder, or `s3://BUCKET/PREFIX` with the endpoint in `AWS_ENDPOINT_URL` and the keys in `AWS_ACCESS_KEY_ID`
//! and `AWS_SECRET_ACCESS_KEY`.

use portico_example_tenants::Server;
use portico_s3::{Credentials, Location, S3Options, S3Store};
use portico_store::{Backend, guard::Usage, local::LocalStore};
use std::{env::var, sync::Arc};

#[tokio::main]
async fn main() -> wasmtime::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let [_, portal, store] = args.as_slice() else { wasmtime::bail!("usage: portico-example-tenants PORTAL STORE") };
    let backend: Arc<dyn Backend> = match store.strip_prefix("s3://") {
        None => Arc::new(LocalStore::open(store.as_ref(), Default::default()).await?),
        Some(location) => {
            let mut options = S3Options::new(Location::parse(location)?);
            options.endpoint = var("AWS_ENDPOINT_URL").ok();
            // Without this the SDK looks in all places that it knows.
            options.credentials =
                Some(Credentials::new(var("AWS_ACCESS_KEY_ID")?, var("AWS_SECRET_ACCESS_KEY")?).into());
            Arc::new(S3Store::open(options).await?)
        }
    };
    let quota = Usage { bytes: 1 << 30, objects: 1_000 };
    let tenants = ["alice", "bob", "carol"].map(|name| (name.to_owned(), quota));
    let server = Arc::new(Server::new(&std::fs::read(portal)?, backend, tenants).await?);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:8080").await?;
    Ok(server.serve(listener).await?)
}

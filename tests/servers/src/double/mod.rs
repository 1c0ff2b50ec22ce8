//! An S3 server in the test process: the protocol by `s3s`, which also checks signatures, over a store of our own that
//! does what AWS documents, or tells [`Lies`].

mod checksums;
mod content;
mod lies;
mod listing;
mod multipart;
mod objects;
mod service;
mod state;

pub use lies::Lies;
pub(crate) use lies::Told;

use hyper::header::{DATE, HeaderValue};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use s3s::auth::{S3Auth, SecretKey};
use s3s::config::{S3Config, StaticConfigProvider};
use s3s::service::S3ServiceBuilder;
use s3s::{Body, S3Result, s3_error};
use state::State;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// How far the clock of a server in the process is ahead, in seconds.
#[derive(Clone, Default)]
pub(crate) struct Clock(Arc<AtomicU64>);

impl Clock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    /// In whole seconds, as headers have it.
    fn now(&self) -> SystemTime {
        let since = UNIX_EPOCH.elapsed().expect("a clock after 1970").as_secs();
        UNIX_EPOCH + Duration::from_secs(since + self.0.load(Ordering::Relaxed))
    }
}

struct Double {
    folder: PathBuf,
    state: Mutex<State>,
    told: Told,
    clock: Clock,
}

impl Double {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }

    fn lies(&self) -> Lies {
        self.told.get()
    }
}

/// The one access key there is, and its secret.
struct Keys([&'static str; 2]);

#[async_trait::async_trait]
impl S3Auth for Keys {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        let Keys([known, secret]) = self;
        if access_key == *known { Ok(SecretKey::from(*secret)) } else { Err(s3_error!(InvalidAccessKeyId)) }
    }
}

/// Serves until it is dropped, with its data in a folder.
pub(crate) async fn serve(listener: TcpListener, folder: PathBuf, keys: [&'static str; 2], told: Told, clock: Clock) {
    let double = Double { folder, state: Mutex::default(), told: told.clone(), clock: clock.clone() };
    let mut service = S3ServiceBuilder::new(double);
    service.set_auth(Keys(keys));
    // `s3s` compares the times of requests with the real clock, which ours may be far ahead of.
    let mut config = S3Config::default();
    config.presigned_url_max_skew_time_secs = u32::MAX;
    service.set_config(Arc::new(StaticConfigProvider::new(Arc::new(config))));
    let service = service.build();
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { continue };
        let _ = stream.set_nodelay(true);
        let (service, clock, told) = (service.clone(), clock.clone(), told.clone());
        let answer = service_fn(move |request: hyper::Request<hyper::body::Incoming>| {
            let (service, clock, told) = (service.clone(), clock.clone(), told.clone());
            async move {
                let mut response = service.call(request.map(Body::from)).await?;
                let date = HeaderValue::from_str(&httpdate::fmt_http_date(clock.now())).expect("a date");
                response.headers_mut().insert(DATE, date);
                if !told.get().no_request_ids {
                    let id = format!("{:016X}", fastrand::u64(..));
                    response.headers_mut().insert("x-amz-request-id", HeaderValue::from_str(&id).expect("an id"));
                }
                Ok::<_, s3s::HttpError>(response)
            }
        });
        connections.spawn(hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer));
        while connections.try_join_next().is_some() {}
    }
}

//! The shared part of `put`, `get`, `ls` and `rm`: the choice of the portal, and the orderly end.
//!
//! The portal is a remote server, or an embedded one that ends with the command. Both are reached over HTTP, so that a
//! command behaves the same with either.

use super::args::{configured, sources, switch};
use super::error::Error;
use super::portal::{PortalBuilder, for_client};
use super::progress::Progress;
use super::stop::Stop;
use super::store::OpenStore;
use super::{log, stderr, threads};
use crate::config::{Config, time};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, value_parser};
use portico_client::{BearerToken, Client, Options, ServerUrl};
use portico_server::server::{Server, Settings, Tokens};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// The environment variable with the token.
const TOKEN: &str = "PORTICO_TOKEN";

/// Creates a client command, with the flags of all client commands. `retry` is the default of `--retry`.
pub(super) fn command(name: &'static str, about: &'static str, retry: &'static str) -> Command {
    let server = Arg::new("server").long("server").value_name("URL").env("PORTICO_SERVER");
    let auth_file = Arg::new("auth-file").long("auth-file").value_name("FILE").value_parser(value_parser!(PathBuf));
    let ca_file = Arg::new("ca-file").long("ca-file").value_name("FILE").value_parser(value_parser!(PathBuf));
    let retry = Arg::new("retry").long("retry").value_name("TIME").default_value(retry).value_parser(time);
    let own = [
        server.help(
            "URL of the server; without one, the command opens the configured store itself, for its exclusive use",
        ),
        auth_file.help("File with the token for the server [env: PORTICO_TOKEN holds the token itself]"),
        ca_file.help("Certificates in PEM to trust in place of the system's"),
        retry.help("How long to retry after the last success"),
        switch("json").help("Print everything as JSON, one object a line"),
    ];
    // The settings are many, and most uses need none of them.
    configured(name, about)
        .mut_args(|arg| arg.hide_short_help(true).help_heading("The store, if no server is given"))
        .args(own)
}

/// The error if neither a server nor a store is given.
const NOWHERE: &str = "no server and no store: give --server URL (or PORTICO_SERVER), or --store (or PORTICO_STORE)";

/// Runs the work of a client command on the chosen portal.
pub(super) fn run<W, F>(matches: &ArgMatches, work: W) -> Result<ExitCode, Error>
where
    W: FnOnce(Arc<Client>, Progress) -> F,
    F: Future<Output = Result<ExitCode, Error>>,
{
    let progress = Progress::new(matches.get_flag("json"));
    let retry = *matches.get_one::<Duration>("retry").expect("the flag has a default");
    let endpoint = Endpoint::of(matches)?;
    threads::run(async {
        let mut stop = Stop::new().map_err(Error::Start)?.watched();
        let (options, own) = match endpoint {
            Endpoint::Server(options) => (options, None),
            Endpoint::Store(config) => {
                let own = tokio::select! {
                    own = EmbeddedPortal::start(*config) => own?,
                    signal = stop.first() => return Err(Error::Stopped(signal)),
                };
                (own.options(), Some(own))
            }
        };
        let client = Arc::new(Client::new(options, retry)?);
        let done = tokio::select! {
            done = work(client, progress.clone()) => done,
            signal = stop.first() => Err(Error::Stopped(signal)),
        };
        progress.clear();
        if let Some(own) = own {
            own.end().await;
        }
        done
    })
}

/// The portal of a client command.
enum Endpoint {
    Server(Options),
    Store(Box<Config>),
}

impl Endpoint {
    fn of(matches: &ArgMatches) -> Result<Endpoint, Error> {
        let server = matches.get_one::<String>("server");
        let is_flag = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let store = is_flag("store");
        if is_flag("server") && store {
            return Err(Error::Usage("--server and --store: a command has one of them".to_owned()));
        }
        // A flag takes precedence over the environment.
        if let Some(url) = server.filter(|_| !store) {
            let url = ServerUrl::parse(url)?;
            let token = token(matches)?;
            if token.is_some() && url.is_overheard() {
                stderr::say(&format!("others on the network can read the token: {url} is not https"));
            }
            return Ok(Endpoint::Server(Options { url, token, ca_file: matches.get_one("ca-file").cloned() }));
        }
        if let Some(name) = ["auth-file", "ca-file"].into_iter().find(|name| is_flag(name)) {
            return Err(Error::Usage(format!("--{name} is for a server, and none is given")));
        }
        let config = Config::load(&sources(matches)).map_err(|error| match error {
            crate::config::ConfigError::Missing { key: "store", .. } => Error::Usage(NOWHERE.to_owned()),
            error => Error::Config(error),
        })?;
        Ok(Endpoint::Store(Box::new(config)))
    }
}

fn token(matches: &ArgMatches) -> Result<Option<BearerToken>, Error> {
    if let Some(file) = matches.get_one::<PathBuf>("auth-file") {
        return Ok(Some(BearerToken::read(file)?));
    }
    match std::env::var_os(TOKEN) {
        None => Ok(None),
        Some(text) => Ok(Some(BearerToken::new(&text.to_string_lossy(), TOKEN)?)),
    }
}

/// A portal in this process, on a loopback port.
struct EmbeddedPortal {
    addr: SocketAddr,
    /// The access token. Other users of the machine can reach the port.
    secret: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    store: OpenStore,
}

impl EmbeddedPortal {
    async fn start(config: Config) -> Result<EmbeddedPortal, Error> {
        log::start_quiet(&config);
        let store = OpenStore::open_now(&config).await?;
        let backend = store.backend();
        let runtime = PortalBuilder::new(&config, backend.clone()).runtime(for_client(&config)?).await?;
        let secret = secret()?;
        let tokens = Some(Tokens::one(&secret).expect("hexadecimal digits"));
        let settings = Settings { tokens, ..config.settings };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listening = |cause| Error::Listen { addr: listen, cause };
        let server = Server::bind(listen, runtime, backend, settings).await.map_err(listening)?;
        let addr = server.local_addr().map_err(listening)?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.run(async move { _ = stopped.await }));
        Ok(EmbeddedPortal { addr, secret, stop, serving, store })
    }

    /// Returns the options of a client for this portal.
    fn options(&self) -> Options {
        let url = ServerUrl::parse(&format!("http://{}", self.addr)).expect("an address is a URL's host");
        let token = BearerToken::new(&self.secret, "this process").expect("hexadecimal digits");
        Options { url, token: Some(token), ca_file: None }
    }

    async fn end(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the embedded portal panicked");
        }
        self.store.wait_background().await;
    }
}

/// Returns 256 random bits in hexadecimal.
fn secret() -> Result<String, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| Error::Start(std::io::Error::other(error)))?;
    Ok(hex::encode(random))
}

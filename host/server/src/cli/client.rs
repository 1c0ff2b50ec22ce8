//! What `put`, `get`, `ls` and `rm` have in common: which portal they talk to, and how they end.
//!
//! A portal is a server that somebody runs, or one in this process that ends with the command; both are talked to over
//! HTTP, so that a command does the same with either.

use super::args::{configured, sources, switch};
use super::error::Error;
use super::progress::Progress;
use super::stop::Stop;
use super::store::Store;
use super::{log, portal, stderr};
use crate::config::{Config, time};
use crate::server::{Server, Settings, Tokens};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, value_parser};
use portico_client::{Client, Options, ServerUrl, Token};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long work that blocks may take to return when everything else has ended.
const BLOCKING_END: Duration = Duration::from_secs(5);

/// The environment variable that holds a token.
const TOKEN: &str = "PORTICO_TOKEN";

/// A command of a client, with what they all can be told. `retry` is the default of `--retry`.
pub(super) fn command(name: &'static str, about: &'static str, retry: &'static str) -> Command {
    let server = Arg::new("server").long("server").value_name("URL").env("PORTICO_SERVER");
    let auth_file = Arg::new("auth-file").long("auth-file").value_name("FILE").value_parser(value_parser!(PathBuf));
    let ca_file = Arg::new("ca-file").long("ca-file").value_name("FILE").value_parser(value_parser!(PathBuf));
    let retry = Arg::new("retry").long("retry").value_name("TIME").default_value(retry).value_parser(time);
    let own = [
        server
            .help("The server; without one the store is opened here, as configured, and none but this command has it"),
        auth_file.help("File with the token for the server [env: PORTICO_TOKEN, the token itself]"),
        ca_file.help("Certificates in PEM that are trusted in place of the system's"),
        retry.help("How long to go on trying after the last thing that went well"),
        switch("json").help("Tell everything as JSON, one object a line"),
    ];
    // They are many, and most uses need none of them.
    configured(name, about)
        .mut_args(|arg| arg.hide_short_help(true).help_heading("The store, where no server is given"))
        .args(own)
}

/// What is told where a command has no server and no store.
const NOWHERE: &str = "no server and no store: give --server URL (or PORTICO_SERVER), or --store (or PORTICO_STORE)";

/// Does the work of a command on the portal that it was told.
pub(super) fn run<W, F>(matches: &ArgMatches, work: W) -> Result<ExitCode, Error>
where
    W: FnOnce(Arc<Client>, Progress) -> F,
    F: Future<Output = Result<ExitCode, Error>>,
{
    let progress = Progress::new(matches.get_flag("json"));
    let retry = *matches.get_one::<Duration>("retry").expect("it has a default");
    let place = Place::of(matches)?;
    let tokio = super::threads::start()?;
    let done = tokio.block_on(async {
        let mut stop = Stop::new().map_err(Error::Start)?.watched();
        let (options, own) = match place {
            Place::Server(options) => (options, None),
            Place::Store(config) => {
                let own = tokio::select! {
                    own = Own::start(*config) => own?,
                    signal = stop.first() => return Err(Error::Stopped(signal)),
                };
                (own.options(), Some(own))
            }
        };
        let client = Arc::new(Client::new(options.server()?, retry));
        let done = tokio::select! {
            done = work(client, progress.clone()) => done,
            signal = stop.first() => Err(Error::Stopped(signal)),
        };
        progress.clear();
        if let Some(own) = own {
            own.end().await;
        }
        done
    });
    tokio.shutdown_timeout(BLOCKING_END);
    done
}

/// Where the portal is.
enum Place {
    Server(Options),
    Store(Box<Config>),
}

impl Place {
    fn of(matches: &ArgMatches) -> Result<Place, Error> {
        let server = matches.get_one::<String>("server");
        let is_flag = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
        let store = is_flag("store");
        if is_flag("server") && store {
            return Err(Error::Usage("--server and --store: a command has one of them".to_owned()));
        }
        // A flag wins over the environment.
        if let Some(url) = server.filter(|_| !store) {
            let url = ServerUrl::parse(url)?;
            let token = token(matches)?;
            if token.is_some() && url.is_overheard() {
                stderr::say(&format!("anybody on the way to {url} can read the token: it is not https"));
            }
            return Ok(Place::Server(Options { url, token, ca_file: matches.get_one("ca-file").cloned() }));
        }
        if let Some(name) = ["auth-file", "ca-file"].into_iter().find(|name| is_flag(name)) {
            return Err(Error::Usage(format!("--{name} is for a server, and none is given")));
        }
        let config = Config::load(&sources(matches)).map_err(|error| match error {
            crate::config::ConfigError::Missing { key: "store", .. } => Error::Usage(NOWHERE.to_owned()),
            error => Error::Config(error),
        })?;
        Ok(Place::Store(Box::new(config)))
    }
}

fn token(matches: &ArgMatches) -> Result<Option<Token>, Error> {
    if let Some(file) = matches.get_one::<PathBuf>("auth-file") {
        return Ok(Some(Token::read(file)?));
    }
    match std::env::var_os(TOKEN) {
        None => Ok(None),
        Some(text) => Ok(Some(Token::new(&text.to_string_lossy(), TOKEN)?)),
    }
}

/// A portal in this process.
struct Own {
    addr: SocketAddr,
    /// What opens it, for this process alone: others of the machine could reach its port.
    secret: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    store: Store,
}

impl Own {
    async fn start(config: Config) -> Result<Own, Error> {
        log::start_quiet(&config);
        let store = Store::open_now(&config).await?;
        let backend = store.backend();
        let runtime = portal::runtime(&config, backend.clone())?;
        let secret = secret()?;
        let tokens = Some(Tokens::one(&secret).expect("hexadecimal digits"));
        let settings = Settings { tokens, ..config.settings };
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let listening = |cause| Error::Listen { addr: listen, cause };
        let server = Server::bind(listen, runtime, backend, settings).await.map_err(listening)?;
        let addr = server.local_addr().map_err(listening)?;
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server.run(async move { _ = stopped.await }));
        Ok(Own { addr, secret, stop, serving, store })
    }

    /// How it is reached.
    fn options(&self) -> Options {
        let url = ServerUrl::parse(&format!("http://{}", self.addr)).expect("an address is a URL's host");
        let token = Token::new(&self.secret, "this process").expect("hexadecimal digits");
        Options { url, token: Some(token), ca_file: None }
    }

    async fn end(self) {
        let _ = self.stop.send(());
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the portal did not end as it should");
        }
        self.store.settle().await;
    }
}

/// 256 random bits, in hexadecimal.
fn secret() -> Result<String, Error> {
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| Error::Start(std::io::Error::other(error)))?;
    Ok(random.iter().map(|byte| format!("{byte:02x}")).collect())
}

//! Tests of which each names its server.

use crate::availability::skipped;
use crate::{Availability, Server, available, runtime};
use libtest_mimic::Trial;

/// A test on the server of a name of [`wanted`](crate::wanted). It is shown as ignored where that may be missing and is,
/// and where it lacks something; its kind says why.
pub fn trial(name: &str, check: &str, lacks: Option<&str>, run: impl FnOnce(Server) + Send + 'static) -> Trial {
    let why_not = skipped(name).or(lacks.map(str::to_owned));
    let named = name.to_owned();
    let run = move || match runtime::block_on(available(&named)) {
        Availability::Ready(server) => {
            run(server);
            Ok(())
        }
        Availability::Skipped(why) | Availability::Failed(why) => Err(why.into()),
    };
    let trial = Trial::test(format!("{name}::{check}"), run).with_ignored_flag(why_not.is_some());
    trial.with_kind(why_not.unwrap_or_default())
}

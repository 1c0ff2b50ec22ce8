//! The interface `portico:storage/exchange`: what a portal does with its exchange beyond WASI HTTP.
//!
//! Invariant: the values of a metric's labels come from closed enums, so no guest chooses one.

use super::label::PortalLabel;
use crate::bindings::portico::storage::exchange::{self as bindings, Host, Outcome, Protocol};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use std::sync::Arc;
use wasmtime::component::{HasSelf, Linker};

/// The way of a guest's interim responses to its client.
pub trait InterimSink: Send + Sync {
    /// Sends an interim response. Returns false if that is not possible.
    fn send(&self, status: u16, fields: &[(String, String)]) -> bool;
}

/// No interim response is possible: maintenance has no client.
pub(super) struct NoInterim;

impl InterimSink for NoInterim {
    fn send(&self, _: u16, _: &[(String, String)]) -> bool {
        false
    }
}

/// The labels of an upload.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct UploadLabels {
    protocol: &'static str,
    outcome: &'static str,
    #[prometheus(flatten)]
    portal: PortalLabel,
}

/// Counts ended uploads by protocol and outcome. The counters of several portals are one metric.
#[derive(Clone, Debug, Default)]
pub struct Uploads {
    counters: Family<UploadLabels, Counter>,
    portal: PortalLabel,
}

impl Uploads {
    /// Returns the counters of a portal. Each begins at 0, because Prometheus sees no increase when a series first appears.
    #[must_use]
    pub fn of(&self, portal: PortalLabel) -> Uploads {
        let uploads = Uploads { counters: self.counters.clone(), portal };
        for protocol in [Protocol::Files, Protocol::Forms, Protocol::Sessions, Protocol::Tus, Protocol::Resumable] {
            for outcome in [Outcome::Complete, Outcome::Aborted, Outcome::Expired, Outcome::Failed] {
                drop(uploads.counter(protocol, outcome));
            }
        }
        uploads
    }

    /// Returns the metric, for a registry.
    pub(crate) fn metric(&self) -> Family<UploadLabels, Counter> {
        self.counters.clone()
    }

    fn counter(&self, protocol: Protocol, outcome: Outcome) -> Counter {
        let protocol = match protocol {
            Protocol::Files => "files",
            Protocol::Forms => "forms",
            Protocol::Sessions => "sessions",
            Protocol::Tus => "tus",
            Protocol::Resumable => "resumable",
        };
        let outcome = match outcome {
            Outcome::Complete => "complete",
            Outcome::Aborted => "aborted",
            Outcome::Expired => "expired",
            Outcome::Failed => "failed",
        };
        self.counters.get_or_create_owned(&UploadLabels { protocol, outcome, portal: self.portal.clone() })
    }
}

/// What one guest may do with its exchange.
pub(crate) struct ExchangeCtx {
    /// The way of its interim responses.
    pub(super) interim: Arc<dyn InterimSink>,
    /// The counters of the host.
    pub(super) uploads: Uploads,
}

impl Host for ExchangeCtx {
    async fn send_interim(&mut self, status: u16, fields: Vec<(String, String)>) -> wasmtime::Result<bool> {
        Ok(self.interim.send(status, &fields))
    }

    async fn count_upload(&mut self, protocol: Protocol, outcome: Outcome) -> wasmtime::Result<()> {
        self.uploads.counter(protocol, outcome).inc();
        Ok(())
    }
}

/// Adds the interface to a linker.
pub(super) fn add_to_linker<T: Send + 'static>(
    linker: &mut Linker<T>,
    exchange: fn(&mut T) -> &mut ExchangeCtx,
) -> wasmtime::Result<()> {
    bindings::add_to_linker::<T, HasSelf<ExchangeCtx>>(linker, exchange)
}

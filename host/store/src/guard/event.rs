//! Events of operations, for metrics and audit.

use crate::{Error, Result, Scope};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// An operation of a backend that a user can cause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[allow(
    missing_docs,
    reason = "each is the method of the same name of `Backend`; puts are `begin_part` and `begin_final`"
)]
pub enum Operation {
    PutPart,
    ReadPart,
    StatPart,
    JoinParts,
    DeletePart,
    ListParts,
    ListSessions,
    DeleteSession,
    Interrupt,
    PutFinal,
    Assemble,
    ReadFinal,
    OpenFinal,
    StatFinal,
    StatFinals,
    DeleteFinal,
    ListFinals,
    VoidFinal,
    PurgeGone,
    CreateRecord,
    GetRecord,
    ReplaceRecord,
    DeleteRecord,
    ListRecords,
}

impl Operation {
    /// Returns the name, for a label of a metric: words joined by `-`.
    pub fn as_str(self) -> &'static str {
        match self {
            Operation::PutPart => "put-part",
            Operation::ReadPart => "read-part",
            Operation::StatPart => "stat-part",
            Operation::JoinParts => "join-parts",
            Operation::DeletePart => "delete-part",
            Operation::ListParts => "list-parts",
            Operation::ListSessions => "list-sessions",
            Operation::DeleteSession => "delete-session",
            Operation::Interrupt => "interrupt",
            Operation::PutFinal => "put-final",
            Operation::Assemble => "assemble",
            Operation::ReadFinal => "read-final",
            Operation::OpenFinal => "open-final",
            Operation::StatFinal => "stat-final",
            Operation::StatFinals => "stat-finals",
            Operation::DeleteFinal => "delete-final",
            Operation::ListFinals => "list-finals",
            Operation::VoidFinal => "void-final",
            Operation::PurgeGone => "purge-gone",
            Operation::CreateRecord => "create-record",
            Operation::GetRecord => "get-record",
            Operation::ReplaceRecord => "replace-record",
            Operation::DeleteRecord => "delete-record",
            Operation::ListRecords => "list-records",
        }
    }
}

/// How an operation ended.
#[derive(Clone, Copy, Debug)]
pub enum Outcome<'a> {
    /// The operation succeeded; a read delivered its range to the end.
    Done,
    /// The operation failed.
    Failed(&'a Error),
    /// The user gave the operation up before its end: a writer without `finish`, also because its source failed or its
    /// size was wrong, or a stream that was not read to its end.
    Dropped,
}

/// One operation that has ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Event<'a> {
    /// The operation.
    pub operation: Operation,
    /// The scope.
    pub scope: &'a Scope,
    /// The name that the operation is about: file id, key, `SESSION/NUMBER`, session or record; empty if it has none. The
    /// user chooses it, so it is no label of a metric.
    pub name: &'a str,
    /// Bytes of content that a put received, an assembly joined or a read delivered; otherwise 0.
    pub bytes: u64,
    /// Time from the call to the end. For content this includes the waiting for the user.
    pub elapsed: Duration,
    /// How the operation ended.
    pub outcome: Outcome<'a>,
}

/// Receives an [`Event`] for each operation that reached the guarded backend.
pub type Observer = Arc<dyn Fn(&Event<'_>) + Send + Sync>;

/// Watches one operation, and reports its end to an observer. Dropping the watch reports [`Outcome::Dropped`].
pub(super) struct Watch {
    observer: Option<Observer>,
    operation: Operation,
    scope: Scope,
    name: String,
    started: Instant,
    bytes: u64,
}

impl Watch {
    pub(super) fn new(observer: Option<Observer>, operation: Operation, scope: &Scope, name: String) -> Self {
        Watch { observer, operation, scope: scope.clone(), name, started: Instant::now(), bytes: 0 }
    }

    /// Counts bytes of content.
    pub(super) fn count(&mut self, bytes: u64) {
        self.bytes += bytes;
    }

    /// Returns the span of the operation.
    pub(super) fn span(&self) -> tracing::Span {
        tracing::debug_span!("storage", operation = self.operation.as_str(), scope = %self.scope, name = self.name)
    }

    /// Reports the end.
    pub(super) fn end<T>(mut self, result: &Result<T>) {
        self.report(match result {
            Ok(_) => Outcome::Done,
            Err(error) => Outcome::Failed(error),
        });
    }

    fn report(&mut self, outcome: Outcome<'_>) {
        if let Some(observer) = self.observer.take() {
            let Watch { operation, ref scope, ref name, bytes, .. } = *self;
            observer(&Event { operation, scope, name, bytes, elapsed: self.started.elapsed(), outcome });
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.report(Outcome::Dropped);
    }
}

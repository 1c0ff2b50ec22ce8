//! Why a portal cannot be run, or a guest has failed.

use super::artifact::ArtifactError;
use super::compose::ComposeError;
use super::deadline::DeadlineExceeded;
use super::known::KnownAdapter;
use super::shape::ComponentError;

/// Why a portal cannot be run at all.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// The engine cannot be created.
    #[error("cannot set up the WebAssembly engine for {guests} guests (max_requests)")]
    Engine {
        /// The configured number of guests.
        guests: u32,
        /// The engine's error.
        #[source]
        cause: wasmtime::Error,
    },
    /// The file is not a component that this host can run.
    #[error(transparent)]
    Component(#[from] ComponentError),
    /// The component cannot be composed with its adapters.
    #[error(transparent)]
    Compose(#[from] ComposeError),
    /// The component does not compile, or its adapters exceed the limits.
    #[error("the portal is not a WebAssembly component that can be compiled")]
    Compile(#[source] wasmtime::Error),
    /// The file cannot be read.
    #[error("cannot read the file")]
    Read(#[source] std::io::Error),
    /// The compiled file is not loaded.
    #[error(transparent)]
    Compiled(Box<ArtifactError>),
    /// The compiled file does not fit this machine or the version of wasmtime.
    #[error(
        "the compiled portal does not fit this program or this processor: compile it again, on this kind of machine"
    )]
    Load(#[source] wasmtime::Error),
    /// The compiled file is for another memory limit.
    #[error("the portal was compiled for guest_memory = {compiled}, and {configured} is configured: compile it again")]
    OtherMemory {
        /// The limit that the code is for, in bytes.
        compiled: usize,
        /// The configured limit, in bytes.
        configured: usize,
    },
    /// The component does not compile. The compiler ran in a process of its own.
    #[error("the portal is not a WebAssembly component that can be compiled: {0}")]
    CompileElsewhere(String),
    /// A signal ended the compiler's process.
    #[error(
        "signal {0} ended the process that compiles the portal; if that was for lack of memory, give the process more, or \
         compile elsewhere with `portico compile`"
    )]
    CompilerKilled(i32),
    /// The compiler's process cannot be reached, or its result cannot be written.
    #[error("cannot compile the portal")]
    Compiler(#[source] std::io::Error),
    /// The compilation was ended, because nobody wants its result any more.
    #[error("the compilation was ended early")]
    Aborted,
    /// The component cannot be linked.
    #[error("the portal cannot be linked")]
    Link(#[source] wasmtime::Error),
    /// The component imports interfaces that this host lacks.
    #[error("the portal imports something that this host does not provide: {imports}; {advice}")]
    Missing {
        /// The imports, each with the reason.
        imports: String,
        /// What to do.
        advice: String,
    },
    /// The component does not export `wasi:http/incoming-handler`.
    #[error("the portal does not answer HTTP requests (no export wasi:http/incoming-handler@0.2)")]
    NotAPortal(#[source] wasmtime::Error),
    /// The thread that advances the epoch cannot be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

impl SetupError {
    /// Returns the error for imports that are missing, each with the reason.
    pub fn missing(imports: &[(String, String)]) -> SetupError {
        let each: Vec<String> = imports.iter().map(|(name, why)| format!("{name} ({why})")).collect();
        let mut flags: Vec<String> = imports
            .iter()
            .filter_map(|(name, _)| KnownAdapter::of(name))
            .map(|known| format!("`--adapt {}` provides {}", known.name, known.package))
            .collect();
        flags.dedup();
        let advice = match &*flags {
            [] => {
                "build it without that, or compose it with components that provide it (`--adapt FILE`, or `wac plug`)"
                    .to_owned()
            }
            flags => flags.join(", "),
        };
        SetupError::Missing { imports: each.join(", "), advice }
    }
}

/// Why a guest failed its request.
#[derive(Debug, thiserror::Error)]
pub enum GuestError {
    /// All slots for guests are taken.
    #[error("all slots for guests are in use")]
    NoSlot(#[source] wasmtime::Error),
    /// The component cannot be instantiated.
    #[error("the guest could not be instantiated")]
    Instantiate(#[source] wasmtime::Error),
    /// The guest used up its processor time.
    #[error(transparent)]
    Deadline(DeadlineExceeded),
    /// The guest trapped.
    #[error("the guest trapped")]
    Trap(#[source] wasmtime::Error),
    /// The guest returned before it had finished its response body.
    #[error("the guest returned without finishing the body of its response")]
    Unfinished,
    /// The request cannot be converted for a guest.
    #[error("the request cannot be handed to a guest")]
    Request(#[source] wasmtime::Error),
    /// The guest was dropped, because its client had gone or stalled.
    #[error("the guest was dropped before it returned")]
    Dropped,
}

/// Why a step of a portal's maintenance failed.
#[derive(Debug, thiserror::Error)]
pub enum MaintenanceError {
    /// The guest failed.
    #[error(transparent)]
    Guest(#[from] GuestError),
    /// The portal reported an error of the store, whose cause is in the log.
    #[error("the portal's maintenance reports an error of the store: {0}")]
    Portal(crate::bindings::portico::storage::storage::Error),
    /// A step returned the position that it began with, so the round would never end.
    #[error("the portal's maintenance makes no progress")]
    Stuck,
}

impl GuestError {
    pub(super) fn of_instantiation(error: wasmtime::Error) -> GuestError {
        match error.downcast::<wasmtime::PoolConcurrencyLimitError>() {
            Ok(limit) => GuestError::NoSlot(limit.into()),
            Err(error) => match GuestError::of_call(error) {
                GuestError::Trap(error) => GuestError::Instantiate(error),
                other => other,
            },
        }
    }

    pub(super) fn of_call(error: wasmtime::Error) -> GuestError {
        match error.downcast::<DeadlineExceeded>() {
            Ok(deadline) => GuestError::Deadline(deadline),
            Err(error) => GuestError::Trap(error),
        }
    }
}

impl From<ArtifactError> for SetupError {
    fn from(error: ArtifactError) -> SetupError {
        SetupError::Compiled(Box::new(error))
    }
}

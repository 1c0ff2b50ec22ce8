//! The macro that makes a component of a portal's function.

/// Makes a portal of a function, which the host calls for each request.
///
/// The function takes a [`Request`](crate::http::Request) and returns a [`Response`](crate::http::Response) or a
/// [`Problem`](crate::http::Problem). A second function does a step of the background work that the host asks for; see
/// [`maintenance`](mod@crate::maintenance). Without it the component exports no maintenance. Outside of WebAssembly the macro
/// only checks the types.
///
/// ```
/// use portico_guest::http::{Kind, Problem, Request, Response};
/// use portico_guest::maintenance::{Progress, Step, Sweep};
/// use portico_guest::{Error, Store};
///
/// portico_guest::portal!(answer, maintenance = upkeep);
///
/// fn answer(request: &Request) -> Result<Response, Problem> {
///     match request.path() {
///         "/" => Ok(Response::new(200).content("text/plain", "Welcome\n")),
///         _ => Err(Kind::NOT_FOUND.into()),
///     }
/// }
///
/// fn upkeep(step: Step) -> Result<Progress, Error> {
///     Sweep::new(|_session| Ok(false)).run(&Store::open(), step)
/// }
/// ```
///
/// A portal that implements the interfaces itself has [`export_handler!`](crate::export_handler) and
/// [`export_maintenance!`](crate::export_maintenance), for a type with the traits
/// [`Handler`](crate::Handler) and [`Maintenance`](crate::Maintenance).
#[macro_export]
macro_rules! portal {
    ($handler:path) => {
        const _: fn(&$crate::http::Request) -> Result<$crate::http::Response, $crate::http::Problem> = $handler;

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Portal;

            impl $crate::Handler for Portal {
                fn handle(
                    request: $crate::bindings::wasi::http::types::IncomingRequest,
                    out: $crate::bindings::wasi::http::types::ResponseOutparam,
                ) {
                    $crate::http::serve(request, out, $handler);
                }
            }

    $crate::export_handler!(Portal with_types_in $crate::handler);
        };
    };
    ($handler:path, maintenance = $maintenance:path) => {
        $crate::portal!($handler);

        const _: fn($crate::maintenance::Step) -> $crate::Result<$crate::maintenance::Progress> = $maintenance;

        #[cfg(target_family = "wasm")]
        const _: () = {
            struct Portal;

            impl $crate::Maintenance for Portal {
                fn run(
                    budget_ms: u32,
                    after: Option<String>,
                ) -> Result<$crate::maintenance::Progress, $crate::bindings::portico::storage::storage::Error> {
                    Ok($maintenance($crate::maintenance::Step::new(budget_ms, after))?)
                }
            }

    $crate::export_maintenance!(Portal with_types_in $crate::bindings);
        };
    };
}

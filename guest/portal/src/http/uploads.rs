//! `/tus` and `/resumable`: uploads that grow by appends, in two protocols over the same sessions.
//!
//! The one place that decides which protocol a request speaks. `Tus-Resumable` decides for tus whatever else is there,
//! because systems add the fields of the IETF's draft to requests of tus clients on their own.

use crate::http::{
    files, links, resumable, resumable_fields,
    route::{Handler, Route},
    tus,
};
use crate::{
    engine::Engine,
    session::{End, Form},
};
use portico_guest::http::{Kind, Problem, Request, Response};

/// Methods of the URL at which uploads begin.
const CREATION: &[(&str, Handler)] = &[
    ("POST", |request, _| speak(request, tus::create, resumable::create)),
    ("PUT", |request, _| speak(request, not_in_tus, resumable::create)),
    ("PATCH", |request, _| speak(request, not_in_tus, resumable::create)),
    ("OPTIONS", |_, _| options()),
];

/// Methods of an upload's URL.
const UPLOAD: &[(&str, Handler)] = &[
    ("HEAD", |request, of| {
        speak(request, |request| tus::head(request, of[0]), |request| resumable::look(request, of[0]))
    }),
    ("GET", |request, of| get(request, of[0])),
    ("PATCH", |request, of| {
        speak(request, |request| tus::append(request, of[0]), |request| resumable::append(request, of[0]))
    }),
    ("DELETE", |request, of| {
        speak(request, |request| tus::terminate(request, of[0]), |request| resumable::cancel(request, of[0]))
    }),
    ("OPTIONS", |_, _| options()),
];

/// The routes of both protocols, with and without a slash at the end.
pub(super) const ROUTES: &[Route] = &[
    Route { pattern: &[TUS], methods: CREATION },
    Route { pattern: &[TUS, ""], methods: CREATION },
    Route { pattern: &[TUS, "*"], methods: UPLOAD },
    Route { pattern: &[RESUMABLE], methods: CREATION },
    Route { pattern: &[RESUMABLE, ""], methods: CREATION },
    Route { pattern: &[RESUMABLE, "*"], methods: UPLOAD },
];

const TUS: &str = "tus";
const RESUMABLE: &str = "resumable";

/// A protocol of uploads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tus,
    Resumable,
}

/// Applies `X-HTTP-Method-Override` (tus 1.0) to requests of these protocols, for clients that can't send every method.
pub(super) fn prepare(request: &Request) {
    if ![TUS, RESUMABLE].contains(&links::root(request)) {
        return;
    }
    let method = match request.field("x-http-method-override").as_deref() {
        Some("PATCH") => "PATCH",
        Some("DELETE") => "DELETE",
        Some("HEAD") => "HEAD",
        _ => return,
    };
    request.override_method(method);
}

fn protocol(request: &Request) -> Protocol {
    let is_tus = request.field("tus-resumable").is_some();
    if is_tus || (links::root(request) == TUS && !resumable_fields::is_spoken(request)) {
        Protocol::Tus
    } else {
        Protocol::Resumable
    }
}

/// Answers in the protocol of the request.
fn speak(
    request: &Request,
    in_tus: impl FnOnce(&Request) -> Result<Response, Problem>,
    in_resumable: impl FnOnce(&Request) -> Result<Response, Problem>,
) -> Result<Response, Problem> {
    match protocol(request) {
        Protocol::Tus => tus::answer(request, in_tus),
        Protocol::Resumable => resumable::answer(request, in_resumable),
    }
}

fn not_in_tus(_: &Request) -> Result<Response, Problem> {
    Err(Problem::from(Kind::METHOD_NOT_ALLOWED).header("allow", "POST, OPTIONS".to_owned()))
}

/// Describes both protocols at once.
fn options() -> Result<Response, Problem> {
    let engine = Engine::open();
    let response = tus::describe(Response::new(204), engine.store.info().max_object_size);
    Ok(resumable::describe(response, &engine))
}

/// Returns the file of a finished upload, in any protocol: browsers open the URL. Otherwise as the protocol says.
fn get(request: &Request, id: &str) -> Result<Response, Problem> {
    let engine = Engine::open();
    let found = engine.find(id)?;
    if let Form::Joined(_) = found.session.form() {
        // The last of its uploads may have been completed by a request that could not join them.
        let _ = engine.try_join(&found);
    }
    match engine.standing(&found.session)?.end {
        Some(End::Complete) => {
            let response = files::download(request, &found.session.file_id)?;
            Ok(resumable::finished(request, &engine, &found, response)?.header("tus-resumable", tus::VERSION))
        }
        _ if protocol(request) == Protocol::Resumable => {
            resumable::answer(request, |request| resumable::look(request, id))
        }
        // A client asks for the file, and may know the upload by its HEAD.
        _ => Err(Kind::NOT_FOUND.into()),
    }
}

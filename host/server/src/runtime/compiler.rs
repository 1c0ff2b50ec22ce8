//! Makes a component ready to run: from the cache, from a compiled file, or by compiling.
//!
//! Compiling a large component takes a minute and 320 MiB, so it happens in a process of its own, whose memory goes with it.
//! That process is this program with the hidden command [`CHILD_COMMAND`]. Invariants: what can be checked without compiling
//! is checked before; a failure of the cache or of starting the process costs time and never the start.

use super::artifact::{self, About, Artifact};
use super::cache::{self, CompileCache};
use super::compose::{AdapterComponent, ComposeError, compose};
use super::engine::{self, Addresses};
use super::error::SetupError;
use super::limits::{COMPILER_ERROR_MAX, COMPONENT_MAX, Limits};
use super::precompiled;
use super::shape::{ComponentError, Generation, Needs, Shape};
use crate::bounded;
use portico_store::chain;
use rustix::fs::{MemfdFlags, Mode, fchmod, memfd_create};
use rustix::process::{Signal, set_parent_process_death_signal};
use std::borrow::Cow;
use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmtime::Engine;
use wasmtime::component::Component;

/// The hidden command that compiles for another process of this program.
pub const CHILD_COMMAND: &str = "compile-child";

/// Interval at which a running compilation looks whether it is still wanted.
const LOOK: Duration = Duration::from_millis(10);

/// The file of a portal.
#[derive(Debug)]
pub enum PortalFile {
    /// A component.
    Component(Cow<'static, [u8]>),
    /// A component that `portico compile` has compiled.
    Compiled(Box<Artifact>),
}

impl PortalFile {
    /// Opens a file. Its first bytes say which of both it is.
    ///
    /// # Errors
    /// [`SetupError::Read`], [`SetupError::Component`] and [`SetupError::Compiled`].
    pub fn open(path: &Path) -> Result<PortalFile, SetupError> {
        let file = File::open(path).map_err(SetupError::Read)?;
        let mut begin = [0; 4];
        let read = file.read_at(&mut begin, 0).map_err(SetupError::Read)?;
        if artifact::is_compiled(&begin[..read]) {
            return Ok(PortalFile::Compiled(Box::new(Artifact::open(file)?)));
        }
        match bounded::read(file, COMPONENT_MAX) {
            Ok(component) => Ok(PortalFile::Component(component.into())),
            Err(error) if error.kind() == ErrorKind::FileTooLarge => Err(ComponentError::TooLarge.into()),
            Err(error) => Err(SetupError::Read(error)),
        }
    }

    /// Composes the component with adapters. Without adapters the file stays as it is.
    ///
    /// # Errors
    /// [`SetupError::Component`] and [`SetupError::Compose`].
    pub fn adapt(self, adapters: &[AdapterComponent]) -> Result<PortalFile, SetupError> {
        match self {
            file if adapters.is_empty() => Ok(file),
            PortalFile::Component(component) => {
                Shape::read(&component)?;
                Ok(PortalFile::Component(compose(&component, adapters)?.into()))
            }
            PortalFile::Compiled(_) => Err(ComposeError::Compiled.into()),
        }
    }

    /// Reads what the component contains.
    ///
    /// # Errors
    /// [`ComponentError`].
    pub fn shape(&self) -> Result<Shape, ComponentError> {
        match self {
            PortalFile::Component(component) => Shape::read(component),
            PortalFile::Compiled(artifact) => Ok(artifact.about().shape.clone()),
        }
    }
}

/// A component that is ready to be linked.
pub struct Compiled {
    pub(super) engine: Engine,
    pub(super) component: Component,
    #[cfg_attr(not(feature = "p3"), allow(dead_code, reason = "there is one version of WASI"))]
    pub(super) generation: Generation,
    pub(super) limits: Limits,
}

/// Ends a compilation early when set. Clones are the same switch.
#[derive(Clone, Debug, Default)]
pub struct Abort(Arc<AtomicBool>);

impl Abort {
    /// Ends the compilation.
    pub fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Compiles components, and keeps them.
#[derive(Clone, Debug, Default)]
pub struct Compiler {
    cache: Option<CompileCache>,
    /// The program that compiles; `None` for this process.
    program: Option<PathBuf>,
}

impl Compiler {
    /// Compiles in this process, without a cache.
    pub fn in_process() -> Compiler {
        Compiler::default()
    }

    /// Compiles in a process of its own, which is this program: called with [`CHILD_COMMAND`] and three arguments, it must pass
    /// them to [`compile_for_parent`], with its standard input and output.
    pub fn for_program() -> Compiler {
        // Still this program after the file was replaced by a newer version.
        Compiler { cache: None, program: Some(PathBuf::from("/proc/self/exe")) }
    }

    /// Keeps the results in a cache.
    #[must_use]
    pub fn with_cache(self, cache: Option<CompileCache>) -> Compiler {
        Compiler { cache, ..self }
    }

    /// Makes a component ready to run within `limits`.
    ///
    /// # Errors
    /// [`SetupError`].
    pub fn prepare(&self, file: &PortalFile, limits: &Limits, abort: &Abort) -> Result<Compiled, SetupError> {
        let shape = file.shape()?;
        shape.check(limits)?;
        let generation = shape.generation();
        let engine = |cause| SetupError::Engine { guests: limits.guests, cause };
        match file {
            PortalFile::Component(component) => {
                let (engine, addresses) = engine::engine(limits, &shape.needs, generation).map_err(engine)?;
                let about = About { shape, addresses, memory: limits.memory, key: String::new() };
                let component = self.component(&engine, component, about, abort)?;
                Ok(Compiled { engine, component, generation, limits: *limits })
            }
            PortalFile::Compiled(artifact) => {
                let about = artifact.about();
                if about.addresses == Addresses::Tight && about.memory != limits.memory {
                    return Err(SetupError::OtherMemory { compiled: about.memory, configured: limits.memory });
                }
                let config = engine::config(limits, &shape.needs, generation, about.addresses);
                let engine = Engine::new(&config).map_err(engine)?;
                let component = precompiled::load(&engine, artifact).map_err(SetupError::Load)?;
                Ok(Compiled { engine, component, generation, limits: *limits })
            }
        }
    }

    fn component(
        &self,
        engine: &Engine,
        component: &[u8],
        mut about: About,
        abort: &Abort,
    ) -> Result<Component, SetupError> {
        if self.cache.is_some() {
            about.key = cache::key(component, engine);
        }
        let kept = self.cache.as_ref().and_then(|cache| Some((cache, cache.load(&about.key)?)));
        if let Some((cache, artifact)) = kept {
            match precompiled::load(engine, &artifact) {
                Ok(component) => {
                    tracing::debug!(key = about.key, "the compiled portal is in the cache");
                    return Ok(component);
                }
                Err(error) => cache.refuse(&about.key, &*error.into_boxed_dyn_error()),
            }
        }
        let start = Instant::now();
        let Some(artifact) = self.compile(component, &about, abort)? else {
            return Component::new(engine, component).map_err(SetupError::Compile);
        };
        let ms = u64::try_from(start.elapsed().as_millis()).unwrap_or(u64::MAX);
        tracing::debug!(ms, "compiled the portal");
        let kept = self.cache.as_ref().map(|cache| cache.store(&about, &artifact));
        let loaded = match kept {
            // The pages of the cache cost memory only while they are used.
            Some(Ok(file)) => Artifact::open(file).ok().and_then(|artifact| precompiled::load(engine, &artifact).ok()),
            Some(Err(error)) => {
                tracing::warn!(%error, "cannot keep the compiled portal in the cache (compile_cache); the next start compiles again");
                None
            }
            None => None,
        };
        match loaded {
            Some(component) => Ok(component),
            None => precompiled::load(engine, &artifact).map_err(SetupError::Load),
        }
    }

    /// Compiles in a process of its own. Returns `None` if no such process can be started.
    fn compile(&self, component: &[u8], about: &About, abort: &Abort) -> Result<Option<Artifact>, SetupError> {
        let Some(program) = &self.program else { return Ok(None) };
        let started = in_memory().and_then(|file| Ok((start(program, &file, about)?, file)));
        let (child, file) = match started {
            Ok(started) => started,
            Err(error) => {
                tracing::warn!(%error, "cannot start a process to compile the portal; compiling in this process");
                return Ok(None);
            }
        };
        finish(child, component, abort)?;
        Ok(Some(Artifact::open(file)?))
    }
}

/// Creates a file in memory, which only this process and its child know.
fn in_memory() -> io::Result<File> {
    let file = memfd_create("portico-portal", MemfdFlags::CLOEXEC)?;
    // It has mode 0777 at first, and [`Artifact::open`] checks the mode.
    fchmod(&file, Mode::RUSR | Mode::WUSR)?;
    Ok(file.into())
}

fn start(program: &Path, to: &File, about: &About) -> io::Result<Child> {
    Command::new(program)
        .args([CHILD_COMMAND, &about.addresses.to_string(), &about.memory.to_string(), &about.key])
        .env_clear()
        .stdin(Stdio::piped())
        .stdout(to.try_clone()?)
        .stderr(Stdio::piped())
        .spawn()
}

/// Hands the component to the process, and waits for its end.
fn finish(mut child: Child, component: &[u8], abort: &Abort) -> Result<(), SetupError> {
    let mut input = child.stdin.take().expect("a pipe");
    // A process that fails early reads no more, and says why.
    let _ = input.write_all(component);
    drop(input);
    let status = loop {
        match child.try_wait().map_err(SetupError::Compiler)? {
            Some(status) => break status,
            None if abort.0.load(Ordering::Relaxed) => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(SetupError::Aborted);
            }
            None => std::thread::sleep(LOOK),
        }
    };
    if status.success() {
        return Ok(());
    }
    let mut words = Vec::new();
    let errors = child.stderr.take().expect("a pipe");
    errors.take(COMPILER_ERROR_MAX).read_to_end(&mut words).map_err(SetupError::Compiler)?;
    Err(failure(status, &String::from_utf8_lossy(&words)))
}

fn failure(status: ExitStatus, words: &str) -> SetupError {
    match status.signal() {
        Some(signal) => SetupError::CompilerKilled(signal),
        None => SetupError::CompileElsewhere(words.trim().to_owned()),
    }
}

/// Does the work of [`CHILD_COMMAND`]: compiles the component of `from` for its parent process.
///
/// # Errors
/// [`SetupError`].
pub fn compile_for_parent(
    addresses: &str,
    memory: usize,
    key: &str,
    from: impl Read,
    to: impl Write,
) -> Result<(), SetupError> {
    // Without its parent nobody wants the result.
    let _ = set_parent_process_death_signal(Some(Signal::KILL));
    let component = bounded::read(from, COMPONENT_MAX).map_err(SetupError::Read)?;
    compile(addresses, memory, key, &component, to)
}

/// Compiles a component into a file that [`PortalFile::open`] opens.
///
/// # Errors
/// [`SetupError`].
pub fn compile(
    addresses: &str,
    memory: usize,
    key: &str,
    component: &[u8],
    mut to: impl Write,
) -> Result<(), SetupError> {
    let addresses: Addresses =
        addresses.parse().map_err(|error: String| SetupError::Compiler(io::Error::other(error)))?;
    let shape = Shape::read(component)?;
    let limits = Limits { guests: 1, memory, ..Limits::default() };
    let engine = Engine::new(&engine::config(&limits, &Needs::default(), shape.generation(), addresses))
        .map_err(|cause| SetupError::Engine { guests: limits.guests, cause })?;
    let image = engine.precompile_component(component).map_err(SetupError::Compile)?;
    let about = About { shape, addresses, memory, key: key.to_owned() };
    artifact::write(&mut to, &image, &about).map_err(SetupError::Compiler)
}

/// Describes an error for the parent process, in one line.
pub fn describe(error: &SetupError) -> String {
    match error {
        // The parent adds its own words.
        SetupError::Compile(cause) => format!("{cause:#}"),
        error => chain(error),
    }
}

//! Reads what a component file contains, without compiling it.
//!
//! Compiling takes up to a minute, so everything that can be known before is checked here. Invariants: one pass over the file;
//! memory is linear in the size of the file; the numbers are those of one instance of the component, nested components
//! included. Only the adapters that the compiler adds between nested components are missing, and the engine counts them again.

use super::known::KnownAdapter;
use super::limits::{COMPONENT_MAX, Limits};
use std::fmt;
use wasmparser::{
    BinaryReaderError, ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Instance, Parser, Payload,
};

/// The export of a portal's maintenance, with the version as far as it matters.
pub(super) const MAINTENANCE: &str = "portico:storage/maintenance@0.2.";

/// The export that makes a component a portal, without its version.
const HANDLER: &str = "wasi:http/incoming-handler";

/// The export that makes a component of WASI 0.3 a portal, with the version as far as it matters.
const HANDLER_0_3: &str = "wasi:http/handler@0.3.";

/// Whether this build takes portals of WASI 0.3.
const TAKES_0_3: bool = cfg!(feature = "p3");

/// The most names of imports or exports that an error lists.
const NAMES_SHOWN: usize = 4;

/// Why a file is not a component that this host can run. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ComponentError {
    /// The file has no content.
    #[error("the file is empty: build the component again")]
    Empty,
    /// The file is larger than [`COMPONENT_MAX`].
    #[error(
        "the file is larger than {} MiB, the largest component that is compiled: remove debug information \
         (`wasm-tools strip`), or build an optimised release",
        COMPONENT_MAX >> 20
    )]
    TooLarge,
    /// The file is WebAssembly in text form.
    #[error("the file is WebAssembly text: convert it with `wasm-tools parse FILE -o FILE.wasm`")]
    Text,
    /// The file is not WebAssembly.
    #[error("the file is not a WebAssembly component: it does not begin with the four bytes `\\0asm`")]
    NotWasm,
    /// The file is a core module.
    #[error(
        "the file is a core module, not a WebAssembly component: build for the target wasm32-wasip2, or wrap the module with \
         `wasm-tools component new`"
    )]
    CoreModule,
    /// The file ends before the component does.
    #[error("the file ends after {0} bytes, in the middle of the component: copy or build it again")]
    CutOff(usize),
    /// The file is malformed.
    #[error("the file is not a valid WebAssembly component: build it again, or check it with `wasm-tools validate`")]
    Malformed(#[source] BinaryReaderError),
    /// The component is of WASI 0.3, which only builds with the feature `p3` take.
    #[error(
        "the component is of WASI 0.3 (it uses `{0}`), which this build of the host does not take: build the component for \
         WASI 0.2 (the world wasi:http/proxy@0.2), or build portico with `--features p3`"
    )]
    Wasi03(String),
    /// The component was built for another version of WASI.
    #[error(
        "the component uses `{0}`, and this host provides WASI 0.2: build the component for the world wasi:http/proxy@0.2"
    )]
    OtherWasi(String),
    /// The component does not handle HTTP requests.
    #[error(
        "the component does not answer HTTP requests (no export {HANDLER}@0.2; its exports: {}): build it for the world \
         wasi:http/proxy@0.2 or portico:storage/portal",
        Names(.0)
    )]
    NotAPortal(Vec<String>),
    /// The component exceeds a configured limit.
    #[error("the component has {found} {what}, and {setting} allows {limit}: raise {setting} to at least {found}")]
    TooMany {
        /// What there are too many of.
        what: &'static str,
        /// The number in the component.
        found: u64,
        /// The configured limit.
        limit: u32,
        /// The setting that raises the limit.
        setting: &'static str,
    },
}

/// Shows a few names.
pub(super) struct Names<'a>(pub(super) &'a [String]);

impl fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("none"),
            names if names.len() <= NAMES_SHOWN => f.write_str(&names.join(", ")),
            names => write!(f, "{} and {} more", names[..NAMES_SHOWN].join(", "), names.len() - NAMES_SHOWN),
        }
    }
}

/// The numbers of one instance of a component or module.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Core instances.
    pub core_instances: u64,
    /// Linear memories.
    pub memories: u64,
    /// Tables.
    pub tables: u64,
}

impl Needs {
    /// A module of unknown content.
    const UNKNOWN_MODULE: Needs = Needs { core_instances: 1, memories: 0, tables: 0 };

    // Saturates, because nested components can multiply beyond any number.
    fn add(&mut self, other: Needs) {
        self.core_instances = self.core_instances.saturating_add(other.core_instances);
        self.memories = self.memories.saturating_add(other.memories);
        self.tables = self.tables.saturating_add(other.tables);
    }
}

/// What a component contains, imports and exports.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The numbers of one instance.
    pub needs: Needs,
    /// The names of the imports, in the order of the file.
    pub imports: Vec<String>,
    /// The names of the exports, in the order of the file.
    pub exports: Vec<String>,
}

impl Shape {
    /// Reads a component file.
    ///
    /// # Errors
    /// [`ComponentError`] if the file is not a component.
    pub fn read(file: &[u8]) -> Result<Shape, ComponentError> {
        if file.is_empty() {
            return Err(ComponentError::Empty);
        }
        if file.len() as u64 > COMPONENT_MAX {
            return Err(ComponentError::TooLarge);
        }
        if !file.starts_with(b"\0asm") {
            let is_text = file.trim_ascii_start().starts_with(b"(") || file.trim_ascii_start().starts_with(b";;");
            return Err(if is_text { ComponentError::Text } else { ComponentError::NotWasm });
        }
        if Parser::is_core_wasm(file) {
            return Err(ComponentError::CoreModule);
        }
        let mut reader = Reader::default();
        for payload in Parser::new(0).parse_all(file) {
            let read = payload.and_then(|payload| reader.take(&payload));
            read.map_err(|error| {
                // The parser has no other name for the end of its input.
                let is_end = error.message().starts_with("unexpected end");
                if is_end { ComponentError::CutOff(file.len()) } else { ComponentError::Malformed(error) }
            })?;
        }
        Ok(reader.shape)
    }

    /// Checks that the component can be a portal within `limits`.
    ///
    /// # Errors
    /// [`ComponentError`] for the first reason against it.
    pub fn check(&self, limits: &Limits) -> Result<(), ComponentError> {
        for name in self.imports.iter().chain(&self.exports) {
            match version(name) {
                Some(version) if version.starts_with("0.3.") && !TAKES_0_3 => {
                    return Err(ComponentError::Wasi03(name.clone()));
                }
                Some(version) if !version.starts_with("0.2.") && !version.starts_with("0.3.") => {
                    return Err(ComponentError::OtherWasi(name.clone()));
                }
                _ => {}
            }
        }
        if !self.answers_http() {
            return Err(ComponentError::NotAPortal(self.exports.clone()));
        }
        let Needs { core_instances, memories, tables } = self.needs;
        for (what, found, limit, setting) in [
            ("core instances", core_instances, limits.core_instances, "guest_instances"),
            ("linear memories", memories, limits.memories, "guest_memories"),
            ("tables", tables, limits.tables, "guest_tables"),
        ] {
            if found > u64::from(limit) {
                return Err(ComponentError::TooMany { what, found, limit, setting });
            }
        }
        Ok(())
    }

    /// Reports whether the component handles HTTP requests, of a version of WASI that this build takes.
    pub fn answers_http(&self) -> bool {
        let version = |name: &String| name.strip_prefix(HANDLER).is_some_and(|version| version.starts_with("@0.2."));
        self.exports.iter().any(version) || self.generation() == Generation::Wasi03
    }

    /// Returns the version of WASI whose HTTP requests the component handles.
    pub(super) fn generation(&self) -> Generation {
        if TAKES_0_3 && self.exports.iter().any(|name| name.starts_with(HANDLER_0_3)) {
            Generation::Wasi03
        } else {
            Generation::Wasi02
        }
    }
}

/// The version of WASI of a portal. Each needs an engine of its own kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Generation {
    /// WASI 0.2: a call blocks its instance.
    Wasi02,
    /// WASI 0.3: an instance has many calls in flight.
    Wasi03,
}

/// Returns the version in a name of WASI or of the contract, which follows WASI's. What an adapter provides has none.
fn version(name: &str) -> Option<&str> {
    if KnownAdapter::of(name).is_some() {
        return None;
    }
    let (interface, version) = name.split_once('@')?;
    (interface.starts_with("wasi:") || interface.starts_with("portico:storage/")).then_some(version)
}

/// A module or component that is being read.
enum Frame {
    Module(Needs),
    Component(Scope),
}

/// The index spaces of a component, as far as they matter for counting. `None` stands for unknown content.
#[derive(Default)]
struct Scope {
    modules: Vec<Option<Needs>>,
    components: Vec<Option<Needs>>,
    needs: Needs,
}

/// Counts while the parser goes through a file.
#[derive(Default)]
struct Reader {
    frames: Vec<Frame>,
    shape: Shape,
}

type Read = Result<(), BinaryReaderError>;

impl Reader {
    fn take(&mut self, payload: &Payload<'_>) -> Read {
        match payload {
            Payload::Version { encoding: Encoding::Module, .. } => {
                self.frames.push(Frame::Module(Needs { core_instances: 1, ..Needs::default() }));
            }
            Payload::Version { encoding: Encoding::Component, .. } => {
                self.frames.push(Frame::Component(Scope::default()))
            }
            Payload::End(_) => self.end(),
            Payload::MemorySection(memories) => self.module(|needs| needs.memories += u64::from(memories.count())),
            Payload::TableSection(tables) => self.module(|needs| needs.tables += u64::from(tables.count())),
            Payload::InstanceSection(instances) => {
                for instance in instances.clone() {
                    if let Instance::Instantiate { module_index, .. } = instance? {
                        self.component(|scope| {
                            let module = scope.modules.get(module_index as usize).copied().flatten();
                            scope.needs.add(module.unwrap_or(Needs::UNKNOWN_MODULE));
                        });
                    }
                }
            }
            Payload::ComponentInstanceSection(instances) => {
                for instance in instances.clone() {
                    if let ComponentInstance::Instantiate { component_index, .. } = instance? {
                        self.component(|scope| {
                            let component = scope.components.get(component_index as usize).copied().flatten();
                            scope.needs.add(component.unwrap_or_default());
                        });
                    }
                }
            }
            Payload::ComponentAliasSection(aliases) => {
                for alias in aliases.clone() {
                    self.alias(&alias?);
                }
            }
            Payload::ComponentImportSection(imports) => {
                for import in imports.clone() {
                    let import = import?;
                    if self.frames.len() == 1 {
                        self.shape.imports.push(import.name.name.to_owned());
                    }
                    self.component(|scope| match import.ty {
                        ComponentTypeRef::Module(_) => scope.modules.push(None),
                        ComponentTypeRef::Component(_) => scope.components.push(None),
                        _ => {}
                    });
                }
            }
            Payload::ComponentExportSection(exports) => {
                for export in exports.clone() {
                    let export = export?;
                    if self.frames.len() == 1 {
                        self.shape.exports.push(export.name.name.to_owned());
                    }
                    // An export has an index of its own.
                    let index = export.index as usize;
                    self.component(|scope| match export.kind {
                        ComponentExternalKind::Module => {
                            scope.modules.push(scope.modules.get(index).copied().flatten());
                        }
                        ComponentExternalKind::Component => {
                            scope.components.push(scope.components.get(index).copied().flatten());
                        }
                        _ => {}
                    });
                }
            }
            _ => {}
        }
        Ok(())
    }

    fn end(&mut self) {
        match self.frames.pop() {
            Some(Frame::Module(needs)) => self.component(|scope| scope.modules.push(Some(needs))),
            Some(Frame::Component(ended)) if self.frames.is_empty() => self.shape.needs = ended.needs,
            Some(Frame::Component(ended)) => self.component(|scope| scope.components.push(Some(ended.needs))),
            None => {}
        }
    }

    fn alias(&mut self, alias: &ComponentAlias<'_>) {
        match *alias {
            ComponentAlias::Outer { kind, count, index } => {
                let outer = (self.frames.len() - 1).checked_sub(count as usize).and_then(|at| self.frames.get(at));
                let Some(Frame::Component(outer)) = outer else { return };
                let of = |space: &[Option<Needs>]| space.get(index as usize).copied().flatten();
                let (module, component) = (of(&outer.modules), of(&outer.components));
                self.component(|scope| match kind {
                    ComponentOuterAliasKind::CoreModule => scope.modules.push(module),
                    ComponentOuterAliasKind::Component => scope.components.push(component),
                    _ => {}
                });
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Module, .. } => {
                self.component(|scope| scope.modules.push(None));
            }
            ComponentAlias::InstanceExport { kind: ComponentExternalKind::Component, .. } => {
                self.component(|scope| scope.components.push(None));
            }
            _ => {}
        }
    }

    fn module(&mut self, change: impl FnOnce(&mut Needs)) {
        if let Some(Frame::Module(needs)) = self.frames.last_mut() {
            change(needs);
        }
    }

    fn component(&mut self, change: impl FnOnce(&mut Scope)) {
        if let Some(Frame::Component(scope)) = self.frames.last_mut() {
            change(scope);
        }
    }
}

#[cfg(test)]
mod tests;

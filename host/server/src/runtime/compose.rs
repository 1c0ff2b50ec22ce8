//! Composes a portal with adapters: imports of the portal become exports of adapters, inside one component.
//!
//! Invariants: the result exports what the portal exports, and the maintenance of an adapter if the portal has none; imports
//! of both that no adapter provides stay imports, once each, under one of their compatible versions; the result depends
//! on nothing but the components, so a cache recognises it.

use super::shape::{ComponentError, MAINTENANCE, Names, Shape};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use wac_graph::types::{Package, are_semver_compatible};
use wac_graph::{CompositionGraph, EncodeOptions, NodeId, PackageId};

/// A component that provides imports of a portal.
#[derive(Debug)]
pub struct AdapterComponent {
    /// The name for errors.
    pub name: String,
    /// The component.
    pub component: Cow<'static, [u8]>,
}

/// Why a portal cannot be composed with its adapters. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ComposeError {
    /// An adapter is not a component.
    #[error("the adapter {adapter} cannot be used")]
    Adapter {
        /// The adapter.
        adapter: String,
        /// The cause.
        #[source]
        cause: ComponentError,
    },
    /// The file of an adapter cannot be read.
    #[error("cannot read the adapter {adapter}")]
    Read {
        /// The adapter.
        adapter: String,
        /// The cause.
        #[source]
        cause: std::io::Error,
    },
    /// The portal was compiled before.
    #[error("a compiled portal takes no adapter: give `--adapt` to `portico compile`, with the component")]
    Compiled,
    /// An adapter was compiled before.
    #[error("the adapter {0} is compiled: name the component itself")]
    CompiledAdapter(String),
    /// The portal imports nothing that an adapter provides.
    #[error(
        "the portal imports nothing that the adapter {adapter} provides ({provides}): leave the adapter out{}",
        .similar.as_ref().map(|name| format!(", or use one for {name}, which the portal imports")).unwrap_or_default()
    )]
    Unused {
        /// The adapter.
        adapter: String,
        /// What it provides.
        provides: String,
        /// An import of the same package in another version.
        similar: Option<String>,
    },
    /// An import and the export of an adapter have the same name and other types.
    #[error("the adapter {adapter} provides {interface} with other types than the portal imports: {why}")]
    OtherTypes {
        /// The adapter.
        adapter: String,
        /// The interface.
        interface: String,
        /// The difference.
        why: String,
    },
    /// Two adapters provide the same import, or both do maintenance.
    #[error("the adapters {one} and {other} both provide {interface}: leave one of them out")]
    Twice {
        /// The one adapter.
        one: String,
        /// The other one.
        other: String,
        /// The interface.
        interface: String,
    },
    /// The components do not fit together for another reason.
    #[error("the portal cannot be composed with its adapters: {0}")]
    Composition(String),
}

/// Composes a portal with adapters.
///
/// # Errors
/// [`ComposeError`].
pub(super) fn compose(portal: &[u8], adapters: &[AdapterComponent]) -> Result<Vec<u8>, ComposeError> {
    for AdapterComponent { name, component } in adapters {
        let named = |cause| ComposeError::Adapter { adapter: name.clone(), cause };
        Shape::read(component).map_err(named)?;
    }
    // The library panics on components of unusual kinds.
    let composed = catch_unwind(AssertUnwindSafe(|| Composition::new(portal, adapters)?.finish()));
    composed.unwrap_or_else(|_| {
        Err(ComposeError::Composition("a component has imports or exports that cannot be composed".to_owned()))
    })
}

/// A composition in progress.
struct Composition<'a> {
    graph: CompositionGraph,
    portal: (PackageId, NodeId),
    adapters: Vec<(&'a str, PackageId)>,
}

impl<'a> Composition<'a> {
    fn new(portal: &[u8], adapters: &'a [AdapterComponent]) -> Result<Composition<'a>, ComposeError> {
        let mut graph = CompositionGraph::new();
        let package = register(&mut graph, "portal", portal)?;
        let portal = (package, graph.instantiate(package));
        let mut registered = Vec::new();
        for (number, adapter) in adapters.iter().enumerate() {
            let package = register(&mut graph, &format!("adapter{number}"), &adapter.component)?;
            registered.push((&*adapter.name, package));
        }
        Ok(Composition { graph, portal, adapters: registered })
    }

    fn finish(mut self) -> Result<Vec<u8>, ComposeError> {
        let mut provided: BTreeMap<String, &str> = BTreeMap::new();
        let mut maintained: Option<(&str, NodeId, String)> = None;
        let has_maintenance = self.exports(self.portal.0).iter().any(|name| name.starts_with(MAINTENANCE));
        for (adapter, package) in self.adapters.clone() {
            let instance = self.graph.instantiate(package);
            let pairs = self.pairs(package);
            if pairs.is_empty() {
                return Err(self.unused(adapter, package));
            }
            for (export, import) in pairs {
                if let Some(one) = provided.insert(import.clone(), adapter) {
                    return Err(ComposeError::Twice {
                        one: one.to_owned(),
                        other: adapter.to_owned(),
                        interface: import,
                    });
                }
                let node = self.graph.alias_instance_export(instance, &export).map_err(other)?;
                self.graph.set_instantiation_argument(self.portal.1, &import, node).map_err(|error| {
                    let why = portico_store::chain(&error);
                    ComposeError::OtherTypes { adapter: adapter.to_owned(), interface: import.clone(), why }
                })?;
            }
            let maintenance = self.exports(package).into_iter().find(|name| name.starts_with(MAINTENANCE));
            if let Some(name) = maintenance.filter(|_| !has_maintenance) {
                if let Some((one, _, _)) = maintained {
                    let (one, other) = (one.to_owned(), adapter.to_owned());
                    return Err(ComposeError::Twice { one, other, interface: name });
                }
                maintained = Some((adapter, instance, name));
            }
        }
        for name in self.exports(self.portal.0) {
            self.export(self.portal.1, &name)?;
        }
        if let Some((_, instance, name)) = maintained {
            self.export(instance, &name)?;
        }
        // What is not valid does not compile.
        let options = EncodeOptions { validate: false, ..EncodeOptions::default() };
        self.graph.encode(options).map_err(other)
    }

    fn exports(&self, package: PackageId) -> Vec<String> {
        self.graph.types()[self.graph[package].ty()].exports.keys().cloned().collect()
    }

    fn imports(&self) -> impl Iterator<Item = &String> {
        self.graph.types()[self.graph[self.portal.0].ty()].imports.keys()
    }

    /// Returns the exports of an adapter that the portal imports, each with the name of the import.
    fn pairs(&self, package: PackageId) -> Vec<(String, String)> {
        let import = |export: &String| {
            let exact = self.imports().find(|import| *import == export);
            exact.or_else(|| self.imports().find(|import| are_semver_compatible(export, import))).cloned()
        };
        self.exports(package).into_iter().filter_map(|export| Some((export.clone(), import(&export)?))).collect()
    }

    fn unused(&self, adapter: &str, package: PackageId) -> ComposeError {
        let provides = self.exports(package);
        let similar = self.imports().find(|import| provides.iter().any(|export| same_package(import, export))).cloned();
        ComposeError::Unused { adapter: adapter.to_owned(), provides: Names(&provides).to_string(), similar }
    }

    fn export(&mut self, instance: NodeId, name: &str) -> Result<(), ComposeError> {
        let node = self.graph.alias_instance_export(instance, name).map_err(other)?;
        self.graph.export(node, name).map_err(other)
    }
}

fn register(graph: &mut CompositionGraph, name: &str, component: &[u8]) -> Result<PackageId, ComposeError> {
    let package = Package::from_bytes(name, None, component, graph.types_mut());
    let package = package.map_err(|error| ComposeError::Composition(format!("{error:#}")))?;
    graph.register_package(package).map_err(other)
}

fn other(error: impl std::error::Error) -> ComposeError {
    ComposeError::Composition(portico_store::chain(&error))
}

/// Reports whether two interfaces are of the same package, whatever their versions.
fn same_package(one: &str, other: &str) -> bool {
    let package = |name: &str| name.split_once('/').map(|(package, _)| package.to_owned());
    package(one).is_some() && package(one) == package(other)
}

#[cfg(test)]
mod tests;

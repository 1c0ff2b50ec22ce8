//! Loads compiled components.
//!
//! `unsafe`, because wasmtime runs the machine code of such a file without checking it. Invariant: only an [`Artifact`] is
//! loaded. Its file is owned by the user of this process or by root, no other user can write to it, and its content has the
//! digest that the compiler of this program has put at its end (`artifact.rs`). The checks and the loading use the same open
//! file, so that nobody can exchange the file in between. Who can change the file after that can also change this program.
#![allow(unsafe_code, reason = "Component::deserialize_file")]

use super::artifact::Artifact;
use std::os::fd::AsRawFd;
use wasmtime::Engine;
use wasmtime::component::Component;

/// Loads a compiled component. Its pages are those of the file, so they cost memory only while they are used.
pub(super) fn load(engine: &Engine, artifact: &Artifact) -> wasmtime::Result<Component> {
    let path = format!("/proc/self/fd/{}", artifact.file().as_raw_fd());
    // SAFETY: the file is the work of this program's compiler, unchanged; see the head of this module.
    let mapped = unsafe { Component::deserialize_file(engine, path) };
    // A filesystem that is mounted `noexec` refuses to map code. A copy in memory needs no mapping.
    mapped.or_else(|error| match artifact.content() {
        // SAFETY: as above.
        Ok(content) => unsafe { Component::deserialize(engine, content) },
        Err(_) => Err(error),
    })
}

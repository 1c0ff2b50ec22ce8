//! Settings of a portal, from the operator by `wasi:config/store`.

/// Returns the value of a setting, where the host has one. In native tests these are the settings of
/// [`Host::setting`](crate::memory::Host::setting).
#[must_use]
pub fn get(name: &str) -> Option<String> {
    #[cfg(target_family = "wasm")]
    {
        crate::bindings::wasi::config::store::get(name).ok().flatten()
    }
    #[cfg(not(target_family = "wasm"))]
    crate::memory::current::setting(name)
}

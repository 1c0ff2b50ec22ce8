//! Tests generation 0.3 of `portico:storage` from within a component. Each case is a function; the host calls it by its
//! name, and looks afterwards at what is stored. A check that fails panics, which traps.

pub mod bindings;
mod finals;
mod generations;
mod measure;
mod misuse;
mod parts;
mod source;
mod truncation;
mod writers;

use bindings::Guest;
use bindings::portico::storage0_3_0::storage::{Store, open};

/// The component.
#[derive(Debug)]
pub struct Program;

#[cfg(target_family = "wasm")]
mod export {
    #![allow(unsafe_code, unreachable_pub, reason = "generated")]

    use super::Program;
    crate::bindings::export!(Program with_types_in crate::bindings);
}

macro_rules! cases {
    ($name:ident, $store:ident: $($module:ident::$case:ident)*) => {
        match $name.as_str() {
            $(concat!(stringify!($module), "::", stringify!($case)) => $module::$case($store).await,)*
            other => return Err(format!("no case {other}")),
        }
    };
}

impl Guest for Program {
    async fn run(name: String, size: u64) -> Result<(), String> {
        let store: Store = open();
        if let Some(way) = name.strip_prefix("measure::") {
            measure::run(&store, way, size).await;
            return Ok(());
        }
        cases!(name, store:
            finals::kept_and_read
            finals::expected
            finals::two_racing_puts
            finals::refused_before_content
            finals::records_and_scopes
            parts::kept_and_assembled
            parts::joined_and_listed
            parts::prefixes
            parts::interrupted
            parts::endless_stream_meets_its_limit
            truncation::status_is_an_error
            truncation::status_is_dropped
            truncation::status_before_content
            truncation::error_before_content
            truncation::stream_dropped_early
            truncation::reader_dropped_early
            truncation::handed_on
            truncation::handed_on_after_a_cut
            truncation::put_cancelled
            truncation::guest_traps
            truncation::guest_ends
            truncation::backend_fails
            writers::pulled_twice
            writers::a_failed_pull_fails_the_writer
            writers::a_cancelled_pull_fails_the_writer
            writers::two_pulls_at_once
            generations::both_see_the_same
            misuse::too_many_streams
            misuse::too_many_calls
            misuse::a_table_of_statuses
            misuse::a_writer_of_nothing
            misuse::quota
        );
        Ok(())
    }
}

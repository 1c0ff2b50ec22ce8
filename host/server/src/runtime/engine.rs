//! Creates the engine of a portal, with as much address space as the process can get.

use super::headroom;
use super::limits::{self, Limits};
use super::shape::{Generation, Needs};
use std::fmt;
use std::str::FromStr;
use wasmtime::{Config, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig};

/// How address space for the memories of guests is reserved. Code that is compiled for one way does not run in another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Addresses {
    /// 4 GiB for each memory, reserved at the start: memory accesses need no checks.
    Ample,
    /// The configured memory for each memory, reserved at the start: memory accesses are checked.
    Tight,
    /// The memory that a guest uses, mapped for each guest anew.
    AsNeeded,
}

impl Addresses {
    const ALL: [(Addresses, &str); 3] =
        [(Addresses::Ample, "ample"), (Addresses::Tight, "tight"), (Addresses::AsNeeded, "as-needed")];
}

impl fmt::Display for Addresses {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (_, name) =
            Addresses::ALL.into_iter().find(|(addresses, _)| addresses == self).expect("all are in the table");
        f.write_str(name)
    }
}

impl FromStr for Addresses {
    type Err = String;

    fn from_str(text: &str) -> Result<Addresses, String> {
        let named = Addresses::ALL.into_iter().find(|(_, name)| *name == text);
        named.map(|(addresses, _)| addresses).ok_or_else(|| "expected ample, tight or as-needed".to_owned())
    }
}

/// Creates the engine for a component, with the most address space that the process can get. `ulimit -v`, a container or the
/// processor may limit it.
pub(super) fn engine(limits: &Limits, needs: &Needs, generation: Generation) -> wasmtime::Result<(Engine, Addresses)> {
    for addresses in [Addresses::Ample, Addresses::Tight] {
        match Engine::new(&config(limits, needs, generation, addresses)) {
            Ok(engine) if headroom::is_enough() => return Ok((engine, addresses)),
            Ok(_) => tracing::debug!(?addresses, "too little address space would remain"),
            Err(error) => tracing::debug!(?addresses, error = format!("{error:#}"), "too little address space"),
        }
        tracing::warn!(
            guests = limits.guests,
            memories = needs.memories,
            "this process has too little address space for so many guests ({addresses:?}), so requests will be slower: \
             raise the limit (ulimit -v), or lower max_requests or guest_memory"
        );
    }
    Ok((Engine::new(&config(limits, needs, generation, Addresses::AsNeeded))?, Addresses::AsNeeded))
}

/// Returns the configuration of an engine. What matters for compiled code depends on `generation`, `addresses` and the memory
/// limit alone. Concurrency makes each call of a guest slower, so guests of WASI 0.2 do without.
pub(super) fn config(limits: &Limits, needs: &Needs, generation: Generation, addresses: Addresses) -> Config {
    let mut config = Config::new();
    config
        .concurrency_support(generation == Generation::Wasi03)
        .epoch_interruption(true)
        .max_wasm_stack(limits::WASM_STACK)
        .async_stack_size(limits::FIBER_STACK);
    match addresses {
        Addresses::Ample => {
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, needs, generation)));
        }
        Addresses::Tight => {
            config.memory_reservation(limits.memory as u64).memory_guard_size(limits::GUARD);
            config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool(limits, needs, generation)));
        }
        Addresses::AsNeeded => {
            config.memory_reservation(0).memory_guard_size(limits::GUARD);
            config.memory_reservation_for_growth(limits::GROWTH);
            config.allocation_strategy(InstanceAllocationStrategy::OnDemand);
        }
    }
    config
}

/// Configures a pool with a slot for each guest. Memories and tables cost address space, so the pool has as many as the
/// component needs, and not as many as it might have.
fn pool(limits: &Limits, needs: &Needs, generation: Generation) -> PoolingAllocationConfig {
    let mut pool = PoolingAllocationConfig::default();
    let guests = limits.guests.saturating_add(limits::UPKEEP_GUESTS);
    let within = |needed: u64, limit: u32| u32::try_from(needed).unwrap_or(u32::MAX).clamp(1, limit.max(1));
    let (memories, tables) = (within(needs.memories, limits.memories), within(needs.tables, limits.tables));
    pool.total_component_instances(guests)
        .total_core_instances(guests.saturating_mul(limits.core_instances))
        .total_memories(guests.saturating_mul(memories))
        .total_tables(guests.saturating_mul(tables))
        .total_stacks(guests.saturating_mul(match generation {
            Generation::Wasi02 => 1,
            Generation::Wasi03 => limits::STACKS_0_3,
        }))
        .max_core_instances_per_component(limits.core_instances)
        .max_memories_per_component(memories)
        .max_tables_per_component(tables)
        .max_memories_per_module(memories)
        .max_tables_per_module(tables)
        .max_memory_size(limits.memory)
        .table_elements(limits::TABLE_ELEMENTS)
        .linear_memory_keep_resident(limits::KEEP_RESIDENT)
        .async_stack_keep_resident(limits::KEEP_RESIDENT)
        .pagemap_scan(Enabled::Auto);
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ways_to_reserve_have_names() {
        for (addresses, name) in Addresses::ALL {
            assert_eq!((addresses.to_string().as_str(), name.parse()), (name, Ok(addresses)));
        }
        assert!("other".parse::<Addresses>().is_err());
    }
}

use super::*;
use wasmtime::{Config, Engine, Linker, Module};

/// What the guests of these tests can import: a call that answers at once, and one that takes [`NAP`].
fn linker(engine: &Engine) -> Linker<()> {
    let mut linker = Linker::new(engine);
    linker.func_wrap("host", "now", || 7_i64).unwrap();
    linker.func_wrap_async("host", "nap", |_, (): ()| Box::new(tokio::time::sleep(NAP))).unwrap();
    linker
}

const NAP: Duration = Duration::from_millis(200);
const BUDGET: Duration = Duration::from_millis(100);

const SPIN: &str = r#"(module (func (export "run") (loop (br 0))))"#;
const SPIN_IN_CALLS: &str = r#"(module (import "host" "now" (func $now (result i64)))
    (func (export "run") (loop (drop (call $now)) (br 0))))"#;
const NAP_THRICE: &str = r#"(module (import "host" "nap" (func $nap))
    (func (export "run") (call $nap) (call $nap) (call $nap)))"#;
const SPIN_BETWEEN_NAPS: &str = r#"(module (import "host" "nap" (func $nap))
    (func (export "run") (local $left i32)
        (loop $again
            (local.set $left (i32.const 20000000))
            (loop (local.set $left (i32.sub (local.get $left) (i32.const 1))) (br_if 0 (local.get $left)))
            (call $nap)
            (br $again))))"#;

fn engine() -> Engine {
    let mut config = Config::new();
    config.concurrency_support(false).epoch_interruption(true);
    let engine = Engine::new(&config).unwrap();
    start_ticker(&engine).unwrap();
    engine
}

async fn run(engine: &Engine, program: &str) -> wasmtime::Result<()> {
    run_having_moved(engine, program, 0).await
}

async fn run_having_moved(engine: &Engine, program: &str, bytes: u64) -> wasmtime::Result<()> {
    let module = Module::new(engine, wat::parse_str(program).unwrap()).unwrap();
    let mut store = Store::new(engine, ());
    let deadline = Deadline::new(&mut store, BUDGET, Arc::new(AtomicU64::new(bytes)));
    let guest = async {
        let instance = linker(engine).instantiate_async(&mut store, &module).await?;
        instance.get_typed_func::<(), ()>(&mut store, "run")?.call_async(&mut store, ()).await
    };
    deadline.run(guest).await
}

async fn assert_killed(program: &str) {
    let error = run(&engine(), program).await.unwrap_err();
    let deadline = error.downcast_ref::<DeadlineExceeded>().unwrap_or_else(|| panic!("another error: {error:?}"));
    assert_eq!(deadline.budget, BUDGET);
}

#[tokio::test]
async fn a_guest_that_spins_is_killed() {
    assert_killed(SPIN).await;
}

#[tokio::test]
async fn a_guest_that_makes_cheap_calls_is_killed() {
    assert_killed(SPIN_IN_CALLS).await;
}

#[tokio::test]
async fn what_a_guest_moves_earns_time_and_no_more() {
    let start = Instant::now();
    let error = run_having_moved(&engine(), SPIN, 10 * MOVED_UNIT + 1).await.unwrap_err();
    assert!(error.is::<DeadlineExceeded>(), "{error:?}");
    assert!(start.elapsed() >= BUDGET + EARNED * 10);
}

#[tokio::test]
async fn waiting_is_free() {
    let start = Instant::now();
    run(&engine(), NAP_THRICE).await.unwrap();
    assert!(start.elapsed() >= NAP * 3);
}

#[tokio::test]
async fn the_budget_is_for_all_stretches_together() {
    assert_killed(SPIN_BETWEEN_NAPS).await;
}

/// Both spin on the one thread that there is, so both get their turns only if each yields, and each gets its whole
/// budget only if it does not pay for the other.
#[tokio::test(flavor = "current_thread")]
async fn guests_take_turns_and_pay_for_themselves() {
    let engine = engine();
    let start = Instant::now();
    let (one, two) = tokio::join!(run(&engine, SPIN), run(&engine, SPIN));
    assert!(one.is_err() && two.is_err());
    assert!(start.elapsed() >= BUDGET * 2, "{:?}", start.elapsed());
}

#[test]
fn one_stretch_costs_no_more_than_a_guest_can_run() {
    let mut account = Account { budget: Duration::from_secs(1), moved: Arc::default(), used: Duration::ZERO, last: 0 };
    let hour = 3_600_000_000_000;
    account.charge(hour, 0).unwrap();
    assert_eq!(account.used, STRETCH_MAX);
    // Resumed just now, after a long wait in a host call.
    account.charge(2 * hour, 2 * hour - 1_000).unwrap();
    assert_eq!(account.used, STRETCH_MAX + Duration::from_micros(1));
}

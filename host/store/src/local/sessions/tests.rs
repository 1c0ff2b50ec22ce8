use super::*;
use std::time::Duration;

fn name() -> (Scope, SessionId) {
    (Scope::root(), SessionId::parse("s").unwrap())
}

#[test]
fn claims_do_not_overlap_and_end_with_their_value() {
    let (sessions, (scope, session)) = (Sessions::default(), name());
    let running = sessions.register(&scope, &session, Aside::default(), false);
    let first = sessions.claim(&running, 0, 10).unwrap();
    assert!(sessions.claim(&running, 9, 12).is_none());
    let next = sessions.claim(&running, 10, 20).unwrap();
    drop(first);
    assert!(sessions.claim(&running, 0, 10).is_some());
    drop(next);
    let seal = sessions.try_seal(&scope, &session).unwrap();
    assert!(sessions.try_seal(&scope, &session).is_none());
    assert!(sessions.claim(&running, 0, 1).is_none());
    drop(seal);
    assert!(sessions.claim(&running, 0, 1).is_some());
    drop(running);
    assert!(sessions.0.lock().is_empty(), "nothing is kept of idle sessions");
}

#[tokio::test]
async fn interrupt_waits_for_the_last_write_of_a_put_that_was_dropped() {
    let (sessions, (scope, session)) = (Sessions::default(), name());
    let running = sessions.register(&scope, &session, Aside::default(), false);
    let (claim, gate) = (sessions.claim(&running, 0, 10).unwrap(), running.gate().clone());
    let passage = gate.enter().unwrap();
    drop(running);
    let interrupt = sessions.interrupt(&scope, &session);
    tokio::pin!(interrupt);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut interrupt).await.is_err());
    drop((passage, claim));
    interrupt.await;
    assert!(gate.enter().is_err());
}

#[tokio::test]
async fn an_assembly_waits_for_upkeep_and_not_for_another_assembly() {
    let (sessions, (scope, session)) = (Sessions::default(), name());
    let upkeep = sessions.try_seal(&scope, &session).unwrap();
    let assembly = sessions.seal_for_assembly(&scope, &session);
    tokio::pin!(assembly);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut assembly).await.is_err());
    drop(upkeep);
    let assembly = assembly.await.unwrap();
    assert!(matches!(sessions.seal_for_assembly(&scope, &session).await, Err(Error::Conflict)));
    assert!(sessions.try_seal(&scope, &session).is_none());
    drop(assembly);
    assert!(sessions.0.lock().is_empty());
}

#[tokio::test]
async fn nobody_waits_for_what_is_in_doubt() {
    let (sessions, (scope, session)) = (Sessions::default(), name());
    sessions.seal_for_assembly(&scope, &session).await.unwrap().keep_in_doubt();
    assert!(matches!(sessions.seal(&scope, &session).await, Err(Error::Unavailable { .. })));
    assert!(matches!(sessions.seal_for_assembly(&scope, &session).await, Err(Error::Unavailable { .. })));
    assert!(sessions.try_seal(&scope, &session).is_none());
    let running = sessions.register(&scope, &session, Aside::default(), false);
    assert!(sessions.claim(&running, 0, 1).is_none());
}

#[tokio::test]
async fn interrupt_waits_for_what_is_being_written_and_for_nothing_else() {
    let (sessions, (scope, session)) = (Sessions::default(), name());
    let running = sessions.register(&scope, &session, Aside::default(), false);
    let idle = sessions.register(&scope, &session, Aside::default(), false);
    let passage = running.gate().enter().unwrap();
    let interrupt = sessions.interrupt(&scope, &session);
    tokio::pin!(interrupt);
    assert!(tokio::time::timeout(Duration::from_millis(20), &mut interrupt).await.is_err());
    assert!(running.gate().enter().is_err() && idle.gate().enter().is_err());
    drop(passage);
    interrupt.await;
    assert!(
        sessions.register(&scope, &session, Aside::default(), false).gate().enter().is_ok(),
        "later puts are not touched"
    );
}

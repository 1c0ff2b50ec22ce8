//! Requests that change a key, one after the other.

use hyper::{Method, Request};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tokio::sync::OwnedMutexGuard;

/// Whose turn it is, by path.
#[derive(Default)]
pub(super) struct Turns(Mutex<HashMap<String, Arc<tokio::sync::Mutex<()>>>>);

impl Turns {
    /// Waits for the turn of a request, if it is one that changes something.
    pub(super) async fn take<B>(&self, request: &Request<B>) -> Option<OwnedMutexGuard<()>> {
        if matches!(*request.method(), Method::GET | Method::HEAD) {
            return None;
        }
        let turn = {
            let mut turns = self.0.lock().expect("no panic under the lock");
            turns.entry(request.uri().path().to_owned()).or_default().clone()
        };
        Some(turn.lock_owned().await)
    }
}

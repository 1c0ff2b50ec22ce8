//! Idempotency keys: a client that lost a response repeats its request with the same key, and gets the same session.
//!
//! A record leads from a key to its session. The record's name is an HMAC of the key under a secret of the store, so a
//! list of records reveals no key, and no client can construct the name of another client's key. The record holds a
//! digest of the request.
//!
//! Invariant: the session exists before its key leads to it.

use crate::{
    engine::{Engine, Found, Parts, record_name},
    refusal::Refusal,
    session::Announced,
};
use hmac::{Hmac, KeyInit, Mac};
use portico_guest::{Digest, Error, random};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The record of the store's secret.
const SECRET: &str = "idempotency-secret";
/// The length of the secret, in bytes.
const SECRET_BYTES: usize = 32;
/// Most attempts to begin a session under a key whose old session is being forgotten.
const TRIES: usize = 3;

/// The record of a key.
#[derive(Serialize, Deserialize)]
struct Known {
    session: String,
    /// The SHA-256 of the announced file, in hexadecimal.
    asked: String,
}

/// The outcome of a request with a key.
pub(crate) enum Outcome {
    /// The request began a session.
    New(Found),
    /// An earlier request began the session.
    Same(Found),
    /// The key was used for another file.
    Other,
}

/// Begins a session, or finds the session of the key. An existing session is found whatever the current settings are.
pub(crate) fn create(engine: &Engine, key: &str, file: &Announced) -> Result<Outcome, Refusal> {
    let name = record(&secret(engine)?, key);
    let asked = asked(file);
    for _ in 0..TRIES {
        match engine.store.get_record(&name) {
            Ok(record) => {
                let known: Option<Known> = serde_json::from_slice(&record.value).ok();
                if let Some(known) = known {
                    if known.asked != asked {
                        return Ok(Outcome::Other);
                    }
                    match engine.find(&known.session) {
                        Err(Refusal::Unknown) => {}
                        found => return found.map(Outcome::Same),
                    }
                }
                // The key's session is being forgotten.
                match engine.store.delete_record(&name, Some(&record.version)) {
                    Ok(_) | Err(Error::Conflict) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let found = engine.create(file.clone(), Parts::Numbered, Some(name.clone()))?;
        let known = Known { session: found.id.clone(), asked: asked.clone() };
        let value = serde_json::to_vec(&known).expect("a document of texts");
        match engine.store.create_record(&name, &value) {
            Ok(_) => return Ok(Outcome::New(found)),
            // Another request with this key was faster.
            Err(Error::Conflict) => engine.store.delete_record(&record_name(&found.id), None)?,
            Err(error) => return Err(error.into()),
        };
    }
    Err(Error::Unavailable { retry_after: None }.into())
}

/// Returns the store's secret. The first request that needs one creates it.
fn secret(engine: &Engine) -> Result<Vec<u8>, Refusal> {
    loop {
        match engine.store.get_record(SECRET) {
            Ok(record) => return Ok(record.value),
            Err(Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let secret = random::bytes(SECRET_BYTES);
        match engine.store.create_record(SECRET, &secret) {
            Ok(_) => return Ok(secret),
            Err(Error::Conflict) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn record(secret: &[u8], key: &str) -> String {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length");
    mac.update(key.as_bytes());
    format!("idempotency/{}", Digest::new(mac.finalize().into_bytes().into()))
}

fn asked(file: &Announced) -> String {
    let document = serde_json::to_vec(file).expect("a document of texts and numbers");
    Digest::new(Sha256::digest(document).into()).to_string()
}

#[cfg(test)]
mod tests {
    use super::{asked, record};
    use crate::session::Announced;

    #[test]
    fn a_name_tells_key_and_store_apart_and_nothing_of_them() {
        let name = record(b"secret", "key");
        // HMAC-SHA-256, as `openssl dgst -hmac secret` has it.
        assert_eq!(name, "idempotency/96de09a0f8699191b28587118ac57df88bbf6c2d0c131d196dcd90f7efd68c93");
        assert_ne!(name, record(b"secret", "other"));
        assert_ne!(name, record(b"other", "key"));
    }

    #[test]
    fn what_was_asked_for_is_all_of_it() {
        let one = Announced {
            original_filename: "a".to_owned(),
            content_type: "text/plain".to_owned(),
            total_size: Some(1),
            ..Announced::default()
        };
        assert_eq!(asked(&one), asked(&one.clone()));
        for other in [
            Announced { original_filename: "b".to_owned(), ..one.clone() },
            Announced { content_type: "text/html".to_owned(), ..one.clone() },
            Announced { total_size: Some(2), ..one.clone() },
            Announced { part_size: Some(3), ..one.clone() },
            Announced { sha256: Some("00".repeat(32)), ..one.clone() },
        ] {
            assert_ne!(asked(&one), asked(&other), "{other:?}");
        }
    }
}

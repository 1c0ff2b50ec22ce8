//! Idempotency keys: a client that did not get its answer asks again with the same key, and gets the same session.
//!
//! A key leads to its session through a record whose name is an HMAC of the key under a secret of the store, so that names
//! of records tell nobody a key, and no client can make a name that another's key has. The record keeps a digest of
//! what was asked for.

use crate::{
    clock,
    engine::{Engine, Found, Refusal, record_name},
    session::Announced,
};
use hmac::{Hmac, KeyInit, Mac};
use portico_guest::Error;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The record of the store's secret.
const SECRET: &str = "idempotency-secret";
/// Length of the secret, in bytes.
const SECRET_BYTES: u64 = 32;
/// How often it is tried to begin a session under a key whose session is being forgotten.
const TRIES: usize = 3;

/// What a key leads to.
#[derive(Serialize, Deserialize)]
struct Known {
    session: String,
    /// The SHA-256 of what was asked for, in hexadecimal.
    asked: String,
}

/// What became of a request with a key.
pub(crate) enum Outcome {
    /// A session has begun.
    New(Found),
    /// The one that began before.
    Same(Found),
    /// The key was used for something else.
    Other,
}

/// Begins a session, or finds the one that the key leads to. That one is found whatever the settings are by now.
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
                // It leads nowhere: its session is being forgotten.
                match engine.store.delete_record(&name, Some(&record.version)) {
                    Ok(_) | Err(Error::Conflict) => {}
                    Err(error) => return Err(error.into()),
                }
            }
            Err(Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        // The session first: a key never leads to what does not exist.
        let found = engine.create(file.clone(), Some(name.clone()))?;
        let known = Known { session: found.id.clone(), asked: asked.clone() };
        let value = serde_json::to_vec(&known).expect("a document of texts");
        match engine.store.create_record(&name, &value) {
            Ok(_) => return Ok(Outcome::New(found)),
            // Another one with this key was faster.
            Err(Error::Conflict) => engine.store.delete_record(&record_name(&found.id), None)?,
            Err(error) => return Err(error.into()),
        };
    }
    Err(Error::Unavailable { retry_after: None }.into())
}

/// The store's secret, which the first one to need it makes.
fn secret(engine: &Engine) -> Result<Vec<u8>, Refusal> {
    loop {
        match engine.store.get_record(SECRET) {
            Ok(record) => return Ok(record.value),
            Err(Error::NotFound) => {}
            Err(error) => return Err(error.into()),
        }
        let secret = clock::secret(SECRET_BYTES);
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
    format!("idempotency/{}", hex::encode(mac.finalize().into_bytes()))
}

fn asked(file: &Announced) -> String {
    hex::encode(Sha256::digest(serde_json::to_vec(file).expect("a document of texts and numbers")))
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
            total_size: 1,
            part_size: None,
            sha256: None,
        };
        assert_eq!(asked(&one), asked(&one.clone()));
        for other in [
            Announced { original_filename: "b".to_owned(), ..one.clone() },
            Announced { content_type: "text/html".to_owned(), ..one.clone() },
            Announced { total_size: 2, ..one.clone() },
            Announced { part_size: Some(3), ..one.clone() },
            Announced { sha256: Some("00".repeat(32)), ..one.clone() },
        ] {
            assert_ne!(asked(&one), asked(&other), "{other:?}");
        }
    }
}

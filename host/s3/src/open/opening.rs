//! Opens a store: claims its prefix and probes its server.
//!
//! Invariant: under a prefix that holds something else, only scratch objects of the probe are written.

use crate::content::budget::Budget;
use crate::keys::{Keys, ObjectKey};
use crate::open::owner::SoleOwner;
use crate::open::probe::{Capabilities, Probe, probe};
use crate::request::client::Client;
use crate::request::failure::Failure;
use crate::request::frames::Frames;
use crate::request::objects::{Condition, Small};
use crate::shared::{Counters, Inner};
use crate::slots::slot::Slots;
use crate::{Location, OpenError, S3Options};
use bytes::Bytes;
use portico_store::Token;
use portico_store::catching::Catchers;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio_util::task::TaskTracker;

/// Version of the layout of the keys.
const FORMAT: u32 = 1;

/// The contents of the object `format`.
#[derive(Serialize, Deserialize)]
struct Format {
    /// Identifies the object, and has the version of the layout.
    portico_store: u32,
    /// Id of the store.
    id: String,
}

pub(crate) async fn open(
    options: S3Options,
    step: Option<Box<dyn Fn(&'static str) -> bool + Send + Sync>>,
) -> Result<Arc<Inner>, OpenError> {
    options.check()?;
    let keys = keys_of(&options);
    let client = Arc::new(Client::new(&options, step).await?);
    let id = claim(&client, &keys.main, &keys.format(), None).await?;
    if let Some(format) = keys.temp_format() {
        claim(&client, &keys.temp, &format, Some(id.clone())).await?;
    }
    let Probe { capabilities, conditions, whole } =
        probe(&client, &keys).await.map_err(|failure| client.cannot_use(&keys.main, failure))?;
    if !whole {
        return Err(truncates(&client));
    }
    let sole_owner = match (conditions, options.single_runner) {
        (true, _) => None,
        (false, true) => {
            let sole_owner = SoleOwner::take(client.clone(), keys.owner()).await;
            Some(sole_owner.map_err(|cause| client.cannot_use(&keys.main, cause))?)
        }
        (false, false) => {
            return Err(OpenError::Lacks {
                endpoint: client.endpoint.clone(),
                capability: "conditional writes (If-None-Match and If-Match)",
                advice: "with the setting single_runner one process at a time can use it safely",
            });
        }
    };
    Ok(store(options, client, keys, capabilities, sole_owner))
}

/// Opens a store for reading, whatever its server lacks. Writes nothing, and does not become the owner of the store.
pub(crate) async fn open_to_read(options: S3Options) -> Result<Arc<Inner>, OpenError> {
    options.check()?;
    let keys = keys_of(&options);
    let client = Arc::new(Client::new(&options, None).await?);
    let mut id = None;
    for (location, format) in [(&keys.main, Some(keys.format())), (&keys.temp, keys.temp_format())] {
        let Some(format) = format else { continue };
        let there = client.get_small(&format, 1 << 10).await;
        let there = there.map_err(|failure| client.cannot_use(location, failure))?;
        let there = there.ok_or_else(|| foreign(location, "it has no `format`, which every store has"))?;
        id = Some(id_of(location, &there, id.as_deref())?);
    }
    Ok(store(options, client, keys, Capabilities::unknown(), None))
}

fn keys_of(options: &S3Options) -> Keys {
    Keys { main: options.location.clone(), temp: options.temp.clone().unwrap_or_else(|| options.location.clone()) }
}

fn store(
    options: S3Options,
    client: Arc<Client>,
    keys: Keys,
    capabilities: Capabilities,
    sole_owner: Option<SoleOwner>,
) -> Arc<Inner> {
    Arc::new(Inner {
        slots: Arc::new(Slots { client: client.clone(), sole_owner }),
        budget: Budget::new(options.memory),
        puts: Arc::default(),
        client,
        keys,
        options,
        capabilities,
        registry: Arc::default(),
        background: TaskTracker::new(),
        board: Arc::default(),
        catchers: Catchers::default(),
        cache: Default::default(),
        counters: Counters::default(),
    })
}

fn truncates(client: &Client) -> OpenError {
    OpenError::Lacks {
        endpoint: client.endpoint.clone(),
        capability: "keeping objects whole",
        advice: "it confirmed an object and stored another one, so no data is safe there",
    }
}

/// Claims a location for a store, and returns the store's id. An empty location becomes a store.
async fn claim(
    client: &Client,
    location: &Location,
    format: &ObjectKey,
    id: Option<String>,
) -> Result<String, OpenError> {
    let server = |failure: Failure| client.cannot_use(location, failure);
    let token = || Token::random().map_err(|error| OpenError::Client(error.into()));
    let mut there = client.get_small(format, 1 << 10).await.map_err(server)?;
    if there.is_none() {
        let prefix = ObjectKey { bucket: location.bucket.clone(), key: location.prefix.clone() };
        let (listed, _) = client.list(&prefix, None, 10).await.map_err(server)?;
        // A store with a prefix shares it with nothing. A store in a whole bucket tolerates other objects.
        let ours = ["receipt/", "final/", "record/", "part/", "temp/"];
        let in_the_way = listed.iter().find(|listed| {
            let rest = listed.key.strip_prefix(&location.prefix).unwrap_or(&listed.key);
            !location.prefix.is_empty() && !rest.starts_with("probe/") && rest != "format"
                || ours.iter().any(|name| rest.starts_with(name))
        });
        if let Some(other) = in_the_way {
            return Err(foreign(location, &format!("it holds {} and no `format`", other.key)));
        }
        let id = id.clone().map_or_else(|| token().map(|token| token.to_string()), Ok)?;
        let text = serde_json::to_vec(&Format { portico_store: FORMAT, id })
            .map_err(|error| OpenError::Client(error.into()))?;
        client.step("format").map_err(server)?;
        let text = Bytes::from(text);
        client.put_if(format, &Frames::from(text.clone()), Condition::Absent).await.map_err(server)?;
        there = client.get_small(format, 1 << 10).await.map_err(server)?;
        if there.as_ref().is_some_and(|there| there.body.len() < text.len() && text.starts_with(&there.body)) {
            // The object is ours, and of no use.
            client.delete(std::slice::from_ref(format)).await.map_err(server)?;
            return Err(truncates(client));
        }
    }
    let there = there.ok_or_else(|| foreign(location, "its `format` was not stored"))?;
    let id = id_of(location, &there, id.as_deref())?;
    // Some servers hide the keys below a key that is an object.
    let (listed, _) = client.list(format, None, 1).await.map_err(server)?;
    if listed.first().is_none_or(|listed| listed.key != format.key) {
        return Err(foreign(
            location,
            "a listing does not show its `format`; does an object have the name of the prefix?",
        ));
    }
    Ok(id)
}

fn foreign(location: &Location, reason: &str) -> OpenError {
    OpenError::Foreign { location: location.to_string(), reason: reason.to_owned() }
}

/// Returns the id in a `format`, which must be `expected` if that is given.
fn id_of(location: &Location, format: &Small, expected: Option<&str>) -> Result<String, OpenError> {
    let written: Format = serde_json::from_slice(&format.body)
        .map_err(|_| foreign(location, "its `format` is not one of this program"))?;
    if written.portico_store != FORMAT {
        let reason = format!("its layout has version {}, and this program supports {FORMAT}", written.portico_store);
        return Err(foreign(location, &reason));
    }
    if expected.is_some_and(|id| id != written.id) {
        return Err(foreign(location, "it holds the parts of another store"));
    }
    Ok(written.id)
}

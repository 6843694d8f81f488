//! What edges sign the cookies with that keep visitors with an instance. It follows from the master key, which edges have not: those who
//! have it state it among the platform's facts.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use ring::hmac;
use skylift_edge::StickyKey;
use skylift_store::{Store, StoreError};

/// The fact.
const FACT: &str = "sticky-key";
/// What it is derived for.
const PURPOSE: &[u8] = b"the key of Skylift's sticky cookies, 1\n";
/// How often it is looked for, where it is not stated yet or the rows cannot be asked.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// States the key.
pub(crate) async fn state(master_key: &[u8], store: &Store) -> Result<(), StoreError> {
    let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, master_key), PURPOSE);
    store.state_fact(FACT, derived.as_ref().to_vec()).await.map(drop)
}

/// Where the key will be as soon as it is read: whoever starts while the rows are away serves all the same.
pub(crate) fn learn(store: &Store) -> Arc<OnceLock<StickyKey>> {
    let key = Arc::new(OnceLock::new());
    let (store, learnt) = (store.clone(), key.clone());
    tokio::spawn(async move {
        while !look(&store, &learnt).await {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    });
    key
}

async fn look(store: &Store, key: &OnceLock<StickyKey>) -> bool {
    match store.fact(FACT).await {
        Ok(Some(bytes)) => {
            let _ = key.set(StickyKey::new(&bytes));
            true
        }
        Ok(None) => false,
        Err(error) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "the key of sticky cookies cannot be read");
            false
        }
    }
}

//! Rows and bytes, where the settings say that they are.

use std::time::Duration;

use skylift_blob::{BlobError, Blobs};
use skylift_store::{Store, StoreError};

use super::folder::DataFolder;
use crate::config::Config;
use crate::roles::{Role, Roles};

/// How long an edge that starts waits for the database before it goes on without.
const EDGE_WAITS: Duration = Duration::from_secs(2);

/// The rows. An edge alone starts without them, and soon: it has the last good routes, and serves nobody before.
pub(super) async fn open_store(config: &Config, roles: &Roles, folder: &DataFolder) -> Result<Store, StoreError> {
    let Some(url) = config.store.url() else { return Store::open(&folder.path().join("skylift.db")) };
    if !roles.are_only(Role::Edge) {
        return Store::connect(url).await;
    }
    let late = || StoreError::Unavailable(format!("no connection within {EDGE_WAITS:?}"));
    match tokio::time::timeout(EDGE_WAITS, Store::connect(url)).await.unwrap_or_else(|_| Err(late())) {
        Err(error @ StoreError::Unavailable(_)) => {
            tracing::warn!(error = %error, "starting without the database; the last good routes are served");
            Store::connect_later(url)
        }
        connected => connected,
    }
}

/// Bytes: in the data folder, or in an object store with the data folder as its cache.
pub(super) async fn open_blobs(config: &Config, folder: &DataFolder) -> Result<Blobs, BlobError> {
    match &config.blob.s3 {
        None => Blobs::open(&folder.path().join("blobs")),
        Some(s3) => Blobs::open_s3(s3.clone(), &folder.path().join("blob-cache")).await,
    }
}

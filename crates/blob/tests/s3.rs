//! An object store that fails in every way it can, and a cache that is lost: what is served is right, or an error
//! that says why.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "s3/cache.rs"]
mod cache;
#[path = "s3/clean_up.rs"]
mod clean_up;
#[path = "s3/troubles.rs"]
mod troubles;

use skylift_blob::{Blobs, S3Settings};
use skylift_model::Digest;
use skylift_peers::FakeS3;
use tempfile::TempDir;

pub(crate) fn settings(fake: &FakeS3) -> S3Settings {
    S3Settings {
        endpoint: fake.endpoint(),
        bucket: FakeS3::BUCKET.to_owned(),
        access_key_id: "id".to_owned(),
        secret_access_key: "secret".to_owned().into(),
        timeout_ms: 500,
        ..S3Settings::default()
    }
}

pub(crate) async fn open(fake: &FakeS3) -> (TempDir, Blobs) {
    let cache = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_s3(settings(fake), cache.path()).await.unwrap();
    (cache, blobs)
}

pub(crate) fn key_of(digest: &Digest) -> String {
    let name = digest.to_string();
    format!("sha256/{}/{name}", &name[..2])
}

/// How many requests read this blob.
pub(crate) fn reads(fake: &FakeS3, digest: &Digest) -> usize {
    let get = format!("GET {}", key_of(digest));
    fake.requests().iter().filter(|request| **request == get).count()
}

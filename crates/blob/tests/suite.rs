//! What every blob store must do, the same for each: a folder, an object store that fails on demand, a real one.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

#[path = "suite/history.rs"]
mod history;
#[path = "suite/lost.rs"]
mod lost;
#[path = "suite/promises.rs"]
mod promises;

use std::time::{Duration, SystemTime};

use skylift_blob::{Blobs, S3Settings};
use skylift_model::Digest;
use skylift_peers::{FakeS3, Seaweed};
use tempfile::TempDir;

/// A store under test.
pub(crate) enum Place {
    Folder(TempDir),
    Fake(FakeS3),
    Seaweed(Seaweed),
}

impl Place {
    /// Opens it, as a process of its own would.
    pub(crate) async fn open(&self) -> (TempDir, Blobs) {
        let cache = tempfile::tempdir().unwrap();
        let (endpoint, bucket) = match self {
            Self::Folder(folder) => return (cache, Blobs::open(folder.path()).unwrap()),
            Self::Fake(fake) => (fake.endpoint(), FakeS3::BUCKET),
            Self::Seaweed(seaweed) => (seaweed.endpoint(), Seaweed::BUCKET),
        };
        let mut settings = S3Settings { endpoint, bucket: bucket.to_owned(), ..S3Settings::default() };
        "some/where/".clone_into(&mut settings.prefix);
        Seaweed::ACCESS_KEY_ID.clone_into(&mut settings.access_key_id);
        settings.secret_access_key = Seaweed::SECRET_ACCESS_KEY.to_owned().into();
        let blobs = Blobs::open_s3(settings, cache.path()).await.unwrap();
        (cache, blobs)
    }

    /// Puts other bytes in the place of a blob's, or none, behind everybody's back.
    async fn damage(&self, digest: &Digest, bytes: Option<Vec<u8>>) {
        let name = digest.to_string();
        let key = format!("sha256/{}/{name}", &name[..2]);
        match (self, bytes) {
            (Self::Folder(folder), bytes) => {
                let path = folder.path().join(&key);
                std::fs::remove_file(&path).unwrap();
                if let Some(bytes) = bytes {
                    std::fs::write(&path, bytes).unwrap();
                }
            }
            (Self::Fake(fake), Some(bytes)) => fake.damage(&format!("some/where/{key}"), |old| *old = bytes),
            (Self::Fake(fake), None) => fake.lose(&format!("some/where/{key}")),
            (Self::Seaweed(seaweed), bytes) => seaweed.damage(&format!("some/where/{key}"), bytes).await,
        }
    }

    /// Lets time pass for what is stored.
    async fn age(&self, digests: &[Digest], by: Duration) {
        match self {
            Self::Folder(folder) => {
                for digest in digests {
                    let name = digest.to_string();
                    let file = std::fs::File::open(folder.path().join("sha256").join(&name[..2]).join(name)).unwrap();
                    file.set_modified(SystemTime::now() - by).unwrap();
                }
            }
            Self::Fake(fake) => {
                for digest in digests {
                    let name = digest.to_string();
                    fake.age(&format!("some/where/sha256/{}/{name}", &name[..2]), by);
                }
            }
            // Nobody can change the times of a real one.
            Self::Seaweed(_) => tokio::time::sleep(by).await,
        }
    }
}

async fn keeps_every_promise(place: Place) {
    promises::what_was_put_is_found_by_another_process(&place).await;
    promises::pieces_become_one_blob_or_none(&place).await;
    promises::a_large_blob_is_whole(&place).await;
    promises::objects_are_replaced_and_removed_by_name(&place).await;
    promises::blobs_are_linked_and_copied(&place).await;
    promises::many_read_and_write_at_once(&place).await;
    lost::what_is_lost_is_known_until_it_is_stored_again(&place).await;
    lost::notes_of_what_nobody_needs_are_forgotten(&place).await;
    promises::clean_up_spares_what_was_stored_again(&place).await;
    for seed in 0..if std::env::var_os("SKYLIFT_SOAK").is_some() { 200 } else { 4 } {
        history::agrees_with_the_model(&place, seed).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_folder_keeps_every_promise() {
    keeps_every_promise(Place::Folder(tempfile::tempdir().unwrap())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fake_object_store_keeps_every_promise() {
    keeps_every_promise(Place::Fake(FakeS3::start().await)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_object_store_keeps_every_promise() {
    let Some(seaweed) = Seaweed::start().await else { return };
    keeps_every_promise(Place::Seaweed(seaweed)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_real_object_store_refuses_wrong_credentials_and_buckets() {
    let Some(seaweed) = Seaweed::start().await else { return };
    let cache = tempfile::tempdir().unwrap();
    let settings = |bucket: &str, secret: &str| S3Settings {
        endpoint: seaweed.endpoint(),
        bucket: bucket.to_owned(),
        access_key_id: Seaweed::ACCESS_KEY_ID.to_owned(),
        secret_access_key: secret.to_owned().into(),
        ..S3Settings::default()
    };
    let wrong = Blobs::open_s3(settings(Seaweed::BUCKET, "not-the-secret"), cache.path()).await.err().unwrap();
    assert_eq!(wrong.to_string(), "the object store refuses GET : 403 SignatureDoesNotMatch");
    let nowhere = Blobs::open_s3(settings("nowhere", Seaweed::SECRET_ACCESS_KEY), cache.path()).await.err().unwrap();
    assert!(nowhere.to_string().ends_with("404 NoSuchBucket"), "{nowhere}");
}

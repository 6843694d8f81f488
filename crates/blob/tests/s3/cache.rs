//! The folder in front: lost, damaged, too small.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use skylift_blob::{Blobs, S3Settings};
use skylift_model::Digest;
use skylift_peers::FakeS3;

use crate::{open, reads, settings};

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_asking_at_once_fetch_once() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    let digest = blobs.put(vec![1; 2 << 20]).await.unwrap();
    let (_other_cache, other) = open(&fake).await;
    let mut asking = tokio::task::JoinSet::new();
    for n in 0..40 {
        let other = other.clone();
        asking.spawn(async move {
            match n % 2 {
                0 => assert!(other.get(&digest, 4 << 20).await.unwrap().is_some()),
                _ => assert_eq!(other.open_file(&digest).await.unwrap().unwrap().size, 2 << 20),
            }
        });
    }
    asking.join_all().await;
    assert_eq!(reads(&fake, &digest), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cache_that_is_lost_or_damaged_while_it_runs_is_filled_again() {
    let fake = FakeS3::start().await;
    let (cache, blobs) = open(&fake).await;
    let bytes = vec![9; 300_000];
    let digest = blobs.put(bytes.clone()).await.unwrap();
    std::fs::remove_dir_all(cache.path()).unwrap();
    assert!(blobs.get(&digest, 1 << 20).await.unwrap().unwrap() == bytes);
    assert_eq!(blobs.open_file(&digest).await.unwrap().unwrap().size, 300_000);
    assert_eq!(reads(&fake, &digest), 1, "it is in the cache again");

    std::fs::remove_dir_all(cache.path()).unwrap();
    let mut writer = blobs.writer().await.unwrap();
    writer.write(b"a writer needs the folder, too".to_vec()).await.unwrap();
    writer.finish(None).await.unwrap();

    blobs.get(&digest, 1 << 20).await.unwrap();
    let name = digest.to_string();
    let path = cache.path().join("sha256").join(&name[..2]).join(name);
    let flip = |bytes: &mut Vec<u8>| bytes[70_000] ^= 1;
    for change in [flip, |bytes: &mut Vec<u8>| bytes.truncate(10)] {
        let mut damaged = std::fs::read(&path).unwrap();
        change(&mut damaged);
        assert!(damaged != bytes);
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        std::fs::write(&path, damaged).unwrap();
        let stored = blobs.open_file(&digest).await.unwrap().unwrap();
        assert!(std::io::read_to_string(stored.file).unwrap().into_bytes() == bytes);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_cache_stays_within_its_budget_and_nobody_who_reads_is_disturbed() {
    let fake = FakeS3::start().await;
    let cache = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_s3(S3Settings { cache_bytes: 500_000, ..settings(&fake) }, cache.path()).await.unwrap();
    let links = tempfile::tempdir().unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..60_u8 {
        let (blobs, to) = (blobs.clone(), links.path().join(n.to_string()));
        tasks.spawn(async move {
            let bytes = vec![n; 100_000];
            let digest = blobs.put(bytes.clone()).await.unwrap();
            tokio::task::spawn_blocking(move || {
                blobs.link_into(&digest, &to).unwrap();
                assert!(std::fs::read(&to).unwrap() == bytes);
            })
            .await
            .unwrap();
        });
    }
    tasks.join_all().await;
    let kept: u64 = files(cache.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(kept <= 500_000, "{kept}");
    for n in 0..60_u8 {
        assert!(std::fs::read(links.path().join(n.to_string())).unwrap() == vec![n; 100_000]);
        assert!(blobs.get(&Digest::of(&vec![n; 100_000]), 1 << 20).await.unwrap().is_some());
    }

    // The next process finds what is left, and keeps to the budget.
    drop(blobs);
    let blobs = Blobs::open_s3(S3Settings { cache_bytes: 200_000, ..settings(&fake) }, cache.path()).await.unwrap();
    blobs.put(vec![200; 100_000]).await.unwrap();
    let kept: u64 = files(cache.path()).iter().map(|file| file.metadata().unwrap().len()).sum();
    assert!(kept <= 200_000, "{kept}");
}

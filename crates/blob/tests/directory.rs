//! What every blob store must do, on a real folder.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::path::Path;
use std::time::{Duration, SystemTime};

use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;

fn store() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    (folder, blobs)
}

fn file_of(root: &Path, digest: &Digest) -> std::path::PathBuf {
    let name = digest.to_string();
    root.join("sha256").join(&name[..2]).join(name)
}

#[tokio::test]
async fn what_was_put_is_found_after_a_restart() {
    let (folder, blobs) = store();
    let digests = blobs.put_all((0..40_u8).map(|n| vec![n; 100]).collect()).await.unwrap();
    let reopened = Blobs::open(folder.path()).unwrap();
    for (n, digest) in digests.iter().enumerate() {
        assert_eq!(reopened.get(digest, 1000).await.unwrap().unwrap(), vec![n as u8; 100]);
    }
    assert_eq!(reopened.list().await.unwrap().len(), 40);
    assert!(reopened.get(&Digest::of(b"never stored"), 1000).await.unwrap().is_none());
}

#[tokio::test]
async fn a_flipped_bit_is_an_error_and_never_bytes() {
    let (folder, blobs) = store();
    let digest = blobs.put(b"precious".to_vec()).await.unwrap();
    let path = file_of(folder.path(), &digest);
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, b"preciouz").unwrap();
    assert!(matches!(blobs.get(&digest, 100).await, Err(BlobError::Corrupt(_))));
}

#[tokio::test]
async fn a_writer_refuses_bytes_of_another_digest_and_leaves_nothing() {
    let (folder, blobs) = store();
    let mut writer = blobs.writer().await.unwrap();
    writer.write(b"abc".as_slice()).await.unwrap();
    let refused = writer.finish(Some(Digest::of(b"xyz"))).await;
    assert!(matches!(refused, Err(BlobError::Mismatch { .. })));
    let mut dropped = blobs.writer().await.unwrap();
    dropped.write(b"abc".as_slice()).await.unwrap();
    drop(dropped);
    assert_eq!(std::fs::read_dir(folder.path().join("partial")).unwrap().count(), 0);
    assert!(blobs.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn clean_up_spares_what_was_stored_again() {
    let (folder, blobs) = store();
    let old = blobs.put(b"old".to_vec()).await.unwrap();
    let again = blobs.put(b"again".to_vec()).await.unwrap();
    let long_ago = SystemTime::now() - Duration::from_secs(7200);
    for digest in [&old, &again] {
        std::fs::File::open(file_of(folder.path(), digest)).unwrap().set_modified(long_ago).unwrap();
    }
    blobs.put(b"again".to_vec()).await.unwrap();
    let freed = blobs.delete_stale(vec![old, again], Duration::from_secs(3600), SystemTime::now()).await.unwrap();
    assert_eq!(freed, 3);
    assert!(!blobs.contains(&old).await.unwrap());
    assert!(blobs.contains(&again).await.unwrap());
}

#[tokio::test]
async fn objects_are_replaced_and_removed_by_name() {
    let (_folder, blobs) = store();
    let key = || "output/d-0/manifest.json".parse().unwrap();
    blobs.put_object(key(), b"1".to_vec()).await.unwrap();
    blobs.put_object(key(), b"2".to_vec()).await.unwrap();
    assert_eq!(blobs.get_object(key()).await.unwrap().unwrap(), b"2");
    blobs.delete_object(key()).await.unwrap();
    blobs.delete_object(key()).await.unwrap();
    assert!(blobs.get_object(key()).await.unwrap().is_none());
    for bad in ["../x", "a//b", "A", "/a", "a/.b", ""] {
        assert!(bad.parse::<skylift_blob::ObjectKey>().is_err(), "{bad}");
    }
}

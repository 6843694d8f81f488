//! What only a folder promises: damage to its files is found, and repaired by storing the blob again.

#![expect(clippy::unwrap_used, reason = "a test ends where something is not as it must be")]

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;

fn store() -> (tempfile::TempDir, Blobs) {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    (folder, blobs)
}

fn file_of(root: &Path, digest: &Digest) -> PathBuf {
    let name = digest.to_string();
    root.join("sha256").join(&name[..2]).join(name)
}

fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(path).unwrap();
    change(&mut bytes);
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(path, bytes).unwrap();
}

/// All ways to read a blob: whether each of them refuses.
async fn refused(blobs: &Blobs, digest: &Digest) -> Vec<bool> {
    let is_corrupt = |error: Option<BlobError>| matches!(error, Some(BlobError::Corrupt(which)) if which == *digest);
    let mut refused =
        vec![is_corrupt(blobs.get(digest, 1 << 20).await.err()), is_corrupt(blobs.open_file(digest).await.err())];
    let (blobs, named) = (blobs.clone(), *digest);
    let blocking = tokio::task::spawn_blocking(move || {
        let to = tempfile::tempdir().unwrap();
        [
            blobs.read_file(&named).err(),
            blobs.link_into(&named, &to.path().join("link")).err(),
            blobs.copy_into(&named, &to.path().join("copy"), 0o644).err(),
        ]
    });
    refused.extend(blocking.await.unwrap().map(is_corrupt));
    refused
}

#[tokio::test]
async fn one_flipped_bit_in_any_blob_is_an_error_and_never_bytes() {
    let (folder, blobs) = store();
    let all: Vec<Vec<u8>> = (1..20_u8).map(|n| vec![n; usize::from(n) * 9_999]).collect();
    let digests = blobs.put_all(all.clone()).await.unwrap();
    for (bytes, digest) in all.iter().zip(&digests) {
        assert_eq!(refused(&blobs, digest).await, [false; 5], "it is fine, and remembered as such");
        let path = file_of(folder.path(), digest);
        damage(&path, |bytes| *bytes.last_mut().unwrap() ^= 1);
        // The damage is real: whoever does not check gets it.
        assert!(std::fs::read(&path).unwrap() != *bytes);
        assert_eq!(refused(&blobs, digest).await, [true; 5]);

        blobs.put(bytes.clone()).await.unwrap();
        assert_eq!(refused(&blobs, digest).await, [false; 5], "stored again, it is repaired");
    }
}

#[tokio::test]
async fn cut_grown_and_swapped_blobs_are_errors_and_lost_ones_are_none() {
    let (folder, blobs) = store();
    let digests = blobs.put_all(vec![vec![1; 300_000], vec![2; 300_000]]).await.unwrap();
    let [first, second] = digests[..] else { panic!("two were stored") };
    let path = file_of(folder.path(), &first);
    damage(&path, |bytes| bytes.truncate(150_000));
    assert_eq!(refused(&blobs, &first).await, [true; 5]);
    damage(&path, |bytes| bytes.resize(300_001, 1));
    assert_eq!(refused(&blobs, &first).await, [true; 5]);
    let swapped = file_of(folder.path(), &second);
    std::fs::rename(&swapped, &path).unwrap();
    assert_eq!(refused(&blobs, &first).await, [true; 5]);
    assert!(blobs.open_file(&second).await.unwrap().is_none() && blobs.get(&second, 1 << 20).await.unwrap().is_none());
    let mut metrics = String::new();
    blobs.render_metrics(&mut metrics);
    assert!(metrics.contains("\nskylift_blob_corrupt_total 15\n"), "{metrics}");
}

#[test]
fn names_of_objects_lead_nowhere_else() {
    for bad in ["../x", "a//b", "A", "/a", "a/.b", ""] {
        assert!(bad.parse::<skylift_blob::ObjectKey>().is_err(), "{bad}");
    }
}

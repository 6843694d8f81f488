//! The promises, one by one.

use std::io::Read;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::time::{Duration, SystemTime};

use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;

use crate::Place;

pub(crate) async fn what_was_put_is_found_by_another_process(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let digests = blobs.put_all((0..40_u8).map(|n| vec![n; 100]).collect()).await.unwrap();
    let (_other_cache, other) = place.open().await;
    for (n, digest) in digests.iter().enumerate() {
        assert_eq!(other.get(digest, 1000).await.unwrap().unwrap(), vec![n as u8; 100]);
        assert!(other.contains(digest).await.unwrap());
    }
    let listed = other.list().await.unwrap();
    assert!(digests.iter().all(|digest| listed.contains(&(*digest, 100))));
    assert!(other.used_bytes().await.unwrap() >= 4000);
    let never = Digest::of(b"never stored");
    assert!(other.get(&never, 1000).await.unwrap().is_none());
    assert!(other.open_file(&never).await.unwrap().is_none());
    assert!(!other.contains(&never).await.unwrap());
    assert_eq!(blobs.put(vec![]).await.unwrap(), Digest::of(b""));
    assert_eq!(other.get(&Digest::of(b""), 0).await.unwrap().unwrap(), b"");
}

pub(crate) async fn pieces_become_one_blob_or_none(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let before = blobs.list().await.unwrap().len();
    let mut writer = blobs.writer().await.unwrap();
    writer.write(b"abc".as_slice()).await.unwrap();
    let refused = writer.finish(Some(Digest::of(b"xyz"))).await;
    assert!(matches!(refused, Err(BlobError::Mismatch { .. })));
    let mut dropped = blobs.writer().await.unwrap();
    dropped.write(b"abc".as_slice()).await.unwrap();
    drop(dropped);
    assert_eq!(blobs.list().await.unwrap().len(), before);

    let mut writer = blobs.writer().await.unwrap();
    for piece in [b"in ".as_slice(), b"two pieces"] {
        writer.write(piece).await.unwrap();
    }
    assert_eq!(writer.size(), 13);
    let digest = writer.finish(Some(Digest::of(b"in two pieces"))).await.unwrap();
    assert_eq!(blobs.get(&digest, 13).await.unwrap().unwrap(), b"in two pieces");
    let refused = blobs.get(&digest, 12).await;
    assert!(matches!(refused, Err(BlobError::TooLarge { size: 13, bytes_max: 12, .. })), "{refused:?}");
}

/// Larger than what goes to an object store in one piece.
fn large() -> Vec<u8> {
    let mut state = 7_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..(17 << 20) + 5).map(|_| next()).collect()
}

pub(crate) async fn a_large_blob_is_whole(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let bytes = large();
    let digest = Digest::of(&bytes);
    for _ in 0..2 {
        let mut writer = blobs.writer().await.unwrap();
        for piece in bytes.chunks(1 << 20) {
            writer.write(piece.to_vec()).await.unwrap();
        }
        writer.finish(Some(digest)).await.unwrap();
    }
    let (_other_cache, other) = place.open().await;
    let mut stored = other.open_file(&digest).await.unwrap().unwrap();
    let mut read = Vec::new();
    stored.file.read_to_end(&mut read).unwrap();
    assert!(read == bytes && stored.size == bytes.len() as u64);
    assert!(other.get(&digest, 32 << 20).await.unwrap().unwrap() == bytes);
}

pub(crate) async fn objects_are_replaced_and_removed_by_name(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let key = || "output/d-0/manifest.json".parse().unwrap();
    blobs.put_object(key(), b"1".to_vec()).await.unwrap();
    blobs.put_object(key(), b"2".to_vec()).await.unwrap();
    let (_other_cache, other) = place.open().await;
    assert_eq!(other.get_object(key()).await.unwrap().unwrap(), b"2");
    let digest = blobs.put(b"named".to_vec()).await.unwrap();
    other.name_object(key(), &digest).await.unwrap();
    other.name_object(key(), &digest).await.unwrap();
    assert_eq!(blobs.get_object(key()).await.unwrap().unwrap(), b"named");
    assert!(blobs.name_object(key(), &Digest::of(b"nobody stored this")).await.is_err());
    blobs.delete_object(key()).await.unwrap();
    blobs.delete_object(key()).await.unwrap();
    assert!(other.get_object(key()).await.unwrap().is_none());
}

pub(crate) async fn blobs_are_linked_and_copied(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let digest = blobs.put(b"linked".to_vec()).await.unwrap();
    let (other_cache, other) = place.open().await;
    tokio::task::spawn_blocking(move || {
        let (link, copy) = (other_cache.path().join("link"), other_cache.path().join("copy"));
        other.link_into(&digest, &link).unwrap();
        other.copy_into(&digest, &copy, 0o755).unwrap();
        assert_eq!(
            (std::fs::read(&link).unwrap(), std::fs::read(&copy).unwrap()),
            (b"linked".into(), b"linked".into())
        );
        assert_eq!(std::fs::metadata(&copy).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(std::fs::metadata(&copy).unwrap().nlink(), 1, "a copy is nobody else's");
        assert_eq!(other.read_file(&digest).unwrap().unwrap().size, 6);
        let missing = other.link_into(&Digest::of(b"nobody stored this"), &other_cache.path().join("none"));
        assert!(matches!(missing, Err(BlobError::Missing(_))));
    })
    .await
    .unwrap();
}

pub(crate) async fn many_read_and_write_at_once(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let (_other_cache, other) = place.open().await;
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..24_u8 {
        let (blobs, other) = (blobs.clone(), other.clone());
        tasks.spawn(async move {
            // Every blob is stored by several at once.
            let bytes = vec![n % 6; 10_000 + usize::from(n % 6)];
            let digest = blobs.put(bytes.clone()).await.unwrap();
            assert!(other.get(&digest, 20_000).await.unwrap().unwrap() == bytes);
        });
    }
    tasks.join_all().await;
}

const GRACE: Duration = Duration::from_secs(2);

pub(crate) async fn clean_up_spares_what_was_stored_again(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let (_other_cache, other) = place.open().await;
    let old = blobs.put(b"old".to_vec()).await.unwrap();
    let again = blobs.put(b"again".to_vec()).await.unwrap();
    place.age(&[old, again], GRACE + Duration::from_secs(2)).await;
    blobs.put(b"again".to_vec()).await.unwrap();
    let mut now = SystemTime::now();
    let mut freed = other.delete_stale(vec![old, again], GRACE, now).await.unwrap();
    assert!(holds(&other, &again).await, "it was stored a moment ago");
    // What is put aside first goes a grace later.
    now += GRACE * 10;
    freed += other.delete_stale(vec![old], GRACE, now).await.unwrap();
    assert_eq!(freed, 3);
    assert!(!holds(&other, &old).await && holds(&other, &again).await);
}

async fn holds(blobs: &Blobs, digest: &Digest) -> bool {
    blobs.list().await.unwrap().iter().any(|(listed, _)| listed == digest)
}

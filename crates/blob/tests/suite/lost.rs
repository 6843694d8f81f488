//! What becomes of blobs that are damaged or gone in the store itself: nobody gets wrong bytes, whoever comes next is told that
//! they are lost, and storing them again is all it takes.

use skylift_blob::{BlobError, Blobs};
use skylift_model::Digest;

use crate::Place;

/// What becomes of the bytes; `None`: they are gone.
type Damage = fn(&[u8]) -> Option<Vec<u8>>;

const DAMAGES: [(&str, Damage); 3] = [
    ("flipped", |bytes| {
        Some(bytes.iter().enumerate().map(|(at, byte)| byte ^ u8::from(at == bytes.len() / 2)).collect())
    }),
    ("cut", |bytes| Some(bytes[..bytes.len() / 2].to_vec())),
    ("gone", |_| None),
];

pub(crate) async fn what_is_lost_is_known_until_it_is_stored_again(place: &Place) {
    let (_cache, blobs) = place.open().await;
    blobs.forget_lost(blobs.lost().await.unwrap()).await.unwrap();
    for (n, (what, damage)) in DAMAGES.into_iter().enumerate() {
        // Small ones, and one that goes to an object store in parts.
        for size in [5_000, (16 << 20) + 7] {
            let bytes = vec![b'a' + n as u8; size];
            let (_cache, writer) = place.open().await;
            let digest = writer.put(b"whole".to_vec()).await.unwrap();
            let whole = (digest, 5);
            let digest = store(&writer, &bytes).await;
            let lost = (digest, bytes.len() as u64);
            assert_eq!(writer.lost_of(vec![whole, lost]).await.unwrap(), [], "{what}: control: all is well");

            place.damage(&digest, damage(&bytes)).await;
            let (_reader_cache, reader) = place.open().await;
            is_refused(what, &reader, &digest).await;
            assert_eq!(reader.lost_count(), 1);
            // Others know: one that was there all the time, and one that starts now.
            let (_other_cache, other) = place.open().await;
            let others = match place {
                // In a folder there is one process at a time.
                Place::Folder(_) => vec![&other],
                Place::Fake(_) | Place::Seaweed(_) => vec![&writer, &other],
            };
            for blobs in others {
                assert_eq!(blobs.lost_of(vec![whole, lost]).await.unwrap(), [digest], "{what}");
                assert_eq!(blobs.lost_of(vec![whole]).await.unwrap(), [], "{what}: nothing else is lost");
                assert!(!blobs.contains(&digest).await.unwrap(), "{what}");
                assert_eq!(blobs.lost().await.unwrap(), [digest], "{what}");
            }

            assert_eq!(store(&other, &bytes).await, digest);
            let (_last_cache, last) = place.open().await;
            assert_eq!(last.lost_of(vec![whole, lost]).await.unwrap(), [], "{what}: it is whole");
            assert_eq!(last.lost().await.unwrap(), []);
            assert!(last.contains(&digest).await.unwrap());
            assert!(last.get(&digest, 32 << 20).await.unwrap().unwrap() == bytes, "{what}: repaired");
        }
    }
}

pub(crate) async fn notes_of_what_nobody_needs_are_forgotten(place: &Place) {
    let (_cache, blobs) = place.open().await;
    let never = Digest::of(b"nobody ever stored this");
    assert!(blobs.get(&never, 10).await.unwrap().is_none());
    assert_eq!(blobs.lost().await.unwrap(), [never]);
    blobs.forget_lost(vec![never]).await.unwrap();
    assert_eq!(blobs.lost().await.unwrap(), []);
    let (_other_cache, other) = place.open().await;
    assert_eq!((other.lost().await.unwrap(), other.lost_count()), (vec![], 0));
}

async fn store(blobs: &Blobs, bytes: &[u8]) -> Digest {
    let mut writer = blobs.writer().await.unwrap();
    writer.write(bytes.to_vec()).await.unwrap();
    writer.finish(None).await.unwrap()
}

async fn is_refused(what: &str, blobs: &Blobs, digest: &Digest) {
    let got = blobs.get(digest, 32 << 20).await;
    let opened = blobs.open_file(digest).await;
    match (got, opened) {
        (Ok(None), Ok(None)) => assert_eq!(what, "gone"),
        (Err(BlobError::Corrupt(one)), Err(BlobError::Corrupt(two))) => assert!(one == *digest && two == *digest),
        (got, opened) => panic!("{what}: {:?} and {opened:?}", got.map(|bytes| bytes.map(|bytes| bytes.len()))),
    }
}

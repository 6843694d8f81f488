//! What an object store does wrong.

use std::io::Read;

use skylift_blob::{BlobError, Blobs, S3Settings};
use skylift_model::Digest;
use skylift_peers::{FakeS3, Trouble};

use crate::{key_of, open, reads, settings};

const PASSING: [Trouble; 7] = [
    Trouble::Status(200, "InternalError"),
    Trouble::Status(500, "InternalError"),
    Trouble::Status(503, "SlowDown"),
    Trouble::Reset,
    Trouble::ResetAfter,
    Trouble::Cut,
    Trouble::Silence,
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_passes_is_tried_again_and_nobody_notices() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    for (n, trouble) in PASSING.into_iter().enumerate() {
        let bytes = vec![n as u8; 5000];
        fake.trouble("PUT", std::slice::from_ref(&trouble));
        let digest = blobs.put(bytes.clone()).await.unwrap();
        for _ in 0..2 {
            let (_fresh_cache, fresh) = open(&fake).await;
            fake.trouble("GET", std::slice::from_ref(&trouble));
            let mut read = Vec::new();
            fresh.open_file(&digest).await.unwrap().unwrap().file.read_to_end(&mut read).unwrap();
            assert!(read == bytes, "{trouble:?}");
        }
        let (_fresh_cache, fresh) = open(&fake).await;
        fake.trouble("GET", std::slice::from_ref(&trouble));
        assert!(fresh.get(&digest, 5000).await.unwrap().unwrap() == bytes, "{trouble:?}");
        fake.trouble("GET", std::slice::from_ref(&trouble));
        assert!(fresh.list().await.unwrap().contains(&(digest, 5000)), "{trouble:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_pass_is_an_error_that_says_so_and_nothing_is_acknowledged() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    for trouble in [Trouble::Status(500, "InternalError"), Trouble::Reset] {
        fake.trouble("", &vec![trouble; 4]);
        let error = blobs.put(b"lost".to_vec()).await.unwrap_err();
        assert!(
            error.is_unavailable() && error.to_string().starts_with("the object store does not answer: "),
            "{error}"
        );
    }
    assert!(fake.keys("sha256/").is_empty());
    fake.trouble("", &[Trouble::Status(403, "AccessDenied")]);
    let refused = blobs.put(b"refused".to_vec()).await.unwrap_err();
    assert!(matches!(&refused, BlobError::Refused { status: 403, code, .. } if code == "AccessDenied"), "{refused}");
    // Whoever runs the platform mends it: what waits for the store waits on. What is refused for its own sake is not waited for.
    assert!(refused.is_unavailable(), "{refused}");
    for (status, code, waits) in [
        (400, "ExpiredToken", true),
        (403, "RequestTimeTooSkewed", true),
        (404, "NoSuchBucket", true),
        (400, "EntityTooLarge", false),
    ] {
        fake.trouble("", &[Trouble::Status(status, code)]);
        let refused = blobs.put(b"refused".to_vec()).await.unwrap_err();
        assert_eq!(refused.is_unavailable(), waits, "{refused}");
    }
    blobs.put(b"afterwards".to_vec()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_is_gone_is_not_taken_for_an_empty_one() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    fake.trouble("GET", &[Trouble::Status(404, "NoSuchBucket")]);
    let gone = blobs.get(&Digest::of(b"x"), 10).await;
    assert!(matches!(gone, Err(BlobError::Refused { status: 404, .. })), "{gone:?}");
    fake.trouble("GET", &[Trouble::Status(404, "NoSuchBucket")]);
    assert!(blobs.list().await.is_err());
    assert!(blobs.get(&Digest::of(b"x"), 10).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn damaged_answers_are_refused_asked_for_once_more_and_then_an_error_that_names_the_blob() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    let bytes = vec![7; 400_000];
    let digest = blobs.put(bytes.clone()).await.unwrap();

    let (_other_cache, other) = open(&fake).await;
    fake.trouble("GET", &[Trouble::Flip]);
    assert!(other.get(&digest, 1 << 20).await.unwrap().unwrap() == bytes, "damaged on its way, and read again");
    assert_eq!(reads(&fake, &digest), 2);

    let (_third_cache, third) = open(&fake).await;
    fake.damage(&key_of(&digest), |bytes| bytes[1000] ^= 1);
    let refused = [third.get(&digest, 1 << 20).await.err(), third.open_file(&digest).await.err()];
    for error in refused.map(Option::unwrap) {
        assert!(matches!(error, BlobError::Corrupt(which) if which == digest), "{error}");
        assert!(error.to_string().contains(&digest.to_string()));
    }
    assert_eq!(reads(&fake, &digest), 6, "not more than twice each");

    third.put(bytes.clone()).await.unwrap();
    let (_fourth_cache, fourth) = open(&fake).await;
    assert!(fourth.get(&digest, 1 << 20).await.unwrap().unwrap() == bytes, "stored again, it is repaired");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn parts_of_a_large_blob_fail_one_by_one_and_it_is_whole() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    let bytes = vec![3; 20 << 20];
    fake.trouble("PUT", &[Trouble::Reset, Trouble::Status(500, "InternalError"), Trouble::ResetAfter]);
    fake.trouble("POST", &[Trouble::ResetAfter, Trouble::Status(503, "SlowDown"), Trouble::ResetAfter]);
    let store = async || {
        let mut writer = blobs.writer().await.unwrap();
        writer.write(bytes.clone()).await.unwrap();
        writer.finish(None).await
    };
    let digest = store().await.unwrap();
    let (_other_cache, other) = open(&fake).await;
    assert!(other.get(&digest, 32 << 20).await.unwrap().unwrap() == bytes);
    // It is there: only its time is renewed.
    let before = fake.requests().len();
    store().await.unwrap();
    let asked =
        [format!("HEAD {}", key_of(&digest)), format!("HEAD lost/{digest}"), format!("PUT {}", key_of(&digest))];
    assert_eq!(fake.requests()[before..], asked);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_object_store_the_cache_is_served_and_the_rest_is_an_error() {
    let fake = FakeS3::start().await;
    let (cache, blobs) = open(&fake).await;
    let digest = blobs.put(b"kept".to_vec()).await.unwrap();
    let settings = S3Settings { attempts: 2, ..settings(&fake) };
    drop((fake, blobs));
    let blobs = Blobs::open_s3(settings, cache.path()).await.unwrap();
    assert_eq!(blobs.get(&digest, 10).await.unwrap().unwrap(), b"kept");
    assert!(blobs.open_file(&digest).await.unwrap().is_some());
    assert!(blobs.get(&Digest::of(b"other"), 10).await.unwrap_err().is_unavailable());
    assert!(blobs.open_file(&Digest::of(b"other")).await.unwrap_err().is_unavailable());
    assert!(blobs.put(b"more".to_vec()).await.unwrap_err().is_unavailable());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_who_wait_for_a_store_that_is_away_are_told_together() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    let digest = blobs.put(b"wanted".to_vec()).await.unwrap();
    let (_other_cache, other) = open(&fake).await;
    fake.trouble("GET", &vec![Trouble::Status(503, "SlowDown"); 10_000]);
    let before = fake.requests().len();
    let asks = (0..200).map(|n| {
        let other = other.clone();
        tokio::spawn(async move {
            match n % 2 {
                0 => other.get(&digest, 100).await.err(),
                _ => other.open_file(&digest).await.err(),
            }
        })
    });
    for ask in asks.collect::<Vec<_>>() {
        assert!(ask.await.unwrap().unwrap().is_unavailable());
    }
    // Each trying for itself would be at least 200 requests, one after the other.
    let asked = fake.requests().len() - before;
    assert!(asked < 100, "{asked} requests");
    fake.recover();
    assert!(other.get(&digest, 100).await.unwrap().is_some(), "who asks afterwards is not told of before");
}

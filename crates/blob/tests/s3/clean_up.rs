//! Clean-up against others who write: what somebody was told to be stored is there.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use skylift_blob::Blobs;
use skylift_model::Digest;
use skylift_peers::FakeS3;

use crate::{key_of, open};

const GRACE: Duration = Duration::from_secs(3600);

/// Clean-up looks, somebody stores the blob again and is told so, clean-up removes it.
async fn raced(fake: &FakeS3) -> Digest {
    let (_cache, cleaner) = open(fake).await;
    let (_other_cache, other) = open(fake).await;
    let digest = cleaner.put(b"raced".to_vec()).await.unwrap();
    fake.age("sha256/", GRACE * 2);
    let mut held = fake.hold("DELETE");
    let cleaning = tokio::spawn(async move { cleaner.delete_stale(vec![digest], GRACE, SystemTime::now()).await });
    held.reached().await;
    other.put(b"raced".to_vec()).await.unwrap();
    drop(held);
    cleaning.await.unwrap().unwrap();
    assert!(fake.keys(&key_of(&digest)).is_empty(), "it was removed after it was stored");
    digest
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_blob_stored_between_the_look_and_the_removal_is_there_afterwards() {
    let fake = FakeS3::start().await;
    let digest = raced(&fake).await;
    let (_cache, reader) = open(&fake).await;
    assert_eq!(reader.get(&digest, 10).await.unwrap().unwrap(), b"raced");
    assert_eq!(fake.keys(&key_of(&digest)).len(), 1, "and has its place again");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_trash_it_would_be_lost() {
    let fake = FakeS3::start().await;
    let digest = raced(&fake).await;
    for key in fake.keys("trash/") {
        fake.lose(&key);
    }
    let (_cache, reader) = open(&fake).await;
    assert!(reader.get(&digest, 10).await.unwrap().is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_trash_is_emptied_of_what_nothing_names_and_keeps_what_is_named() {
    let fake = FakeS3::start().await;
    let (_cache, blobs) = open(&fake).await;
    let digests = blobs.put_all(vec![b"unnamed".to_vec(), b"named".to_vec()]).await.unwrap();
    let (unnamed, named) = (digests[0], digests[1]);
    fake.age("sha256/", GRACE * 2);
    assert_eq!(blobs.delete_stale(digests.clone(), GRACE, SystemTime::now()).await.unwrap(), 0);
    assert_eq!(blobs.delete_stale(digests.clone(), GRACE, SystemTime::now()).await.unwrap(), 0, "too early");
    assert_eq!(fake.keys("trash/").len(), 2);
    assert_eq!(blobs.list().await.unwrap().len(), 2);
    fake.age("trash/", GRACE * 2);
    assert_eq!(blobs.delete_stale(vec![unnamed], GRACE, SystemTime::now()).await.unwrap(), 7);
    let (_other_cache, other) = open(&fake).await;
    assert!(other.get(&unnamed, 10).await.unwrap().is_none());
    assert_eq!(other.get(&named, 10).await.unwrap().unwrap(), b"named");
    // It has its place again, so its copy is in nobody's way.
    assert_eq!(blobs.delete_stale(vec![], GRACE, SystemTime::now()).await.unwrap(), 5);
    assert!(fake.keys("trash/").is_empty());
}

/// Writers store and name; two cleaners, which know the names of a moment ago, remove; time flies for everything
/// stored. What is named and acknowledged is there, always.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_cleaners_and_many_writers_lose_nothing_that_is_named() {
    let rounds = if std::env::var_os("SKYLIFT_SOAK").is_some() { 1000 } else { 25 };
    let fake = Arc::new(FakeS3::start().await);
    let named: Arc<Mutex<BTreeSet<u64>>> = Arc::default();
    let bytes = |which: u64| format!("blob {which}").into_bytes();
    let all: Vec<Digest> = (0..6).map(|which| Digest::of(&bytes(which))).collect();
    let (_cache, writer) = open(&fake).await;
    let cleaners = [open(&fake).await, open(&fake).await];
    for round in 0..rounds {
        // Everything there is was stored long ago. What was put aside stays young for this round, as it does when
        // the grace is longer than a clean-up takes.
        fake.age("sha256/", GRACE * 2);
        if round % 3 == 0 {
            fake.age("trash/", GRACE * 2);
        }
        named.lock().unwrap().retain(|which| (which + round) % 4 != 0);
        let unnamed: Vec<Digest> = {
            let named = named.lock().unwrap();
            (0..6).filter(|which| !named.contains(which)).map(|which| all[which as usize]).collect()
        };
        let clean = |blobs: &Blobs| {
            let (blobs, unnamed) = (blobs.clone(), unnamed.clone());
            tokio::spawn(async move { blobs.delete_stale(unnamed, GRACE, SystemTime::now()).await.unwrap() })
        };
        let cleaning = [clean(&cleaners[0].1), clean(&cleaners[1].1)];
        for which in [round % 6, (round + 3) % 6] {
            writer.put(bytes(which)).await.unwrap();
            named.lock().unwrap().insert(which);
        }
        for cleaned in cleaning {
            cleaned.await.unwrap();
        }
        let (_fresh_cache, reader) = open(&fake).await;
        let must_be_there = named.lock().unwrap().clone();
        for which in must_be_there {
            let found = reader.get(&all[which as usize], 100).await.unwrap();
            assert!(found.is_some_and(|found| found == bytes(which)), "round {round}: blob {which} is lost");
        }
    }
}

//! Stored files that are damaged are never served (threats 27 and 28): flipped, cut, grown, lost and swapped ones, in
//! every form in which a file is sent, to plain requests and to odd ones, from a folder and from an object store.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

#[path = "artifacts/damage.rs"]
mod damage;
#[path = "artifacts/repair.rs"]
mod repair;
#[path = "artifacts/visitor.rs"]
mod visitor;

use std::collections::BTreeMap;

use damage::{DAMAGES, Files};
use skylift_peers::FakeS3;
use skylift_tests::random::Random;
use skylift_tests::{Folder, Platform, wait};
use visitor::{Asked, everything};

/// Small and large ones, some of which are compressed and some of which are not.
fn site() -> Folder {
    let mut random = Random::seeded();
    let noise: Vec<u8> = (0..(3 << 20) / 4).flat_map(|_| (random.below(1 << 32) as u32).to_le_bytes()).collect();
    let style = (0..4000).map(|n| format!(".c{n} {{ margin: {n}px }}\n")).collect::<String>();
    Folder::new()
        .file(
            "index.html",
            "a page that is long enough to be compressed, to be compressed, to be compressed ".repeat(40),
        )
        .file("style.css", style)
        .file("small.txt", "small")
        .file("noise.bin", noise)
}

/// What a visitor who asks for everything got, by what was asked.
type Got = BTreeMap<Asked, Option<Vec<u8>>>;

async fn got(platform: &Platform) -> Got {
    let mut got = Got::new();
    for asked in everything() {
        let bytes = asked.ask(platform).await;
        got.insert(asked, bytes);
    }
    got
}

/// A platform with a site, what a visitor gets of it, and the folder with its files.
async fn served(config: &str) -> (Platform, Got) {
    let platform = Platform::configured(config).await;
    let app = platform.app(visitor::APP).await;
    app.deploy(&site()).await;
    let good = got(&platform).await;
    assert!(good.values().all(Option::is_some), "everything is served while it is whole");
    let forms = good.keys().filter(|asked| asked.path == "/style.css").map(|asked| &good[asked]);
    assert!(forms.collect::<std::collections::BTreeSet<_>>().len() >= 4, "control: it is served in four forms");
    (platform, good)
}

/// Settings that name an object store.
fn s3_config(store: &FakeS3) -> String {
    let (endpoint, bucket) = (store.endpoint(), FakeS3::BUCKET);
    format!(
        "[blob.s3]\nendpoint = \"{endpoint}\"\nbucket = \"{bucket}\"\naccess_key_id = \"test\"\nsecret_access_key = \"test\"\n"
    )
}

/// What was got is good, or nothing. Returns how many got nothing.
#[track_caller]
fn never_wrong(what: &str, got: &Got, good: &Got) -> usize {
    for (asked, bytes) in got {
        assert!(bytes.is_none() || *bytes == good[asked], "{what}: wrong bytes for {asked:?}");
    }
    got.values().filter(|bytes| bytes.is_none()).count()
}

#[tokio::test]
async fn damaged_files_are_refused_and_whole_ones_are_served_again() {
    let (mut platform, good) = served("").await;
    for damage in DAMAGES {
        platform.stop().await;
        let files = Files::below(&platform.data().join("blobs/sha256"));
        files.damage(damage);
        // Nothing is in memory: whatever is served now was read now.
        platform.up().await;
        let refused = never_wrong(damage.name, &got(&platform).await, &good);
        assert_eq!(refused, good.len(), "{}: every file is damaged, in every form", damage.name);
        files.restore();
        let whole = async || (got(&platform).await == good).then_some(());
        wait::until("what is whole again is served", whole).await;
    }
}

#[tokio::test]
async fn files_that_are_damaged_while_they_are_served_are_never_served_wrong() {
    let (platform, good) = served("").await;
    let files = Files::below(&platform.data().join("blobs/sha256"));
    for damage in DAMAGES {
        files.damage(damage);
        // What is in memory was checked; what is read was not, so far.
        never_wrong(damage.name, &got(&platform).await, &good);
        files.restore();
    }
}

#[tokio::test]
async fn damaged_lists_of_files_serve_nothing_wrong() {
    let (mut platform, good) = served("").await;
    for damage in DAMAGES {
        platform.stop().await;
        let lists = Files::lists_below(&platform.data().join("blobs/sha256"));
        lists.damage(damage);
        platform.up().await;
        never_wrong(damage.name, &got(&platform).await, &good);
        platform.stop().await;
        lists.restore();
        platform.up().await;
        assert_eq!(got(&platform).await, good, "{}: whole again", damage.name);
    }
}

#[tokio::test]
async fn a_damaged_cache_of_an_object_store_is_filled_again_and_a_damaged_store_refused() {
    let store = FakeS3::start().await;
    let (mut platform, good) = served(&s3_config(&store)).await;
    let cache = platform.data().join("blob-cache");
    for damage in DAMAGES {
        platform.stop().await;
        let files = Files::below(&cache);
        assert!(!files.is_empty(), "control: something is in the cache");
        files.damage(damage);
        platform.up().await;
        assert_eq!(got(&platform).await, good, "{}: fetched again", damage.name);
    }
    platform.stop().await;
    std::fs::remove_dir_all(&cache).unwrap();
    let keys: Vec<String> = store.keys("").into_iter().filter(|key| key.contains("sha256")).collect();
    for key in &keys {
        store.damage(key, |bytes| {
            if !damage::is_list(bytes) {
                damage::flip(bytes);
            }
        });
    }
    platform.up().await;
    let refused = never_wrong("flipped in the object store", &got(&platform).await, &good);
    assert_eq!(refused, good.len(), "every object is damaged");
}

/// Without the comparison with the digest, what is damaged is served.
#[tokio::test]
async fn control_without_digests_damaged_files_are_served() {
    let (mut platform, good) = served("").await;
    platform.stop().await;
    Files::below(&platform.data().join("blobs/sha256")).damage(&DAMAGES[0]);
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-digest");
    platform.up().await;
    let got = got(&platform).await;
    let wrong = got.iter().filter(|(asked, bytes)| bytes.is_some() && **bytes != good[*asked]).count();
    assert_eq!(wrong, good.len(), "a visitor who would not notice tells nothing");
}

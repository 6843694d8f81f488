//! A deploy of the same folder repairs whatever was found damaged or missing.

use skylift_peers::FakeS3;
use skylift_tests::random::rounds;
use skylift_tests::{Platform, wait};

use crate::damage::{self, DAMAGES, Files};
use crate::{got, never_wrong, s3_config, served, site, visitor};

/// Everything is damaged, a visitor finds out, and the same folder is deployed again.
async fn deploys_again(platform: &Platform, what: &str, good: &crate::Got) {
    let refused = never_wrong(what, &got(platform).await, good);
    assert_eq!(refused, good.len(), "{what}: control: every file is damaged, in every form");
    let status = platform.client().status().await.unwrap();
    assert!(status.problems.iter().any(|problem| problem.contains("damaged or missing")), "{:?}", status.problems);
    let app = platform.existing(visitor::APP);
    app.cli_deploy(&site(), &[]).await.ok();
}

async fn is_whole(platform: &Platform, what: &str, good: &crate::Got) {
    never_wrong(what, &got(platform).await, good);
    wait::until(&format!("{what}: what was repaired is served"), async || (got(platform).await == *good).then_some(()))
        .await;
    let lost = platform.client().status().await.unwrap().problems;
    assert!(!lost.iter().any(|problem| problem.contains("damaged or missing")), "{what}: {lost:?}");
}

#[tokio::test]
async fn a_deploy_of_the_same_folder_repairs_files() {
    let (mut platform, good) = served("").await;
    let names: &[&str] = if rounds(0, 1) == 0 { &["flipped", "cut", "lost"] } else { &[] };
    for damage in DAMAGES.iter().filter(|damage| names.is_empty() || names.contains(&damage.name)) {
        platform.stop().await;
        Files::below(&platform.data().join("blobs/sha256")).damage(damage);
        platform.up().await;
        deploys_again(&platform, damage.name, &good).await;
        is_whole(&platform, damage.name, &good).await;
        // Nothing of it was only in memory.
        platform.crash().await;
        is_whole(&platform, damage.name, &good).await;
    }
}

/// What was noted by a process that is no more is repaired by the next one, and a list is like any other file.
#[tokio::test]
async fn a_deploy_repairs_after_a_kill_and_repairs_lists_of_files() {
    let (mut platform, good) = served("").await;
    platform.stop().await;
    Files::below(&platform.data().join("blobs/sha256")).damage(&DAMAGES[0]);
    Files::lists_below(&platform.data().join("blobs/sha256")).damage(&DAMAGES[0]);
    platform.up().await;
    let refused = never_wrong("lists", &got(&platform).await, &good);
    assert_eq!(refused, good.len(), "without its list nothing of the site is served");
    // What the live site has made of its files is unknown: they are read, and all that are lost are named.
    let app = platform.existing(visitor::APP);
    let failed = app.cli_deploy(&site(), &[]).await;
    assert!(failed.exit != 0 && failed.stderr.contains("4 files of the source are damaged or missing"), "{failed:?}");
    assert!(failed.stderr.contains("deploy the same files again"), "{failed:?}");
    platform.crash().await;
    platform.existing(visitor::APP).cli_deploy(&site(), &[]).await.ok();
    is_whole(&platform, "after a kill", &good).await;
}

#[tokio::test]
async fn a_deploy_of_the_same_folder_repairs_objects() {
    let store = FakeS3::start().await;
    let (mut platform, good) = served(&s3_config(&store)).await;
    let change = |bytes: &mut Vec<u8>| {
        if !damage::is_list(bytes) {
            damage::flip(bytes);
        }
    };
    for what in ["flipped", "cut", "lost"] {
        platform.stop().await;
        std::fs::remove_dir_all(platform.data().join("blob-cache")).unwrap();
        for key in store.keys("sha256/") {
            let mut is_list = false;
            store.damage(&key, |bytes| is_list = damage::is_list(bytes));
            match what {
                _ if is_list => {}
                "flipped" => store.damage(&key, change),
                "cut" => store.damage(&key, |bytes| bytes.truncate(bytes.len() / 2)),
                _ => store.lose(&key),
            }
        }
        platform.up().await;
        deploys_again(&platform, what, &good).await;
        is_whole(&platform, what, &good).await;
        assert_eq!(store.keys("lost/"), [""; 0], "{what}: nothing is noted any more");
    }
}

/// Without asking again for what is lost, a deploy changes nothing.
#[tokio::test]
async fn control_without_repair_a_deploy_leaves_damaged_files_damaged() {
    let (mut platform, good) = served("").await;
    platform.stop().await;
    Files::below(&platform.data().join("blobs/sha256")).damage(&DAMAGES[0]);
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-repair");
    platform.up().await;
    never_wrong("flipped", &got(&platform).await, &good);
    platform.existing(visitor::APP).cli_deploy(&site(), &[]).await;
    let refused = never_wrong("flipped", &got(&platform).await, &good);
    assert_eq!(refused, good.len(), "nothing was repaired");
}

//! Two processes with every role over the same stores, each with an edge and an API of its own: whichever is asked, both serve
//! what was said to be live.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use skylift_peers::FakeS3;
use skylift_tests::folder::Folder;
use skylift_tests::platform::Platform;
use skylift_tests::spread::OwnStores;

/// How often what is live changes, told by either.
const CHANGES: usize = 6;

fn page(text: &str) -> Folder {
    Folder::new().file("index.html", text)
}

/// What both serve, at once.
async fn both(platforms: &[Platform; 2], host: &str) -> [String; 2] {
    let [one, other] = platforms;
    [one.get(host, "/").await.text(), other.get(host, "/").await.text()]
}

async fn two(stores: &OwnStores) -> [Platform; 2] {
    let (redis, s3, bucket) = (stores.redis.url(), stores.s3.endpoint(), FakeS3::BUCKET);
    let config = format!(
        "[bus]\nurl = \"{redis}\"\nprefix = \"own\"\n[blob.s3]\nendpoint = \"{s3}\"\nbucket = \"{bucket}\"\nprefix = \"own/\"\n\
         access_key_id = \"test-key\"\nsecret_access_key = \"test-secret\"\n"
    );
    let make = || Platform::prepared_on(stores.postgres.url(), &config);
    let (mut first, mut second) = (make(), make());
    first.up().await;
    second.set_environment("SKYLIFT_MASTER_KEY_FILE", first.data().join("master-key").to_str().unwrap());
    second.up().await;
    // Tokens are the platform's, not a process's.
    std::fs::write(second.data().join("owner-token"), first.token()).unwrap();
    [first, second]
}

#[tokio::test]
async fn whichever_says_that_something_is_live_both_serve_it_and_nothing_older() {
    let Some(stores) = OwnStores::start("two processes with every role").await else { return };
    let mut platforms = two(&stores).await;
    platforms[0].app("shop").await.deploy(&page("0")).await;
    assert_eq!(both(&platforms, "shop.localhost").await, ["0", "0"]);
    for number in 1..=CHANGES {
        let teller = &platforms[number % 2];
        let text = number.to_string();
        teller.existing("shop").cli_deploy(&page(&text), &[]).await.ok();
        assert_eq!(both(&platforms, "shop.localhost").await, [text.as_str(); 2], "told by {}", number % 2);
        let before = (number - 1).to_string();
        platforms[(number + 1) % 2].cli(&["rollback", "shop"]).await.ok();
        assert_eq!(both(&platforms, "shop.localhost").await, [before.as_str(); 2], "taken back by the other");
        // So that the next one goes back to this one.
        teller.existing("shop").cli_deploy(&page(&text), &[]).await.ok();
    }
    // One that died is not waited for longer than it counts.
    let [one, other] = &mut platforms;
    other.kill().await;
    one.existing("shop").cli_deploy(&page("alone"), &[]).await.ok();
    assert_eq!(one.get("shop.localhost", "/").await.text(), "alone");
    other.up().await;
    assert_eq!(both(&platforms, "shop.localhost").await, ["alone"; 2]);
    platforms[1].cli(&["rm", "shop", "--yes"]).await.ok();
    for platform in &platforms {
        assert_eq!(platform.get("shop.localhost", "/").await.status, 404);
    }
}

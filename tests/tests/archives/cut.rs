//! Uploads that break off (threat 2): no deployment, no file and no open upload is left of them.

use skylift_tests::archive::Tar;
use skylift_tests::random::{Random, rounds};
use skylift_tests::{Platform, Request, site, wait};

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn uploads_that_break_off_leave_nothing() {
    let mut random = Random::seeded();
    let platform = Platform::start().await;
    let app = platform.app("cut").await;
    app.deploy(&site("live")).await;
    settled(&platform).await;
    let before = files(&platform);
    let used = platform.client().status().await.unwrap().disk.used_bytes;

    let count = rounds(20, 200);
    for round in 0..count {
        let noise: Vec<u8> = (0..200_000).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let archive = Tar::new().file("index.html", format!("cut {round}")).file("noise", &noise).gzip();
        let request = Request::post("/v1/apps/cut/deployments").host("localhost").token(&platform.token());
        let request = request.body(archive);
        let bytes = random.below(request.length() as u64);
        request.cut(platform.address(), usize::try_from(bytes).unwrap()).await;
    }

    let back = async || (files(&platform) == before).then_some(());
    wait::until("the files are those from before", back).await;
    assert_eq!(platform.client().status().await.unwrap().disk.used_bytes, used);
    assert_eq!(app.deployments().await.len(), 1, "nothing that broke off became a deployment");
    assert_eq!(app.get("/").await.brief(), "200 live");

    // The control: the same archive, whole, is a deployment and leaves files.
    let whole = Tar::new().file("index.html", "whole").file("noise", "n".repeat(200_000)).gzip();
    assert_eq!(app.post_archive(whole).await.status, 202);
    settled(&platform).await;
    assert_ne!(files(&platform), before);
    eprintln!("figure: {count} uploads cut at random, nothing left of them");
}

/// Waits until no job is left.
async fn settled(platform: &Platform) {
    let queues_are_empty = async || {
        let queues = platform.client().status().await.unwrap().queues;
        queues.iter().all(|queue| queue.ready + queue.leased == 0).then_some(())
    };
    wait::until("nothing is under way", queues_are_empty).await;
}

/// The files of the data folder, without the database's own, which come and go.
fn files(platform: &Platform) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![platform.data().to_owned()]);
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                folders.push(path);
            } else if !path.to_string_lossy().contains("skylift.db") {
                found.push(path.display().to_string());
            }
        }
    }
    found.sort();
    found
}

//! Limits, ends and their reasons.

use super::*;

const LIMITS: &str = "[instances]\nmemory_bytes = 67108864\ndisk_bytes = 33554432\npids = 40\ngrace_seconds = 1\n";

#[tokio::test]
async fn every_end_is_told_with_its_reason_and_replaced() {
    let Some(Pair { platform, docker }) = pair(LIMITS).await else { return };
    let app = platform.app("shop").await;
    let live = app.deploy(&image("USER 0\nCMD [\"/server\"]")).await;
    let threads: u32 = says(&app, "/threads").await.parse().unwrap();
    assert!((10..40).contains(&threads), "{threads}");
    for (path, reason) in [
        ("/die", "exited with code 3"),
        ("/abort", "ended by signal 6"),
        ("/eat", "killed: memory limit 64 MiB"),
        ("/write?/large", "killed: disk limit 32 MiB"),
    ] {
        wait::until("an answer", async || (app.get("/").await.status == 200).then_some(())).await;
        // What may be sent once more would end the next one, too.
        let _ = app.send(Request::post(path)).await;
        ended_because(&app, reason).await;
        app.logs_line(&live.id, reason).await;
    }
    has_containers(&docker, 1).await;
}

#[tokio::test]
async fn an_instance_is_asked_to_end_and_then_made_to() {
    let Some(Pair { platform, docker }) = pair(LIMITS).await else { return };
    let app = platform.app("shop").await;
    let polite = app.deploy(&server()).await;
    let deaf = app.deploy(&image("ENV DEAF=1\nCMD [\"/server\"]")).await;
    app.logs_line(&polite.id, "told to end").await;
    platform.cli(&["scale", "shop", "0"]).await.ok();
    has_containers(&docker, 0).await;
    app.logs_line(&deaf.id, "stopped").await;
}

#[tokio::test]
async fn an_image_that_ends_at_once_fails_its_deployment_and_what_was_live_goes_on() {
    let Some(Pair { platform, docker }) = pair("").await else { return };
    let app = platform.app("shop").await;
    app.deploy(&server()).await;
    let failure = app.attempt(&image("CMD [\"/server\", \"end\"]")).await.failure.unwrap();
    assert!(failure.message.contains("exited with code 7"), "{failure:?}");
    let failed = app.attempt(&image("CMD [\"/nothing\"]")).await;
    assert!(failed.failure.as_ref().unwrap().message.contains("exited with code 127"), "{:?}", failed.failure);
    app.logs_line(&failed.id, "/nothing").await;
    assert_eq!(says(&app, "/").await, "one");
    has_containers(&docker, 1).await;
}

#[tokio::test]
async fn nothing_that_a_container_writes_escapes_its_disk_limit() {
    let Some(Pair { platform, docker: _docker }) = pair(LIMITS).await else { return };
    for (name, path, reason) in [
        ("many", "/many?/m", "killed: more than 8192 files"),
        ("hidden", "/hold?/large", "killed: disk limit 32 MiB"),
        ("beside", "/write?/etc/hosts", "killed: disk limit 32 MiB"),
    ] {
        let app = platform.app(name).await;
        app.deploy(&image("USER 0\nCMD [\"/server\"]")).await;
        let request = app.send(Request::post(path));
        tokio::select! {
            _ = request => ended_because(&app, reason).await,
            () = ended_because(&app, reason) => {}
        }
    }
}

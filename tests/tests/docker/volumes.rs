//! Volumes in containers: what lasts, as whom, how much, and that a killed platform's container keeps others away.

use super::*;
use crate::keeper::keeper;

const LIMIT: &str = "[instances]\nvolume_bytes = 33554432\n";
const WAITS: &str = "waits until the Docker engine has removed what had `files` before";

async fn create_volume(platform: &Platform) {
    platform.cli(&["volume", "create", "files", "--app", "shop"]).await.ok();
}

async fn has_written(app: &App<'_>, path: &str, text: &str) {
    assert_eq!(says(app, &format!("/read?{path}")).await, text);
}

#[tokio::test]
async fn a_volume_lasts_belongs_to_its_apps_own_user_and_has_its_limit() {
    let Some(Pair { mut platform, docker }) = pair(LIMIT).await else { return };
    let app = platform.app("shop").await;
    // Where the volume is, this image wants one of its own, and root to write it.
    app.deploy(&image("VOLUME /data\nUSER 0\nCMD [\"/server\"]")).await;
    create_volume(&platform).await;
    says(&app, "/append?/data/list:first").await;
    app.deploy(&server()).await;
    says(&app, "/append?/data/list:second").await;
    let status = says(&app, "/read?/proc/self/status").await;
    let uid = status.lines().find_map(|line| line.strip_prefix("Uid:")?.split_whitespace().next()).unwrap();
    assert!((3_000_000..4_000_000).contains(&uid.parse::<u32>().unwrap()), "{status}");

    platform.kill().await;
    assert_eq!(docker.containers().await.len(), 1, "it outlives the platform");
    // As if the engine had been exchanged for another one, which cannot tell of the first one's containers.
    let volumes = platform.data().join("volumes");
    let files = std::fs::read_dir(&volumes).unwrap().map(|entry| entry.unwrap().path());
    let note = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "contained")).unwrap();
    std::fs::write(&note, "another").unwrap();
    platform.up().await;
    let app = platform.existing("shop");
    wait::until("it does not start", async || {
        let told =
            |instance: &Instance| instance.reason.as_ref()?.contains("one of the Docker engine another").then_some(());
        instances(&app).await.iter().find_map(told)
    })
    .await;
    std::fs::remove_file(&note).unwrap();
    wait::until("an answer", async || (app.get("/").await.status == 200).then_some(())).await;
    has_written(&app, "/data/list", "first second ").await;
    assert!(says(&app, "/read?/data/second-writer").await.contains("No such file"), "there was one writer");

    let _ = app.send(Request::post("/write?/data/large")).await;
    ended_because(&app, "killed: volume limit 32 MiB").await;
    platform.cli(&["run", "shop", "--", "/server", "remove", "/data/large"]).await.ok();
    wait::until("an answer", async || (app.get("/").await.status == 200).then_some(())).await;
    has_written(&app, "/data/list", "first second ").await;
    platform.cli(&["rm", "shop", "-y", "--with-data"]).await.ok();
    has_containers(&docker, 0).await;
    wait::until("nothing of it", async || std::fs::read_dir(&volumes).ok()?.next().is_none().then_some(())).await;
}

/// A container outlives its platform while the engine answers nobody, and the next version is no image. Returns once that is tried.
async fn outlived(pair: &mut Pair) -> skylift_model::DeploymentId {
    let Pair { platform, docker } = pair;
    let app = platform.app("shop").await;
    app.deploy(&server()).await;
    create_volume(platform).await;
    says(&app, "/append?/data/list:first").await;
    platform.kill().await;
    docker.freeze();
    platform.up().await;
    platform.existing("shop").begin(&keeper("two")).await.id
}

#[tokio::test]
async fn a_container_that_outlives_its_platform_keeps_its_volume_from_everybody() {
    let Some(mut pair) = pair("").await else { return };
    let next = outlived(&mut pair).await;
    let Pair { platform, docker } = &pair;
    let app = platform.existing("shop");
    app.logs_line(&next, WAITS).await;
    assert!(!instances(&app).await.iter().any(|instance| instance.state == InstanceState::Ready), "nobody has it");
    docker.thaw();
    app.reaches(&next, DeploymentState::Live).await;
    assert_eq!((says(&app, "/list").await, says(&app, "/second").await), ("first ".to_owned(), String::new()));
    has_containers(docker, 0).await;
}

#[tokio::test]
async fn control_without_the_note_there_is_a_second_writer() {
    let Some(mut pair) = pair("").await else { return };
    pair.platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-contained");
    pair.platform.stop().await;
    pair.platform.up().await;
    let next = outlived(&mut pair).await;
    let app = pair.platform.existing("shop");
    app.reaches(&next, DeploymentState::Live).await;
    wait::until("a second writer", async || says(&app, "/second").await.contains("beat-").then_some(())).await;
    pair.docker.thaw();
}

#[tokio::test]
async fn a_volume_is_not_seen_through_a_link_of_the_image() {
    let Some(Pair { platform, docker }) = pair("").await else { return };
    let app = platform.app("shop").await;
    create_volume(&platform).await;
    let failed = app.attempt(&image("RUN [\"/server\", \"link\", \"/data\"]\nCMD [\"/server\"]")).await;
    let failure = failed.failure.unwrap();
    assert!(failure.message.contains("has a link at /data"), "{failure:?}");
    has_containers(&docker, 0).await;
}

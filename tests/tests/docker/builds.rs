//! Builds: their log, their failures, what they may not do, how they are cancelled, and what is left of them.

use skylift_model::DeploymentState;

use super::*;

#[tokio::test]
async fn a_failing_command_is_told_and_what_was_live_goes_on() {
    let Some(Pair { platform, docker }) = pair("").await else { return };
    let app = platform.app("shop").await;
    app.set_env("SECRET", "hunter2000").await;
    app.deploy(&server()).await;
    let lines = "RUN [\"/server\", \"say\", \"hunter2000\"]\nRUN [\"/server\", \"connect\", \"1.1.1.1:80\"]\n\
                 RUN [\"/server\", \"fail\"]\nCMD [\"/server\"]";
    let failed = app.attempt(&image(lines)).await;
    let failure = failed.failure.unwrap();
    assert_eq!((failure.step.as_str(), failure.exit_code), ("build", Some(4)), "{}", failure.message);
    let log = app.log(&failed.id).await;
    assert!(log.contains("build about to fail") && log.contains("build not connected"), "{log}");
    assert!(log.contains("build ••••••") && !log.contains("hunter2000"), "{log}");
    assert_eq!(says(&app, "/").await, "one");
    let images = docker.images().await;
    assert_eq!(images.len(), 1, "nothing is left of it: {images:?}");
}

#[tokio::test]
async fn what_the_engine_would_do_with_the_hosts_rights_is_refused() {
    let Some(Pair { platform, docker }) = pair("").await else { return };
    let victim = platform.app("victim").await;
    let live = victim.deploy(&server()).await;
    let app = platform.app("shop").await;
    let id = docker.docker(&["inspect", "-f", "{{.Id}}", &format!("skylift/victim:{}", live.id)]).await.unwrap();
    let id = id.strip_prefix("sha256:").unwrap().get(..12).unwrap().to_owned();
    for line in [
        format!("COPY --from=skylift/victim:{} /server /stolen", live.id),
        format!("COPY --from={id} /server /stolen"),
        format!("FROM {id}"),
        format!("ADD http://127.0.0.1:{}/ /page", platform.port()),
    ] {
        let failure = app.attempt(&image(&line)).await.failure.unwrap();
        assert!(failure.step == "detect" && failure.message.contains("line 3"), "{line}: {failure:?}");
        assert!(failure.hint.is_some());
    }
    // The control: the engine itself would have done it.
    let folder = image(&format!("COPY --from={id} /server /stolen"));
    let built = docker.docker(&["build", "-q", "--network=none", folder.arg()]).await;
    assert!(built.is_some(), "another image's files are there for the asking");
}

#[tokio::test]
async fn a_build_that_is_cancelled_ends_and_leaves_nothing() {
    let Some(Pair { platform, docker }) = pair("").await else { return };
    let app = platform.app("shop").await;
    let endless = app.begin(&image("RUN [\"/server\", \"sleep\"]\nCMD [\"/server\"]")).await;
    app.logs_line(&endless.id, "sleeping").await;
    has_containers(&docker, 1).await;
    platform.client().cancel(&endless.id).await.unwrap();
    app.reaches(&endless.id, DeploymentState::Cancelled).await;
    has_containers(&docker, 0).await;
    wait::until("no image", async || docker.images().await.is_empty().then_some(())).await;
}

#[tokio::test]
async fn a_build_is_held_to_its_time_and_output() {
    let Some(Pair { platform, docker }) = pair("[build]\nstep_seconds = 8\noutput_bytes = 100000\n").await else {
        return;
    };
    let app = platform.app("shop").await;
    for (step, expected) in [("chatter", "output limit"), ("sleep", "time limit")] {
        let lines = format!("RUN [\"/server\", \"{step}\"]\nCMD [\"/server\"]");
        let failure = app.attempt(&image(&lines)).await.failure.unwrap();
        assert!(failure.message.contains(expected), "{failure:?}");
        has_containers(&docker, 0).await;
    }
    let failure = app.attempt(&image("")).await.failure.unwrap();
    assert!(failure.message.contains("does not say what it starts"), "{failure:?}");
}

#[tokio::test]
async fn images_go_with_their_deployments_and_nobody_elses_do() {
    let Some(Pair { platform, docker }) = pair("[keep]\ndeployments = 1\nunnamed_seconds = 0\n").await else { return };
    let app = platform.app("shop").await;
    let strangers = server();
    docker.docker(&["build", "-q", "--network=none", "-t", "skylift/shop:strangers", strangers.arg()]).await.unwrap();
    let mut deployments = Vec::new();
    for version in ["one", "two", "three"] {
        deployments.push(app.deploy(&image(&format!("ENV V={version}\nCMD [\"/server\"]"))).await);
    }
    platform.cli(&["gc"]).await.ok();
    let mut images = docker.images().await;
    images.retain(|name| name != "<none>:<none>");
    images.sort();
    let mut expected: Vec<_> = deployments[1..].iter().map(|kept| format!("skylift/shop:{}", kept.id)).collect();
    expected.push("skylift/shop:strangers".to_owned());
    expected.sort();
    assert_eq!(images, expected);
    app.roll_back().await;
    wait::until("the one before", async || (says(&app, "/env?V").await == "two").then_some(())).await;
}

//! Versions that do not last: never healthy, ending soon after they went live, failing under load alone, listening where nobody asks,
//! hanging though they look healthy.

use skylift_model::DeploymentState;
use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::wait;

use super::count::{Count, failed, percent_of};
use super::{has, live_app, ready, server};

/// A server in Node of which `harm` is a part.
fn harmed(harm: &str, toml: &str) -> Folder {
    let program = "
        const http = require('http');
        let asked = 0;
        let port = process.env.PORT, host = '0.0.0.0', wait = 0;
        let answer = (request, response) => response.end('two');
        HARM
        const server = http.createServer((request, response) => {
            request.resume();
            request.on('end', () => { asked++; answer(request, response); });
        });
        setTimeout(() => server.listen(port, host), wait);
        process.on('SIGTERM', () => process.exit(0));
    ";
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program.replace("HARM", harm))
        .file("skylift.toml", toml)
}

/// Waits until what was live before is live again, and returns what is said of why.
async fn taken_back(app: &App<'_>, second: &skylift_model::DeploymentId) -> String {
    let failure = wait::until("it is taken back", async || {
        let one = app.deployments().await.into_iter().find(|one| one.id == *second).unwrap();
        one.failure.filter(|_| one.state == DeploymentState::Previous)
    })
    .await;
    failure.message
}

#[tokio::test]
async fn a_version_that_ends_again_and_again_once_it_is_live_is_taken_back() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 1).await;
    let first = app.live().await.unwrap();
    let second = app.begin(&harmed("setTimeout(() => process.exit(3), 2500);", "")).await.id;
    let why = taken_back(&app, &second).await;
    assert!(why.contains("2 of its instances ended by themselves, the last so: exited with code 3"), "{why}");
    assert_eq!(app.live().await, Some(first.clone()));
    has(&app, &first, 1).await;
    assert_eq!(app.get("/").await.text(), "one");
    let listed = platform.cli(&["deployments", "shop"]).await.ok().stdout;
    assert!(listed.contains("taken back") && app.log(&second).await.contains(&why), "{listed}");
    // It is said once: what its owner makes live again stays, whatever it does.
    app.roll_back_to(&app.deployments().await.into_iter().find(|one| one.id == second).unwrap()).await;
    wait::until("it has ended again", async || {
        let ended = platform.client().instances(&app.name).await.unwrap().crash_looping;
        ended.iter().any(|one| one.deployment == second).then_some(())
    })
    .await;
    assert_eq!(app.live().await, Some(second));
}

#[tokio::test]
async fn a_version_that_fails_under_load_alone_or_hangs_is_taken_back() {
    let platform = Platform::configured("[instances]\ndrain_seconds = 1\n").await;
    let app = live_app(&platform, 2).await;
    let first = app.live().await.unwrap();
    let count = Count::begin(platform.address(), "shop.localhost");
    // Long enough to be told of it, which happens every second.
    count.more(600).await;
    for (harm, cause) in [
        (
            "answer = (request, response) => { response.statusCode = asked > 20 && request.url !== '/up' ? 500 : 200; response.end('two'); };",
            "answers failed",
        ),
        ("answer = (request, response) => { if (request.url === '/up') response.end('well'); };", "took longer than"),
    ] {
        let second = app.begin(&harmed(harm, "[health]\npath = \"/up\"\n")).await.id;
        wait::until("it has been live", async || {
            let state = app.deployments().await.into_iter().find(|one| one.id == second).unwrap().state;
            matches!(state, DeploymentState::Live | DeploymentState::Previous).then_some(())
        })
        .await;
        // What hangs holds whoever counts: others ask, too.
        let more = (0..40).map(|_| tokio::spawn(Request::get("/").host("shop.localhost").try_send(platform.address())));
        let more: Vec<_> = more.collect();
        let why = taken_back(&app, &second).await;
        assert!(why.contains("taken back") && why.contains(cause), "{harm}: {why}");
        has(&app, &first, 2).await;
        for one in more {
            one.await.unwrap();
        }
        assert_eq!(percent_of(&count.more(60).await, "one"), 100);
    }
    let answers = count.end().await;
    assert!(failed(&answers).iter().all(|answer| answer.version != "one"));
}

/// The control: with no trial, it stays.
#[tokio::test]
async fn without_a_trial_a_version_that_fails_stays_live() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 1).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    count.more(100).await;
    let second = app.begin(&server("two", 500, "trial_seconds = 0\n")).await.id;
    app.reaches(&second, DeploymentState::Live).await;
    let after = count.more(100).await;
    assert!(failed(&after).len() >= 50, "{}", after.len());
    assert_eq!(app.live().await, Some(second));
    count.end().await;
}

#[tokio::test]
async fn a_version_that_nobody_can_ask_never_goes_live_and_the_old_one_goes_on() {
    let platform = Platform::start().await;
    let app = live_app(&platform, 1).await;
    let before = ready(&app).await;
    let count = Count::begin(platform.address(), "shop.localhost");
    for (harm, toml, state) in [
        ("port = 3000;", "", DeploymentState::Failed),
        ("host = '::1';", "", DeploymentState::Failed),
        (
            "answer = (request, response) => { response.statusCode = 500; response.end(); };",
            "[health]\npath = \"/up\"\n",
            DeploymentState::Failed,
        ),
        // It takes its time and is good.
        ("wait = 2000;", "", DeploymentState::Live),
    ] {
        let second = app.begin(&harmed(harm, toml)).await.id;
        if state == DeploymentState::Failed {
            // What keeps it is told long before it is given up; for most its owner does not wait for that.
            wait::until("what keeps it", async || {
                let there = platform.client().instances(&app.name).await.unwrap().instances;
                there.into_iter().find(|one| one.deployment == second)?.reason
            })
            .await;
            assert_eq!(ready(&app).await, before);
            if harm.starts_with("port") {
                is_given_up(&app, &second).await;
                continue;
            }
            platform.cli(&["cancel", "shop"]).await.ok();
            app.reaches(&second, DeploymentState::Cancelled).await;
        } else {
            app.reaches(&second, state).await;
        }
    }
    let answers = count.end().await;
    assert_eq!(failed(&answers).len(), 0, "{:?}", failed(&answers));
}

/// Who listens on another port, and has nothing else to do, is not waited for, and the reason is told wherever it is looked for.
async fn is_given_up(app: &App<'_>, second: &skylift_model::DeploymentId) {
    let failure = app.reaches(second, DeploymentState::Failed).await.failure.unwrap();
    assert!(failure.message.starts_with("it listens on port 3000, not on PORT (8080): "), "{failure:?}");
    let shown = app.platform.cli(&["ps", "shop"]).await.ok();
    let told = format!("the newest deployment, {second}, failed in the step {}: {}", failure.step, failure.message);
    assert!(shown.stderr.contains(&told), "{}", shown.stderr);
}

//! The platform is killed, at any time.

use std::ops::Not;
use std::time::Duration;

use skylift_model::wire::Deployment;
use skylift_model::{DeploymentId, DeploymentState};
use skylift_tests::acknowledged::Acknowledged;
use skylift_tests::app::host_of;
use skylift_tests::archive::Tar;
use skylift_tests::random::{Random, rounds};
use skylift_tests::{Platform, Request, process, projects, skip, wait};

#[tokio::test]
async fn a_build_under_way_when_the_platform_is_killed_is_live_exactly_once() {
    if !skip::unless_node("a_build_under_way_when_the_platform_is_killed_is_live_exactly_once") {
        return;
    }
    let mut platform = Platform::start().await;
    let marker = format!("crash-{}", platform.port());
    let id = {
        let app = platform.app("crash").await;
        let deployment = app.begin(&projects::slow("survived", 1500, &marker)).await;
        app.logs_line(&deployment.id, "started").await;
        deployment.id
    };
    assert!(!process::with_marker(&marker).is_empty(), "control: the build can be seen");
    platform.kill().await;
    wait::until("nothing of the build is left", async || process::with_marker(&marker).is_empty().then_some(())).await;

    platform.up().await;
    let app = platform.existing("crash");
    assert_eq!(app.settled(&id).await.state, DeploymentState::Live);
    assert_eq!(app.get("/").await.brief(), "200 survived");
    let events = platform.client().events(&id).collect().await.unwrap();
    let times_live = events.iter().filter(|event| event.state == DeploymentState::Live).count();
    assert_eq!(times_live, 1, "{events:?}");
    assert_eq!(platform.client().app(&app.name).await.unwrap().generation, 1);
}

#[tokio::test]
async fn a_build_that_is_lost_again_and_again_is_given_up_and_can_be_replayed() {
    if !skip::unless_node("a_build_that_is_lost_again_and_again_is_given_up_and_can_be_replayed") {
        return;
    }
    let mut platform = Platform::start().await;
    let folder = projects::slow("at last", 3000, "poison");
    let id = platform.app("poison").await.begin(&folder).await.id;
    for attempt in 1..=3 {
        wait_for_attempt(&platform, &id, attempt).await;
        platform.crash().await;
    }
    let app = platform.existing("poison");
    let failed = app.settled(&id).await;
    assert_eq!(failed.state, DeploymentState::Failed);
    assert!(failed.failure.is_some_and(|failure| failure.message.contains("tried")));

    let log = platform.cli(&["logs", "poison"]).await.ok();
    let at = |text: &str| log.stdout.find(text).unwrap_or_else(|| panic!("{text} in {}", log.stdout));
    let marks = ["attempt 2 of 3: the builder was lost", "attempt 3 of 3: the builder was lost", "failed: "].map(at);
    assert!(marks.is_sorted(), "{}", log.stdout);
    let dead = platform.cli(&["jobs", "--dead", "--json"]).await.ok().json();
    let job = &dead["jobs"][0];
    assert_eq!((job["subject"].as_str(), job["state"].as_str()), (Some(id.as_str()), Some("dead")), "{dead}");
    let status = platform.client().status().await.unwrap();
    assert!(!status.healthy && status.problems[0].contains("--dead"), "{:?}", status.problems);

    platform.cli(&["jobs", "replay", job["id"].as_str().unwrap()]).await.ok();
    app.reaches(&id, DeploymentState::Live).await;
    // The row says so a moment before the edge serves it.
    let is_served = async || (app.get("/").await.brief() == "200 at last").then_some(());
    wait::until("what was replayed is served", is_served).await;
    assert!(platform.client().status().await.unwrap().healthy);
}

/// Waits until the build's command runs for the `attempt`th time.
async fn wait_for_attempt(platform: &Platform, id: &DeploymentId, attempt: usize) {
    let client = platform.client();
    wait::until(&format!("attempt {attempt}"), async || {
        let lines = client.log_lines(id, None).await.unwrap();
        (lines.iter().filter(|line| line.text == "started").count() == attempt).then_some(())
    })
    .await;
}

/// One request, sent until it is answered: a client's view of exactly once.
struct Entry {
    app: String,
    key: String,
    page: String,
    /// Whether a sandbox makes the page; else it is in the archive.
    is_built: bool,
    id: Option<DeploymentId>,
}

#[tokio::test]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn whatever_was_acknowledged_ends_and_what_was_sent_twice_is_done_once() {
    let mut random = Random::seeded();
    let mut platform = Platform::start().await;
    for app in ["a", "b"] {
        platform.app(app).await;
    }
    let has_node = skip::unless_node("the half of it that needs a sandboxed build");
    let mut ledger: Vec<Entry> = Vec::new();
    let mut acknowledged = Acknowledged::default();
    for round in 0..rounds(5, 200) {
        let app = ["a", "b"][usize::try_from(random.below(2)).unwrap()].to_owned();
        let (key, page) = (format!("key-{round}"), format!("page {round}"));
        ledger.push(Entry { app, key, page, is_built: has_node && random.below(2) == 0, id: None });
        // The moment of the kill is the fault that is tried; nothing waits for it.
        let moment = tokio::time::sleep(Duration::from_millis(random.below(500)));
        let send_all = async {
            for entry in ledger.iter_mut().filter(|entry| entry.id.is_none()) {
                send(&platform, entry, &mut acknowledged).await;
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = send_all => {}
            () = moment => {}
        }
        platform.crash().await;
    }
    let lost = acknowledged.lost(&platform).await;
    assert!(lost.is_empty(), "{lost:#?}");
    for entry in &mut ledger {
        send(&platform, entry, &mut acknowledged).await;
    }
    let mut attempts_lost = 0;
    for entry in &ledger {
        let id = entry.id.as_ref().expect("answered once nothing is killed");
        let settled = platform.existing(&entry.app).settled(id).await;
        let is_told = settled.state != DeploymentState::Failed || settled.failure.is_some();
        assert!(is_told, "{id} failed without a reason");
        attempts_lost += has_one_history(&platform, &settled).await;
        if matches!(settled.state, DeploymentState::Live | DeploymentState::Previous) {
            // One artefact: that of this request, wherever the app is by now.
            let own = platform.get(&host_of(&settled), "/").await;
            assert!(matches!(own.status, 200 | 404 | 410), "{}", own.brief());
            assert!(own.status != 200 || own.text() == entry.page, "{id}: {}", own.brief());
        }
    }
    let work = platform.data().join("builds/work");
    let nothing = async || std::fs::read_dir(&work).is_ok_and(|mut left| left.next().is_some()).not().then_some(());
    wait::until("no build's folder is left", nothing).await;
    eprintln!("figure: {} kills at random, {attempts_lost} attempts lost and done once more", ledger.len());
    for app in ["a", "b"].map(|app| platform.existing(app)) {
        let sent = ledger.iter().filter(|entry| entry.app == app.name.as_str()).count();
        let deployments = app.deployments().await;
        let Some(live) = app.live().await else {
            assert!(deployments.is_empty(), "nothing is live of {deployments:?}");
            continue;
        };
        assert!(deployments.len() == sent.min(50), "{} deployments of {sent} requests", deployments.len());
        let all_live: Vec<_> = deployments.iter().filter(|it| it.state == DeploymentState::Live).collect();
        assert!(all_live.len() == 1 && all_live[0].id == live, "{all_live:?}");
        let entry = ledger.iter().find(|entry| entry.id.as_ref() == Some(&live)).expect("what is live was sent");
        assert_eq!(app.get("/").await.brief(), format!("200 {}", entry.page));
    }
}

/// Makes sure that each lost attempt was followed by the next one, that nothing was done by two, and that it went live
/// once at most; returns how many attempts were lost.
async fn has_one_history(platform: &Platform, deployment: &Deployment) -> u64 {
    let events = platform.client().events(&deployment.id).collect().await.unwrap();
    let mut attempts = 1;
    for event in &events {
        if let Some(again) = event.message.strip_prefix("building again") {
            let number = again.strip_prefix(": attempt ").and_then(|rest| rest.split(' ').next());
            let number: u64 = number.and_then(|number| number.parse().ok()).expect("which attempt it is");
            assert!(number > attempts && number <= 3, "an attempt that is not the next one: {events:?}");
            attempts = number;
        }
    }
    let times = |state| events.iter().filter(|event| event.state == state).count();
    assert!(times(DeploymentState::Live) <= 1, "live more than once: {events:?}");
    let deploying: Vec<_> = events.iter().filter(|event| event.state == DeploymentState::Deploying).collect();
    assert!(deploying.len() <= 1, "two artefacts: {events:?}");
    let after = deploying.first().map_or(u64::MAX, |event| event.seq);
    let late = events.iter().filter(|event| event.seq > after && event.state == DeploymentState::Building).count();
    assert_eq!(late, 0, "built again after it was built: {events:?}");
    attempts - 1
}

async fn send(platform: &Platform, entry: &mut Entry, acknowledged: &mut Acknowledged) {
    let body = match entry.is_built {
        false => Tar::new().file("index.html", &entry.page),
        true => Tar::new()
            .file("package.json", "{}")
            .file("build.js", projects::page(&entry.page))
            .file("skylift.toml", "[build]\ninstall = \"\"\ncommand = \"node build.js\"\noutput = \"dist\"\n"),
    };
    let body = body.gzip();
    let request = Request::post(&format!("/v1/apps/{}/deployments", entry.app)).body(body);
    let request = request.host("localhost").token(&platform.token()).header("idempotency-key", &entry.key);
    let Some(answer) = request.try_send(platform.address()).await else { return };
    assert_eq!(answer.status, 202, "{}", answer.brief());
    let deployment: Deployment = serde_json::from_value(answer.json()).unwrap();
    acknowledged.note(&entry.app, &deployment.id, &entry.page);
    entry.id = Some(deployment.id);
}

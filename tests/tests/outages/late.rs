//! A builder that comes back too late, and one whose clock is wrong (threats 82 and 87).

use rustix::process::Signal;
use skylift_model::{DeploymentId, DeploymentState};
use skylift_tests::random::rounds;
use skylift_tests::spread::OwnStores;
use skylift_tests::{Folder, Platform, projects, site, skip, wait};

/// A project whose result is another one each time it is built.
fn never_the_same(ms: u64, marker: &str) -> Folder {
    let write = "const fs = require('fs'); fs.mkdirSync('dist'); \
                 fs.writeFileSync('dist/index.html', 'built ' + process.hrtime.bigint());";
    let script = format!("console.log('started'); setTimeout(() => {{ {write} }}, {ms});");
    projects::node_with_command(&script, &format!("node build.js {marker}-{}", std::process::id()))
}

/// What was told of a deployment, in order.
async fn told(platform: &Platform, id: &DeploymentId) -> Vec<(DeploymentState, String)> {
    let events = platform.client().events(id).collect().await.unwrap();
    events.into_iter().map(|event| (event.state, event.message)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_stopped_for_longer_than_its_lease_commits_nothing_when_it_goes_on() {
    let name = "a_builder_stopped_for_longer_than_its_lease_commits_nothing_when_it_goes_on";
    // It takes as long as a lease: the simulation tries it in every run.
    if rounds(0, 1) == 0 || !skip::unless_node(name) {
        return;
    }
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    let id = platform.app("shop").await.begin(&never_the_same(2000, "late")).await.id;
    platform.existing("shop").logs_line(&id, "started").await;
    platform.signal_role("build", Signal::STOP);
    let key = platform.data().join("master-key");
    let mut other = Platform::prepared_worker(stores.postgres.url(), &stores.settings(), &key);
    other.up().await;
    let app = platform.existing("shop");
    assert_eq!(app.settled(&id).await.state, DeploymentState::Live, "somebody else has taken it");
    let is_served = async || Some(app.get("/").await.brief()).filter(|page| page.starts_with("200 built"));
    let page = wait::until("it is served", is_served).await;
    let before = told(&platform, &id).await;
    assert!(before.iter().any(|(_, message)| message.contains("building again: attempt 2")), "{before:?}");

    platform.signal_role("build", Signal::CONT);
    // What it had built meanwhile is nobody's.
    let has_ended = async || platform.log().contains(r#""result":"cancelled""#).then_some(());
    wait::until("the late one has ended", has_ended).await;
    assert_eq!(told(&platform, &id).await, before, "it has changed nothing");
    assert_eq!(platform.existing("shop").get("/").await.brief(), page);
    // And it is of use again.
    other.stop().await;
    platform.existing("shop").deploy(&never_the_same(0, "again")).await;
}

/// The library that shows a process another time, where it is installed.
fn faketime(test: &str) -> Option<String> {
    let folders = std::fs::read_dir("/usr/lib").unwrap();
    let library =
        folders.map(|entry| entry.unwrap().path().join("faketime/libfaketime.so.1")).find(|path| path.exists());
    match library {
        Some(library) => Some(library.to_str().unwrap().to_owned()),
        None => skip::unless_program(test, "faketime").then(String::new),
    }
}

/// Builds of two builders, and the clock of one jumps; how many were begun anew.
async fn builds_begun_anew(test: &str, jumps: &[&str], weaken: Option<&str>) -> Option<usize> {
    let library = faketime(test).filter(|_| skip::unless_node(test))?;
    let stores = OwnStores::start(test).await?;
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    let key = platform.data().join("master-key");
    let mut other = Platform::prepared_worker(stores.postgres.url(), &stores.settings(), &key);
    let clock = tempfile::NamedTempFile::new().unwrap();
    let file = clock.path().to_str().unwrap().to_owned();
    for (name, value) in [
        ("LD_PRELOAD", library.as_str()),
        ("FAKETIME_TIMESTAMP_FILE", &file),
        ("FAKETIME_NO_CACHE", "1"),
        // Time that passes is not what a wrong clock changes.
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
    ] {
        other.set_environment(name, value);
    }
    if let Some(weaken) = weaken {
        other.set_environment("SKYLIFT_CRASH_WEAKEN", weaken);
    }
    std::fs::write(clock.path(), "+0").unwrap();
    other.up().await;
    let mut anew = 0;
    for (round, jump) in jumps.iter().enumerate() {
        // Both have work, then the clock of one jumps; it looks after everybody's leases every five seconds.
        let mut begun = Vec::new();
        for number in 0..2 {
            let app = platform.app(&format!("app-{round}-{number}")).await;
            begun
                .push((app.name.clone(), app.begin(&never_the_same(6000, &format!("jump-{round}-{number}"))).await.id));
        }
        let (first, id) = &begun[0];
        platform.existing(first.as_str()).logs_line(id, "started").await;
        std::fs::write(clock.path(), jump).unwrap();
        for (app, id) in &begun {
            let state = platform.existing(app.as_str()).settled(id).await.state;
            assert!(state == DeploymentState::Live || weaken.is_some(), "{jump}: {state}");
            anew += told(&platform, id).await.iter().filter(|(_, message)| message.contains("building again")).count();
        }
    }
    let days: std::collections::BTreeSet<String> = other
        .log()
        .lines()
        .filter_map(|line| Some(line.split_once(r#""timestamp":""#)?.1.get(..10)?.to_owned()))
        .collect();
    assert!(days.len() > 1, "control: its clock did jump: {days:?}");
    platform.app("afterwards").await.deploy(&site("afterwards")).await;
    Some(anew)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_whose_clock_jumps_takes_nothing_from_others_and_loses_nothing() {
    let name = "a_builder_whose_clock_jumps_takes_nothing_from_others_and_loses_nothing";
    let all = ["+1d", "-1h", "+0"];
    let jumps = if rounds(0, 1) == 0 { &all[..2] } else { &all };
    let anew = builds_begun_anew(name, jumps, None).await;
    assert!(anew.is_none_or(|anew| anew == 0), "{anew:?}");
}

/// Where each process goes by its own clock, the leases of others seem to have ended.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn control_a_builder_that_goes_by_its_own_clock_takes_work_from_others() {
    let name = "control_a_builder_that_goes_by_its_own_clock_takes_work_from_others";
    if rounds(0, 1) == 1 {
        let anew = builds_begun_anew(name, &["+1d"], Some("no-server-time")).await;
        assert!(anew.is_none_or(|anew| anew > 0), "{anew:?}");
    }
}

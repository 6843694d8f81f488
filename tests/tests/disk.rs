//! A full disk, by bytes and by files, one that cannot be written to, and one that dies (threats 90 to 92).

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use serde_json::{Value, json};
use skylift_model::DeploymentState;
use skylift_model::wire::Deployment;
use skylift_tests::acknowledged::Acknowledged;
use skylift_tests::archive::Tar;
use skylift_tests::cli::run;
use skylift_tests::random::Random;
use skylift_tests::steady::Steady;
use skylift_tests::{Folder, Platform, Request, site, skip, wait};
use tempfile::TempDir;

/// A small disk, in memory; unmounted when it is dropped.
struct Disk(TempDir);

impl Disk {
    fn mounted(options: &str) -> Self {
        let folder = TempDir::with_prefix("skylift-disk-").unwrap();
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(folder.path()).status();
        assert!(mounted.unwrap().success());
        Self(folder)
    }

    fn remount(&self, options: &str) {
        let options = format!("remount,{options}");
        assert!(Command::new("mount").args(["-o", &options]).arg(self.0.path()).status().unwrap().success());
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    /// Fills all of it but `left` bytes.
    fn fill(&self, left: u64) {
        let space = rustix::fs::statvfs(self.0.path()).unwrap();
        let free = space.f_bavail * space.f_frsize;
        let ballast = vec![1; usize::try_from(free.saturating_sub(left)).unwrap()];
        std::fs::write(self.0.path().join("ballast"), ballast).unwrap();
    }

    /// Makes files until no more can be made; returns how many.
    fn crowd(&self) -> u32 {
        (0..).find(|number| File::create(self.0.path().join(format!("file-{number}"))).is_err()).unwrap()
    }

    fn make_room(&self, made: u32) {
        for number in 0..made {
            std::fs::remove_file(self.0.path().join(format!("file-{number}"))).unwrap();
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.0.path().join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: what still runs on it is about to be killed.
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).status();
    }
}

#[tokio::test]
async fn a_full_disk_refuses_uploads_and_serves_rolls_back_and_deletes() {
    if !skip::unless_root("a_full_disk_refuses_uploads_and_serves_rolls_back_and_deletes") {
        return;
    }
    let disk = Disk::mounted("size=64m,mode=0755");
    let reserve = "[keep]\nreserve_bytes = 8388608\n";
    let platform = Platform::in_folder(TempDir::new().unwrap(), disk.data(), reserve).await;
    let app = platform.app("full").await;
    app.deploy(&site("one")).await;
    app.deploy(&site("two")).await;
    platform.app("other").await.deploy(&site("other")).await;

    disk.fill(4 << 20);
    let ran = app.cli_deploy(&site("three"), &[]).await.ends_with(5);
    assert!(ran.stderr.contains("disk is full") && ran.stderr.contains("hint:"), "{}", ran.stderr);
    app.post_archive(Tar::new().file("index.html", "four").gzip()).await.is_error(507, "out_of_space");
    assert_eq!(platform.send(Request::get("/readyz").host("localhost")).await.status, 503);
    let status = platform.client().status().await.unwrap();
    assert!(!status.healthy && status.problems[0].contains("disk is full"), "{:?}", status.problems);

    assert_eq!(app.get("/").await.brief(), "200 two", "serving goes on");
    app.roll_back().await;
    assert_eq!(app.get("/").await.brief(), "200 one", "rolling back works");
    platform.cli(&["apps"]).await.ok();
    platform.cli(&["rm", "other", "--yes"]).await.ok();
    platform.cli(&["gc"]).await.ok();

    disk.free();
    app.deploy(&site("five")).await;
    assert_eq!(app.get("/").await.brief(), "200 five", "it works again without a restart");
    assert_eq!(platform.send(Request::get("/readyz").host("localhost")).await.status, 200);
}

#[tokio::test]
async fn a_disk_with_no_byte_left_is_told_and_overcome() {
    if !skip::unless_root("a_disk_with_no_byte_left_is_told_and_overcome") {
        return;
    }
    let disk = Disk::mounted("size=64m,mode=0755");
    // Without a reserve, every write itself meets the end of the disk.
    let platform = Platform::in_folder(TempDir::new().unwrap(), disk.data(), "[keep]\nreserve_bytes = 0\n").await;
    let app = platform.app("brim").await;
    app.deploy(&site("one")).await;
    let queues_are_empty = async || {
        let queues = platform.client().status().await.unwrap().queues;
        queues.iter().all(|queue| queue.ready + queue.leased == 0).then_some(())
    };
    wait::until("the first deploy is committed to Git too", queues_are_empty).await;
    disk.fill(0);
    for number in 0..20 {
        let large = (0..5000).map(|n| format!("{number} {n} ")).collect::<String>();
        let answer = app.post_archive(Tar::new().file("index.html", large).gzip()).await;
        answer.is_error(507, "out_of_space");
    }
    assert_eq!(app.get("/").await.brief(), "200 one");
    disk.free();
    app.deploy(&site("two")).await;
    assert_eq!(app.get("/").await.brief(), "200 two");
}

#[tokio::test]
async fn a_disk_on_which_no_more_files_can_be_made_is_told_and_overcome() {
    if !skip::unless_root("a_disk_on_which_no_more_files_can_be_made_is_told_and_overcome") {
        return;
    }
    let disk = Disk::mounted("size=256m,nr_inodes=20000,mode=0755");
    let platform = Platform::in_folder(TempDir::new().unwrap(), disk.data(), "[keep]\nreserve_bytes = 1048576\n").await;
    let app = platform.app("crowded").await;
    app.deploy(&site("one")).await;
    app.deploy(&site("two")).await;
    let client = platform.client();
    wait::until("every job is done", async || client.jobs(None).await.unwrap().is_empty().then_some(())).await;
    let steady = Steady::begin(platform.address(), app.host(), "two");

    let made = disk.crowd();
    assert!(
        made > 1000 && rustix::fs::statvfs(disk.0.path()).unwrap().f_bavail > 1000,
        "control: there is room for bytes"
    );
    for number in 0..20 {
        let answer = app.post_archive(Tar::new().file("index.html", format!("page {number}")).gzip()).await;
        answer.is_error(507, "out_of_space");
    }
    let status = client.status().await.unwrap();
    assert!(!status.healthy && status.problems.iter().any(|problem| problem.contains("disk")), "{:?}", status.problems);
    let told = steady.end().await;
    assert!(told.wrong.is_empty() && told.unanswered == 0 && !told.answers.is_empty(), "{told:?}");
    app.roll_back().await;
    assert_eq!(app.get("/").await.brief(), "200 one", "what is there goes live without a new file");

    disk.make_room(made);
    app.deploy(&site("three")).await;
    assert_eq!(app.get("/").await.brief(), "200 three", "it works again without a restart");
    wait::until("it is well", async || client.status().await.unwrap().healthy.then_some(())).await;
}

#[tokio::test]
async fn a_full_disk_takes_no_run_that_is_kept_and_its_key_is_changed_and_revoked() {
    if !skip::unless_root("a_full_disk_takes_no_run_that_is_kept_and_its_key_is_changed_and_revoked") {
        return;
    }
    let disk = Disk::mounted("size=64m,mode=0755");
    let mut platform =
        Platform::in_folder(TempDir::new().unwrap(), disk.data(), "[keep]\nreserve_bytes = 8388608\n").await;
    let made = platform.api(Request::post("/v1/keys").json(&json!({ "name": "runner", "scopes": ["runs"] }))).await;
    let (id, secret) =
        (made.json()["id"].as_str().unwrap().to_owned(), made.json()["key"].as_str().unwrap().to_owned());
    let run = |more: Value| {
        let mut run = json!({ "language": "bash", "source": "head -c 100000 /dev/zero | tr '\\0' x" });
        run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run
    };
    let ask = |target: &str, body: &Value| Request::post(target).host("localhost").token(&secret).json(body);
    let kept = || {
        [
            ask("/v1/runs", &run(json!({ "mode": "async" }))),
            ask("/v1/runs/batch", &json!([run(json!({}))])),
            ask("/v1/runs", &run(json!({ "ttl_s": 2_592_000 }))),
            ask("/v1/runs", &run(json!({ "mode": "stream", "ttl_s": 60 }))),
            ask("/v1/runs", &run(json!({}))).header("idempotency-key", "kept"),
        ]
    };
    disk.fill(4 << 20);
    for request in kept() {
        let refused = platform.send(request).await;
        refused.is_error(507, "out_of_space");
        assert!(refused.json()["error"]["hint"].as_str().unwrap().contains("sync"), "{}", refused.brief());
    }
    let ran = platform.send(ask("/v1/runs", &run(json!({})))).await;
    assert_eq!((ran.status, &ran.json()["status"]), (200, &json!("ok")), "what is kept nowhere goes on");

    platform.restart().await;
    let key = format!("/v1/keys/{id}");
    let changed = platform.api(Request::new("PATCH", &key).json(&json!({ "at_once": 1 }))).await;
    assert_eq!(changed.status, 200, "{}", changed.brief());
    assert_eq!(platform.api(Request::post("/v1/gc")).await.status, 200);
    disk.free();
    for request in kept() {
        let taken = platform.send(request).await;
        assert!(taken.status < 300, "control: with room it is taken: {}", taken.brief());
    }
    disk.fill(4 << 20);
    let revoked = platform.api(Request::new("DELETE", &key).header("idempotency-key", "end")).await;
    assert_eq!(revoked.status, 204, "{}", revoked.brief());
    assert_eq!(platform.send(ask("/v1/runs", &run(json!({})))).await.status, 401);
}

/// A source whose build runs `command` in a shell, with a file of that size that nothing shortens.
fn built_by(command: &str, size: usize) -> Folder {
    let mut random = Random::seeded();
    let noise: Vec<u8> = (0..size / 4).flat_map(|_| (random.below(1 << 32) as u32).to_le_bytes()).collect();
    let settings = format!("[build]\ncommand = '{command}'\noutput = \"dist\"\n");
    Folder::new().file("skylift.toml", settings).file("noise", noise)
}

const BUILT: &str = "mkdir dist && echo built > dist/index.html";

fn names_the_disk(deployment: &Deployment) {
    assert_eq!(deployment.state, DeploymentState::Failed);
    let failure = deployment.failure.as_ref().unwrap();
    assert_eq!(failure.message, "the disk of the platform's data folder is full");
    assert!(failure.hint.as_ref().is_some_and(|hint| hint.contains("then deploy again")), "{failure:?}");
}

#[tokio::test]
async fn a_build_that_meets_the_end_of_the_disk_names_it_at_once() {
    let name = "a_build_that_meets_the_end_of_the_disk_names_it_at_once";
    if !skip::unless_root(name) || !skip::unless_node(name) {
        return;
    }
    let disk = Disk::mounted("size=64m,mode=0755");
    // Without a reserve the writes themselves meet the end.
    let platform = Platform::in_folder(TempDir::new().unwrap(), disk.data(), "[keep]\nreserve_bytes = 0\n").await;
    let app = platform.app("brimming").await;
    app.deploy(&site("one")).await;

    // The user's command.
    names_the_disk(&app.attempt(&built_by("head -c 100000000 /dev/zero > large", 1 << 10)).await);
    assert_eq!(app.get("/").await.brief(), "200 one");

    // The builder itself, where it lays out the source: there is room for one copy of it, not for two.
    disk.fill(14 << 20);
    let source = built_by(BUILT, 8 << 20);
    names_the_disk(&app.attempt(&source).await);

    disk.free();
    app.deploy(&source).await;
    assert_eq!(app.get("/").await.brief(), "200 built");
}

#[tokio::test]
async fn a_data_folder_that_cannot_be_written_to_is_told_at_the_start() {
    if !skip::unless_root("a_data_folder_that_cannot_be_written_to_is_told_at_the_start") {
        return;
    }
    let disk = Disk::mounted("size=16m,mode=0755");
    disk.remount("ro");
    let data = disk.data();
    let ran = run(&["up", "--data", data.to_str().unwrap(), "--listen", "127.0.0.1:0"]).await;
    assert!(ran.exit != 0 && ran.stdout.is_empty(), "{ran:?}");
    assert!(ran.stderr.contains(data.to_str().unwrap()) && ran.stderr.contains("Read-only"), "{}", ran.stderr);
}

/// A disk that dies for good: every sync fails from some moment on.
#[tokio::test]
async fn a_disk_whose_syncs_all_fail_is_told_sites_are_served_and_the_next_start_is_clean() {
    let mut platform = Platform::start().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    platform.app("busy").await;
    platform.stop().await;
    platform.set_environment("SKYLIFT_FAIL_AT", &format!("60-{}:eio", u64::MAX));
    platform.up().await;
    let app = platform.existing("busy");
    let (mut accepted, mut refused) = (Vec::new(), 0);
    for number in 0.. {
        let answer = app.post_archive(Tar::new().file("index.html", format!("page {number}")).gzip()).await;
        if answer.status == 202 {
            let deployment: Deployment = serde_json::from_value(answer.json()).unwrap();
            accepted.push((deployment.id, format!("200 page {number}")));
            continue;
        }
        let error = &answer.json()["error"];
        assert!(
            answer.status >= 500 && error["hint"].as_str().is_some_and(|hint| !hint.is_empty()),
            "{}",
            answer.brief()
        );
        assert_eq!(platform.existing("steady").get("/").await.brief(), "200 steady");
        refused += 1;
        if refused == 10 {
            break;
        }
    }
    assert!(!accepted.is_empty(), "control: the disk was well at first");

    platform.kill().await;
    platform.clear_environment();
    platform.up().await;
    let app = platform.existing("busy");
    for (id, _) in &accepted {
        assert!(app.settled(id).await.state != DeploymentState::Failed, "it was acknowledged");
    }
    let (newest, page) = accepted.last().unwrap();
    assert_eq!(app.live().await.as_ref(), Some(newest));
    let is_served = async || (app.get("/").await.brief() == *page).then_some(());
    wait::until("the last that was acknowledged is served", is_served).await;
    app.deploy(&site("goes on")).await;
}

/// Sends the same page again and again, so that only rows are written, while no step succeeds from some moment on; then
/// starts it again on a disk that is well. What was acknowledged, and what of it is lost.
async fn lost_where_no_commit_succeeds(weaken: Option<&str>) -> (usize, Vec<String>) {
    let mut platform = Platform::start().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    platform.app("busy").await.deploy(&site("page")).await;
    platform.stop().await;
    platform.set_environment("SKYLIFT_FAIL_AT", &format!("40-{}:enospc", u64::MAX));
    if let Some(weaken) = weaken {
        platform.set_environment("SKYLIFT_CRASH_WEAKEN", weaken);
    }
    platform.up().await;
    let mut acknowledged = Acknowledged::default();
    let mut count = 0;
    for number in 0..30 {
        let key = format!("key-{number}");
        let body = Tar::new().file("index.html", "page").gzip();
        let request = Request::post("/v1/apps/busy/deployments").header("idempotency-key", &key).body(body);
        let answer = platform.api(request).await;
        if answer.status == 202 {
            let deployment: Deployment = serde_json::from_value(answer.json()).unwrap();
            acknowledged.note("busy", &deployment.id, "page");
            count += 1;
        } else {
            answer.is_error(507, "out_of_space");
            assert_eq!(platform.existing("steady").get("/").await.brief(), "200 steady");
        }
    }
    platform.kill().await;
    platform.clear_environment();
    platform.up().await;
    (count, acknowledged.lost(&platform).await)
}

#[tokio::test]
async fn what_cannot_be_committed_for_want_of_space_is_not_acknowledged() {
    let (acknowledged, lost) = lost_where_no_commit_succeeds(None).await;
    assert!(acknowledged > 0, "control: the disk was well at first");
    assert!(lost.is_empty(), "{lost:#?}");
}

#[tokio::test]
async fn control_a_full_disk_loses_what_was_acknowledged_before_the_commit() {
    let (_, lost) = lost_where_no_commit_succeeds(Some("no-commit")).await;
    assert!(!lost.is_empty(), "nothing was lost");
}

/// A platform with an app, whose disk is well up to some step from the start on.
async fn on_a_disk_that_is(fault: &str) -> Platform {
    let mut platform = Platform::start().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    platform.app("busy").await;
    platform.stop().await;
    platform.set_environment("SKYLIFT_FAIL_AT", fault);
    platform.up().await;
    platform
}

#[tokio::test]
async fn a_disk_that_fails_is_told_as_such_and_as_well_once_it_is_without_a_deploy() {
    let platform = on_a_disk_that_is("60-90:eio").await;
    let status = async || platform.client().status().await.unwrap();
    assert!(status().await.healthy, "control: it is well at first");
    let app = platform.existing("busy");
    for number in 0.. {
        let answer = app.post_archive(Tar::new().file("index.html", format!("page {number}")).gzip()).await;
        if answer.status != 202 {
            break;
        }
    }
    let told = status().await;
    let says = |words: &str| told.problems.iter().any(|problem| problem.contains(words));
    assert!(!told.healthy && says("fails") && says("os error 5") && says("dmesg"), "{:?}", told.problems);
    let ran = platform.cli(&["status"]).await.ok();
    assert!(ran.stdout.contains("NOT healthy") && ran.stdout.contains("the disk of the data folder fails"), "{ran:?}");
    let ready = platform.send(Request::get("/readyz").host("localhost")).await;
    assert_eq!(ready.brief(), "503 the disk fails");
    assert_eq!(platform.existing("steady").get("/").await.brief(), "200 steady");

    wait::until("it is well again", async || status().await.healthy.then_some(())).await;
    assert_eq!(platform.send(Request::get("/readyz").host("localhost")).await.status, 200);
    app.deploy(&site("goes on")).await;
}

#[tokio::test]
async fn a_slow_disk_is_told_as_degraded_and_as_well_once_it_is() {
    let platform = on_a_disk_that_is("30-90:slow").await;
    platform.existing("busy").deploy(&site("late")).await;
    let told = platform.client().status().await.unwrap();
    assert!(told.healthy && told.problems.iter().any(|problem| problem.contains("slow")), "{:?}", told.problems);
    let ran = platform.cli(&["status"]).await.ok();
    assert!(ran.stdout.contains("degraded") && ran.stdout.contains("iostat"), "{ran:?}");
    assert_eq!(platform.send(Request::get("/readyz").host("localhost")).await.status, 200);

    let is_well = async || platform.client().status().await.unwrap().problems.is_empty().then_some(());
    wait::until("it is well again", is_well).await;
}

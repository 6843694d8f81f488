//! Git servers that stall, never end, break off or point elsewhere (threat 16): each clone ends within its limits, says
//! why, leaves nothing, and the queue moves on.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::time::{Duration, Instant};

use skylift_model::wire::{Deployment, Failure, GitSource};
use skylift_model::{DeploymentState, source::Source};
use skylift_tests::git::hostile::{Hostile, Manner};
use skylift_tests::git::pack::{Packed, Zeros};
use skylift_tests::{App, Platform, process, site, skip, wait};

/// A bound for what must not take for ever, on a machine that does other things too.
const BOUNDED: Duration = Duration::from_secs(120);
const ONE_BUILDER: &str = "[build]\nconcurrency = 1\n";

async fn deploy(app: &App<'_>, url: &str) -> Deployment {
    let source = GitSource { url: url.to_owned(), branch: None, token: None, deploy_key: None };
    let accepted = app.platform.client().deploy_git(&app.name, source, None).await.unwrap();
    app.settled(&accepted.id).await
}

/// Deploys from a server that must not get its way; `limits` are settings of `[build.git]`.
async fn refused(server: &Hostile, build: &str, limits: &str) -> (Failure, String) {
    let platform = Platform::configured(&format!("{ONE_BUILDER}{build}\n{}", server.settings(limits))).await;
    let app = platform.app("hostile").await;
    app.deploy(&site("live")).await;
    let began = Instant::now();
    let failed = deploy(&app, &server.url()).await;
    assert!(began.elapsed() < BOUNDED, "{:?}", began.elapsed());
    assert_eq!(failed.state, DeploymentState::Failed);
    let gone = async || process::with_marker(&server.url()).is_empty().then_some(());
    wait::until("nothing of the clone runs", gone).await;
    assert_eq!(std::fs::read_dir(platform.data().join("builds/work")).unwrap().count(), 0, "nothing of it is left");
    let resident = platform.client().status().await.unwrap().memory.resident_bytes;
    assert!(resident < 256 << 20, "{resident} bytes");
    assert_eq!(app.get("/").await.brief(), "200 live");
    // The only builder is free again.
    platform.app("next").await.deploy(&site("next")).await;
    app.deploy(&site("goes on")).await;
    let failure = failed.failure.unwrap();
    assert_eq!(failure.step, "fetch", "{failure:?}");
    assert!(failure.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{failure:?}");
    let log = app.log(&failed.id).await;
    (failure, log)
}

/// The control of a limit: without it, the server's pack is taken. What becomes of its files takes long, and is not
/// waited for.
async fn is_cloned(server: &Hostile) {
    let platform = Platform::configured(&server.settings("")).await;
    let app = platform.app("control").await;
    let source = GitSource { url: server.url(), branch: None, token: None, deploy_key: None };
    let accepted = platform.client().deploy_git(&app.name, source, None).await.unwrap();
    app.logs_line(&accepted.id, "by Ada Example").await;
}

/// On a slow machine the time is over before the memory is.
fn is_memory_or_time(failure: &Failure) -> bool {
    failure.message.contains("memory") || failure.message.starts_with("time limit:")
}

fn packed() -> Packed {
    Packed::of(&site("served"))
}

fn unable(test: &str) -> bool {
    !skip::unless_program(test, "git")
}

#[tokio::test]
async fn the_server_that_is_honest_is_cloned_from() {
    if unable("the_server_that_is_honest_is_cloned_from") {
        return;
    }
    let packed = packed();
    let server = Hostile::start(Manner::Honest(packed.clone())).await;
    let platform = Platform::configured(&server.settings("")).await;
    let app = platform.app("honest").await;
    let deployment = deploy(&app, &server.url()).await;
    assert_eq!(deployment.state, DeploymentState::Live, "{:?}", deployment.failure);
    assert!(matches!(deployment.source, Source::Git { commit: Some(commit), .. } if commit.hash == packed.commit));
    assert_eq!(app.get("/").await.brief(), "200 served");
}

#[tokio::test]
async fn a_server_that_stalls_is_given_up() {
    if unable("a_server_that_stalls_is_given_up") {
        return;
    }
    let server = Hostile::start(Manner::Stall).await;
    let (failure, _) = refused(&server, "", "stall_seconds = 2").await;
    assert!(failure.message.contains("next to nothing for 2 s"), "{failure:?}");
    assert_eq!(server.times_asked(), 1, "it is not asked again");
}

#[tokio::test]
async fn a_server_that_drips_is_given_up() {
    if unable("a_server_that_drips_is_given_up") {
        return;
    }
    let server = Hostile::start(Manner::Drip(packed())).await;
    let (failure, _) = refused(&server, "", "stall_seconds = 2").await;
    assert!(failure.message.contains("next to nothing for 2 s"), "{failure:?}");
    // Where nobody minds slowness, the clone as a whole has its time.
    let (failure, _) = refused(&server, "", "stall_seconds = 600\nclone_seconds = 3").await;
    assert!(failure.message.starts_with("time limit:") && failure.message.contains("3 s"), "{failure:?}");
    assert!(failure.hint.unwrap().contains("clone_seconds"));
}

#[tokio::test]
async fn a_pack_without_end_meets_the_limit_for_what_is_written() {
    if unable("a_pack_without_end_meets_the_limit_for_what_is_written") {
        return;
    }
    let server = Hostile::start(Manner::EndlessPack(packed())).await;
    let (failure, _) = refused(&server, "", "clone_bytes = 50000000").await;
    assert!(failure.message.contains("disk limit: more than 47.7 MiB"), "{failure:?}");
    assert!(failure.hint.unwrap().contains("clone_bytes"));
}

#[tokio::test]
async fn zeros_that_are_small_when_packed_meet_a_limit_before_they_are_written() {
    if unable("zeros_that_are_small_when_packed_meet_a_limit_before_they_are_written") {
        return;
    }
    let small = Packed::zeros(Zeros::Mib64);
    assert!(small.pack.len() < 1 << 20, "{} bytes", small.pack.len());
    let server = Hostile::start(Manner::Honest(small)).await;
    let (failure, _) =
        refused(&server, "[build.source]\nfiles_max = 9\nbytes_max = 100000000\nfile_bytes_max = 50000000", "").await;
    assert_eq!(failure.message, "`zeros` has 67108864 bytes; a file may have 50000000");
    // With the limit off, the same pack is taken.
    is_cloned(&server).await;
}

#[tokio::test]
async fn ten_gigabytes_in_a_small_pack_meet_the_time_limit_with_little_memory() {
    if unable("ten_gigabytes_in_a_small_pack_meet_the_time_limit_with_little_memory") {
        return;
    }
    let bomb = Packed::zeros(Zeros::Gib10);
    assert!(bomb.pack.len() < 16 << 20, "{} bytes", bomb.pack.len());
    let server = Hostile::start(Manner::Honest(bomb)).await;
    let (failure, _) = refused(&server, "memory_bytes = 268435456", "clone_seconds = 3").await;
    assert!(failure.message.starts_with("time limit:"), "{failure:?}");
}

#[tokio::test]
async fn deltas_that_stand_for_terabytes_meet_a_limit() {
    if unable("deltas_that_stand_for_terabytes_meet_a_limit") {
        return;
    }
    let server = Hostile::start(Manner::Honest(Packed::deltas(10_000))).await;
    let (failure, _) = refused(&server, "memory_bytes = 134217728", "clone_seconds = 20").await;
    assert!(is_memory_or_time(&failure), "{failure:?}");
    let (failure, _) = refused(&server, "", "clone_seconds = 3").await;
    assert!(failure.message.starts_with("time limit:"), "{failure:?}");
    // A pack of the same kind with few deltas is good.
    let few = Hostile::start(Manner::Honest(Packed::deltas(1))).await;
    is_cloned(&few).await;
}

#[tokio::test]
async fn a_million_refs_are_borne_and_refs_without_end_meet_a_limit() {
    if unable("a_million_refs_are_borne_and_refs_without_end_meet_a_limit") {
        return;
    }
    let many = Hostile::start(Manner::Refs(packed(), 1_000_000)).await;
    let platform = Platform::configured(&many.settings("")).await;
    let app = platform.app("million").await;
    let borne = deploy(&app, &many.url()).await;
    assert_eq!(borne.state, DeploymentState::Live, "{:?}", borne.failure);
    let endless = Hostile::start(Manner::Refs(packed(), u64::MAX)).await;
    let (failure, _) = refused(&endless, "memory_bytes = 134217728", "clone_seconds = 20").await;
    assert!(is_memory_or_time(&failure), "{failure:?}");
}

#[tokio::test]
async fn a_redirect_to_a_private_address_leads_nowhere() {
    if unable("a_redirect_to_a_private_address_leads_nowhere") {
        return;
    }
    let metadata = Hostile::start(Manner::Redirect("http://169.254.169.254/latest".to_owned())).await;
    let (failure, log) = refused(&metadata, "", "stall_seconds = 5").await;
    assert!(failure.message.contains("may not be reached"), "{failure:?}");
    assert!(log.contains("169.254.169.254"), "what was refused is told: {log}");

    let inside = Hostile::start(Manner::Honest(packed())).await;
    let pointing = Hostile::start(Manner::Redirect(inside.url())).await;
    let (failure, _) = refused(&pointing, "", "stall_seconds = 5").await;
    assert!(failure.message.contains("may not be reached"), "{failure:?}");
    assert_eq!(inside.times_asked(), 0, "nobody came");
    // Where the owner allows both addresses, the redirect is followed.
    let both = pointing.settings("").replace("allow = [", &format!("allow = [\"{}\", ", inside.address()));
    let platform = Platform::configured(&both).await;
    let control = deploy(&platform.app("control").await, &pointing.url()).await;
    assert_eq!(control.state, DeploymentState::Live, "{:?}", control.failure);
    assert!(inside.times_asked() > 0);
}

#[tokio::test]
async fn a_server_that_fails_or_breaks_off_is_tried_once_more() {
    if unable("a_server_that_fails_or_breaks_off_is_tried_once_more") {
        return;
    }
    for manner in [Manner::Status(500), Manner::Status(503), Manner::CutPack(packed())] {
        let server = Hostile::start(manner).await;
        let (failure, log) = refused(&server, "", "").await;
        assert!(failure.message.contains("cannot be reached, or broke off"), "{failure:?}");
        assert!(log.contains("trying once more"), "{log}");
        assert_eq!(server.times_asked(), 2);
    }
    let denied = Hostile::start(Manner::Status(403)).await;
    let (failure, _) = refused(&denied, "", "").await;
    assert!(failure.message.contains("credentials"), "{failure:?}");
    assert_eq!(denied.times_asked(), 1, "what will not pass is not tried again");
}

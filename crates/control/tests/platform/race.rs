//! Clean-up and a rollback to what it is about to take, at the same time.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use skylift_control::cleanup::{Cleanup, Keep};
use skylift_model::site::Site;
use skylift_model::{Clock, DeploymentId};
use skylift_store::{Once, StoreError};

use crate::{Platform, app};

/// How often they race, and how often with `SKYLIFT_SOAK=1`.
const ROUNDS: [u64; 2] = [50, 1000];
const DOCUMENT_MAX: u64 = 1 << 20;

/// How the rollback ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rollback {
    /// It is live again.
    Won,
    /// It was gone.
    Lost,
}

/// One race: three deployments, of which clean-up keeps the live one and one more, while the oldest is gone back to.
async fn race(platform: &Platform, round: u64) -> Result<Rollback, String> {
    let page = |n: u64| format!("round {round}, page {n}");
    let oldest = platform.deploy(&[("index.html", &page(0)), ("same", "shared")]).await;
    for n in 1..3 {
        platform.deploy(&[("index.html", &page(n)), ("same", "shared")]).await;
    }
    let store = &platform.queue.store;
    for (upload, ..) in store.uncommitted_uploads(app()).await.unwrap() {
        store.set_git_commit(upload, "c0ffee".to_owned(), None).await.unwrap();
    }
    // Late enough for uploads to be forgotten, so that nothing but deployments keeps blobs.
    let later = platform.queue.clock.now().plus(Duration::from_secs(25 * 3600));
    let cleanup = Cleanup { clock: Clock::new(move || later), ..platform.cleanup() };
    let keep = Keep { deployments: 1, bytes: u64::MAX, grace: Duration::ZERO };
    // In turns one of them begins later, by up to some milliseconds: the moment is what is tried, nothing waits for it.
    let moment = Duration::from_micros(round / 2 * 7919 % 6000);
    let (clean_after, roll_after) =
        if round.is_multiple_of(2) { (moment, Duration::ZERO) } else { (Duration::ZERO, moment) };
    let cleaning = tokio::spawn(async move {
        wait(clean_after).await;
        cleanup.run(keep).await
    });
    let (rolling, target, now) = (store.clone(), oldest.clone(), platform.queue.clock.now());
    let rollback = tokio::spawn(async move {
        wait(roll_after).await;
        rolling.roll_back(app(), Some(target), Once::default(), now).await
    });
    let (cleaned, rolled) = tokio::join!(cleaning, rollback);
    cleaned.unwrap().map_err(|error| format!("clean-up failed: {error:#}"))?;
    let ended = match rolled.unwrap() {
        Ok(_) => Rollback::Won,
        Err(StoreError::NotFound(_)) => Rollback::Lost,
        Err(error) => return Err(format!("the rollback failed: {error:?}")),
    };
    let live = store.app(app()).await.unwrap().live.ok_or("nothing is live")?;
    if (live == oldest) != (ended == Rollback::Won) {
        return Err(format!("the rollback has {ended:?}, and {live} is live"));
    }
    is_whole(platform, &live).await?;
    Ok(ended)
}

/// Waits, to the microsecond rather than to the timer's next millisecond.
async fn wait(moment: Duration) {
    let until = std::time::Instant::now() + moment;
    while std::time::Instant::now() < until {
        tokio::task::yield_now().await;
    }
}

/// Everything that a deployment names is there.
async fn is_whole(platform: &Platform, id: &DeploymentId) -> Result<(), String> {
    let row = platform.queue.store.deployment(id.clone()).await.map_err(|error| format!("{id} is live: {error}"))?;
    let get = async |digest| {
        let bytes = platform.blobs.get(digest, DOCUMENT_MAX).await.map_err(|error| error.to_string())?;
        bytes.ok_or_else(|| format!("{id} is live and {digest} is gone"))
    };
    let artifact = row.artifact.ok_or("live without an artifact")?;
    let document = get(&artifact).await?;
    let site: Site = serde_json::from_slice(&document).unwrap();
    for asset in site.files.values() {
        get(&asset.sha256).await?;
    }
    Ok(())
}

async fn platform() -> Platform {
    let memory = Path::new("/dev/shm");
    let folder = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    Platform::in_folder(folder.unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn a_rollback_to_what_clean_up_takes_is_whole_or_refused() {
    let [few, many] = ROUNDS;
    let rounds = if std::env::var("SKYLIFT_SOAK").is_ok_and(|soak| soak == "1") { many } else { few };
    let platform = platform().await;
    let mut won = 0;
    for round in 0..rounds {
        let ended = race(&platform, round).await.unwrap_or_else(|why| panic!("round {round}: {why}"));
        won += u64::from(ended == Rollback::Won);
    }
    assert!(won > 0 && won < rounds, "{won} of {rounds} rollbacks were in time: they did not race");
    eprintln!("figure: {rounds} races of clean-up with a rollback, {won} rollbacks in time");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the control lets it happen"]
async fn races_with_what_the_environment_leaves_out() {
    let platform = platform().await;
    for round in 0..600 {
        race(&platform, round).await.unwrap_or_else(|why| panic!("a race is lost: {why}"));
    }
}

/// Without a second look at what a deployment has become, clean-up takes one that is live by now.
#[test]
fn control_without_a_second_look_what_is_live_is_taken() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    again.args(["--exact", "race::races_with_what_the_environment_leaves_out", "--ignored", "--nocapture"]);
    let ran = again.env("SKYLIFT_CRASH_WEAKEN", "no-spare").output().unwrap();
    let told = String::from_utf8_lossy(&ran.stderr);
    assert!(!ran.status.success() && told.contains("a race is lost"), "nobody misses it: {told}");
}

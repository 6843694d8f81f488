//! What lasts: through deploys, rollbacks, ends and restarts.

use std::fs::File;
use std::path::Path;

use rustix::fs::FlockOperation;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::{skip, wait};

use super::keeper::{keeper, says};

#[tokio::test]
async fn what_is_written_is_there_after_deploys_rollbacks_ends_and_kills_and_never_has_two_writers() {
    let mut platform = Platform::start().await;
    let app = platform.app("shop").await;
    app.deploy(&keeper("one")).await;
    assert_eq!(says(&app, "/env?name=DATABASE_URL").await, "-");
    let made = platform.cli(&["db", "create", "main", "--app", "shop"]).await.ok();
    assert!(made.stderr.contains("DATABASE_URL"), "{}", made.stderr);
    assert_eq!(says(&app, "/env?name=DATABASE_URL").await, "sqlite:////data/main.db", "at once");
    let second = platform.cli(&["db", "create", "second", "--app", "shop", "--path", "/other"]).await.ok();
    assert!(second.stderr.contains("SECOND_URL") && !second.stderr.contains("DATABASE_URL"), "{}", second.stderr);
    assert_eq!(says(&app, "/env?name=DATABASE_URL").await, "sqlite:////data/main.db", "the older one has it");
    platform.cli(&["db", "rm", "second", "--app", "shop", "--yes"]).await.ok();

    says(&app, "/add?word=first").await;
    app.deploy(&keeper("two")).await;
    assert_eq!((says(&app, "/").await, says(&app, "/list").await), ("two".to_owned(), "first ".to_owned()));
    says(&app, "/add?word=second").await;
    app.roll_back().await;
    assert_eq!((says(&app, "/").await, says(&app, "/list").await), ("one".to_owned(), "first second ".to_owned()));
    let _ = app.send(Request::post("/die")).await;
    let next =
        wait::until("another instance", async || Some(app.get("/list").await).filter(|answer| answer.status == 200));
    assert_eq!(next.await.text(), "first second ");
    platform.cli(&["restart", "shop"]).await.ok();
    says(&app, "/add?word=third").await;

    platform.crash().await;
    let app = platform.existing("shop");
    assert_eq!(says(&app, "/list").await, "first second third ");
    assert!(platform.stop().await.success());
    platform.up().await;
    let app = platform.existing("shop");
    assert_eq!(says(&app, "/list").await, "first second third ");
    assert_eq!(says(&app, "/second").await, "");
}

/// Whether nobody has the volume behind a lock.
fn is_free(lock: &Path) -> bool {
    rustix::fs::flock(File::open(lock).unwrap(), FlockOperation::NonBlockingLockExclusive).is_ok()
}

#[tokio::test]
async fn nothing_starts_with_a_volume_while_anything_that_has_it_lives() {
    if !skip::unless_own_stores("locks of volumes") {
        return;
    }
    let mut platform = Platform::start().await;
    let app = platform.app("shop").await;
    let live = app.deploy(&keeper("one")).await;
    platform.cli(&["db", "create", "main", "--app", "shop"]).await.ok();
    let files = std::fs::read_dir(platform.data().join("volumes")).unwrap().map(|entry| entry.unwrap().path());
    let lock = files.into_iter().find(|path| path.extension().is_some_and(|end| end == "lock")).unwrap();
    assert!(!is_free(&lock), "its instance has it");

    platform.cli(&["scale", "shop", "0"]).await.ok();
    // At once, while its instance still ends.
    assert_eq!(platform.cli(&["run", "shop", "--", "echo", "alone"]).await.ok().stdout.trim(), "alone");
    wait::until("the volume is free", async || is_free(&lock).then_some(())).await;
    let held = File::open(&lock).unwrap();
    rustix::fs::flock(&held, FlockOperation::NonBlockingLockExclusive).unwrap();
    platform.cli(&["scale", "shop", "1"]).await.ok();
    app.logs_line(&live.id, "waits for `main`, which has one writer").await;
    let ready = async || platform.cli(&["ps", "shop"]).await.ok().stdout.contains("ready");
    assert!(!ready().await, "somebody else has it");
    drop(held);
    wait::until("an instance", async || ready().await.then_some(())).await;

    platform.kill().await;
    wait::until("nothing of the killed platform's has it", async || is_free(&lock).then_some(())).await;
    // What is lost is not taken for empty.
    let folder = lock.with_extension("");
    let aside = folder.with_extension("aside");
    std::fs::rename(&folder, &aside).unwrap();
    platform.up().await;
    let told =
        async || platform.cli(&["ps", "shop", "--why"]).await.ok().stdout.contains("of its volume `main` is gone");
    wait::until("it is told", async || told().await.then_some(())).await;
    assert!(!folder.exists());
    std::fs::rename(&aside, &folder).unwrap();
    assert_eq!(says(&platform.existing("shop"), "/").await, "one");
}

//! One writer is never two: what makes room for it, what is refused, and what shows a second one where it is borne.

use skylift_model::DeploymentState;
use skylift_tests::platform::Platform;
use skylift_tests::{skip, wait};

use super::keeper::{keeper, says};

#[tokio::test]
async fn a_second_writer_is_seen_where_it_is_borne() {
    // The control of every other test here: the same program, the same deploy, on a volume that bears many.
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    platform.cli(&["volume", "create", "files", "--app", "shop", "--shared"]).await.ok();
    app.deploy(&keeper("one")).await;
    platform.cli(&["scale", "shop", "2", "--min", "1", "--max", "3"]).await.ok();
    wait::until("a second writer", async || says(&app, "/second").await.contains("beat-").then_some(())).await;
    says(&app, "/add?word=first").await;
    app.deploy(&keeper("two")).await;
    assert_eq!(says(&app, "/list").await, "first ", "whichever instance answers");
}

#[tokio::test]
async fn more_than_one_instance_is_refused_in_either_order() {
    let platform = Platform::start().await;
    let (app, other) = (platform.app("shop").await, platform.app("other").await);
    app.deploy(&keeper("one")).await;
    other.deploy(&keeper("one")).await;
    platform.cli(&["scale", "other", "--min", "1", "--max", "3"]).await.ok();
    let refused = platform.cli(&["db", "create", "main", "--app", "other"]).await;
    assert_eq!(refused.exit, 5, "{}", refused.stderr);
    assert!(refused.stderr.contains("`main` has one writer: app `other` cannot have up to 3"), "{}", refused.stderr);
    assert!(refused.stderr.contains("skylift scale other --max 1"), "{}", refused.stderr);
    platform.cli(&["scale", "other", "--max", "1"]).await.ok();
    platform.cli(&["db", "create", "main", "--app", "other"]).await.ok();

    // Nobody said how many of this one there may be.
    platform.cli(&["db", "create", "main", "--app", "shop"]).await.ok();
    for arguments in [&["scale", "shop", "--max", "2"][..], &["scale", "shop", "2"]] {
        let refused = platform.cli(arguments).await;
        assert_eq!(refused.exit, 5, "{arguments:?}: {}", refused.stderr);
        assert!(refused.stderr.contains("`main` has one writer"), "{}", refused.stderr);
    }
    platform.cli(&["scale", "shop", "--min", "0", "--max", "1"]).await.ok();

    // A command of its owner's would be a second one, too.
    let count = ["run", "shop", "--", "sh", "-c", "ls /data | wc -l"];
    let refused = platform.cli(&count).await;
    assert!(
        refused.exit != 0 && refused.stderr.contains("skylift scale shop 0"),
        "{} {}",
        refused.stdout,
        refused.stderr
    );
    platform.cli(&["scale", "shop", "0"]).await.ok();
    wait::until("the volume is free", async || (platform.cli(&count).await.exit == 0).then_some(())).await;
}

#[tokio::test]
async fn a_release_command_has_it_alone_and_where_that_fails_the_old_version_goes_on() {
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    platform.cli(&["db", "create", "main", "--app", "shop"]).await.ok();
    let release = |version: &str, command: &str| {
        keeper(version).file("Procfile", format!("web: exec node server.js\nrelease: {command}\n"))
    };
    app.deploy(&release("one", "echo migrated >> /data/migrations")).await;
    app.deploy(&release("two", "echo migrated >> /data/migrations; sleep 0.3")).await;
    assert_eq!(says(&app, "/files?at=/data").await.matches("migrations").count(), 1);
    let failed = app.attempt(&release("three", "echo no; exit 7")).await;
    assert_eq!((failed.state, failed.failure.unwrap().step.as_str()), (DeploymentState::Failed, "release"));
    let broken = app.attempt(&keeper("four").file("server.js", "process.exit(4)")).await;
    assert_eq!(broken.state, DeploymentState::Failed);
    assert_eq!((says(&app, "/").await, says(&app, "/second").await), ("two".to_owned(), String::new()));

    let canary = app.attempt(&keeper("five").file("skylift.toml", "[rollout]\nstrategy = \"canary\"\n")).await;
    let failure = canary.failure.unwrap();
    assert_eq!(failure.step, "rollout");
    assert!(failure.message.contains("`main` has one writer, and canary"), "{failure:?}");
    let many = app.attempt(&keeper("six").file("skylift.toml", "[scale]\nmax = 3\n")).await;
    let failure = many.failure.unwrap();
    assert_eq!(failure.step, "rollout");
    assert!(failure.message.contains("cannot have up to 3 instances"), "{failure:?}");
    assert_eq!(says(&app, "/").await, "two", "what was live goes on");
}

#[tokio::test]
async fn nobody_else_reaches_a_volume_and_it_goes_only_when_its_owner_says_so() {
    if !skip::unless_own_stores("what is left of volumes") {
        return;
    }
    let platform = Platform::start().await;
    let (app, other) = (platform.app("shop").await, platform.app("other").await);
    for (app, data) in [(&app, "/data"), (&other, "/app/storage")] {
        app.deploy(&keeper("one")).await;
        let name = app.name.as_str();
        platform.cli(&["volume", "create", "files", "--app", name, "--path", data]).await.ok();
        says(app, &format!("/add?word={name}")).await;
    }
    assert_eq!((says(&app, "/list").await, says(&other, "/list").await), ("shop ".to_owned(), "other ".to_owned()));
    assert_eq!(app.get("/files?at=/data").await.status, 200, "the control");
    let volumes = platform.data().join("volumes");
    let theirs = std::fs::read_dir(&volumes).unwrap().map(|entry| entry.unwrap().path());
    for path in theirs.chain([volumes.clone(), "/data".into()]) {
        let answer = other.get(&format!("/files?at={}", path.display())).await;
        let (status, refusal) = (answer.status, answer.text());
        assert!(status == 403 && ["EACCES", "ENOENT"].contains(&refusal.as_str()), "{}: {refusal}", path.display());
    }
    let kept = || std::fs::read_dir(&volumes).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_dir()).count();
    let refused = platform.cli(&["rm", "shop", "-y"]).await;
    assert!(refused.exit == 5 && refused.stderr.contains("keeps data: `files`"), "{}", refused.stderr);
    assert_eq!(platform.cli(&["volume", "rm", "files", "--app", "shop"]).await.exit, 64, "nobody can be asked");
    assert_eq!(platform.cli(&["db", "rm", "files", "--app", "shop", "-y"]).await.exit, 3, "it is none");
    assert_eq!(kept(), 2);
    platform.cli(&["rm", "shop", "-y", "--with-data"]).await.ok();
    wait::until("its volume is gone", async || (kept() == 1).then_some(())).await;
    wait::until("an answer", async || Some(other.get("/list").await).filter(|answer| answer.status == 200)).await;
    platform.cli(&["volume", "rm", "files", "--app", "other", "-y"]).await.ok();
    wait::until("the other's volume is gone", async || (kept() == 0).then_some(())).await;
    assert_eq!(says(&other, "/").await, "one", "it goes on without");
}

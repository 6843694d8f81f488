//! A platform moves from its data folder into shared stores, and back into another folder, and is the same everywhere.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use skylift_client::Client;
use skylift_model::DeploymentState;
use skylift_tests::app::host_of;
use skylift_tests::cli::Ran;
use skylift_tests::cli::run;
use skylift_tests::random::{Random, rounds};
use skylift_tests::spread::OwnStores;
use skylift_tests::{Folder, Platform, executable, projects, site, skip, wait};
use tempfile::TempDir;

async fn migrate(from: &Path, to: &Path) -> Ran {
    run(&["migrate", "--from", from.to_str().unwrap(), "--to", to.to_str().unwrap()]).await
}

fn git_log(repository: &Path) -> String {
    let ran =
        std::process::Command::new("git").arg("--git-dir").arg(repository).args(["log", "--raw", "main"]).output();
    let ran = ran.unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

/// Everything of a platform that a user can see, as text.
async fn seen(platform: &Platform) -> String {
    let client = platform.client();
    let mut seen = String::new();
    for app in client.apps().await.unwrap() {
        seen.push_str(&format!("{} generation {} live {:?}\n", app.name, app.generation, app.live));
        let existing = platform.existing(app.name.as_str());
        seen.push_str(&format!("  {}\n", existing.get("/").await.brief()));
        let env = platform.cli(&["env", "ls", app.name.as_str(), "--json"]).await.ok().stdout;
        seen.push_str(&format!("  {env}"));
        for deployment in existing.deployments().await {
            seen.push_str(&format!("  {} {} {:?}\n", deployment.id, deployment.state, deployment.failure));
            seen.push_str(&format!("    {}\n", platform.get(&host_of(&deployment), "/").await.brief()));
            seen.push_str(&existing.log(&deployment.id).await);
        }
    }
    seen
}

/// Waits until every upload is a commit.
async fn committed(data: &Path, app: &str, commits: usize) -> String {
    let repository = data.join(format!("git/{app}.git"));
    wait::until("every upload is a commit", async || {
        let log = repository.join("HEAD").exists().then(|| {
            let count = std::process::Command::new("git")
                .arg("--git-dir")
                .arg(&repository)
                .args(["rev-list", "--count", "main"])
                .output();
            String::from_utf8(count.unwrap().stdout).unwrap()
        });
        (log?.trim() == commits.to_string()).then_some(())
    })
    .await;
    git_log(&repository)
}

fn hand_over(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    std::fs::copy(from.join("owner-token"), to.join("owner-token")).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_platform_moves_into_shared_stores_and_back_and_is_the_same() {
    let name = "a_platform_moves_into_shared_stores_and_back_and_is_the_same";
    if !skip::unless_node(name) {
        return;
    }
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut first = Platform::start().await;
    {
        let app = first.app("shop").await;
        app.set_env("GREETING", "hello").await;
        let script =
            "require('fs').mkdirSync('dist'); require('fs').writeFileSync('dist/index.html', process.env.GREETING)";
        app.deploy(&projects::node(script)).await;
        app.set_env("GREETING", "goodbye").await;
        app.deploy(&projects::node(script)).await;
        app.attempt(&Folder::new().file("README.md", "nothing to serve")).await;
        let big: Vec<u8> = (0..6_000_000_u32).map(|n| (n % 251) as u8).collect();
        first.app("big").await.deploy(&site("big").file("big.bin", &big)).await;
    }
    let (before, log) = (seen(&first).await, committed(first.data(), "shop", 3).await);
    let home = TempDir::new().unwrap();
    let config = home.path().join("shared.toml");
    std::fs::write(&config, stores.settings()).unwrap();

    // Not while it serves.
    let served = migrate(first.data(), &config).await;
    assert!(served.exit == 5 && served.stderr.contains("in use by process"), "{served:?}");
    assert!(served.stderr.contains("stop the process that has it"), "{served:?}");
    assert!(first.stop().await.success());
    let moved = migrate(first.data(), &config).await.ok();
    assert!(moved.stdout.contains("SHA-256") && moved.stdout.contains("SKYLIFT_MASTER_KEY_FILE"), "{moved:?}");
    assert_eq!(migrate(first.data(), &config).await.ok().stdout, moved.stdout, "done is done");

    let mut second = Platform::spread(&stores.shared(), "");
    hand_over(first.data(), second.data());
    std::fs::copy(first.data().join("master-key"), second.data().join("master-key")).unwrap();
    second.up().await;
    assert_eq!(seen(&second).await, before);
    // Not while any process serves from them.
    let back = home.path().join("back");
    let served = migrate(&config, &back).await;
    assert!(served.exit != 0 && served.stderr.contains("still serves"), "{served:?}");
    let more = {
        let app = second.existing("shop");
        assert_eq!(app.roll_back().await.state, DeploymentState::Live);
        assert_eq!(app.get("/").await.brief(), "200 hello");
        app.deploy(&site("three")).await;
        let more = committed(second.data(), "shop", 4).await;
        assert!(more.ends_with(&log), "the history goes on:\n{more}\n{log}");
        more
    };
    let middle = seen(&second).await;
    assert!(second.stop().await.success());

    // The key of the secrets has to be known, and to be the right one.
    let without = migrate(&config, &back).await;
    assert!(without.exit != 0 && without.stderr.contains("master key"), "{without:?}");
    let named = format!("master_key_file = {:?}\n{}", first.data().join("master-key"), stores.settings());
    std::fs::write(&config, named).unwrap();
    migrate(&config, &back).await.ok();
    assert_eq!(git_log(&back.join("git/shop.git")), more);
    hand_over(first.data(), &back);
    let third = Platform::in_folder(TempDir::new().unwrap(), back.clone(), "").await;
    assert_eq!(seen(&third).await, middle);
    let app = third.existing("shop");
    app.roll_back().await;
    assert_eq!(app.get("/").await.brief(), "200 hello");
    app.deploy(&site("four")).await;
    assert!(committed(&back, "shop", 5).await.ends_with(&more));
    drop(third);

    // What is there is not written over.
    let taken = migrate(first.data(), &back).await;
    assert!(taken.exit != 0 && taken.stderr.contains("already"), "{taken:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_that_is_killed_goes_on_where_it_was() {
    let Some(stores) = OwnStores::start("a_move_that_is_killed_goes_on_where_it_was").await else { return };
    let mut first = Platform::start().await;
    {
        let app = first.app("shop").await;
        let pages = (0..300).fold(site("home"), |folder, n| folder.file(&format!("p{n}.html"), format!("page {n}")));
        app.deploy(&pages).await;
    }
    let (before, log) = (seen(&first).await, committed(first.data(), "shop", 1).await);
    assert!(first.stop().await.success());
    let home = TempDir::new().unwrap();
    let config: PathBuf = home.path().join("shared.toml");
    std::fs::write(&config, stores.settings()).unwrap();
    let mut random = Random::seeded();
    for _ in 0..rounds(8, 50) {
        let mut command = tokio::process::Command::new(executable::path());
        command.args(["migrate", "--from"]).arg(first.data()).arg("--to").arg(&config);
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        // The moment of the kill is the fault that is tried; nothing waits for it.
        tokio::time::sleep(Duration::from_millis(random.below(800))).await;
        child.kill().await.unwrap();
    }
    // Nobody else may begin to fill it meanwhile.
    let other = Platform::start().await;
    let data = other.data().to_owned();
    let mut other = other;
    assert!(other.stop().await.success());
    let refused = migrate(&data, &config).await;
    assert!(refused.exit != 0 && refused.stderr.contains("another move"), "{refused:?}");

    migrate(first.data(), &config).await.ok();
    let mut second = Platform::spread(&stores.shared(), "");
    hand_over(first.data(), second.data());
    std::fs::copy(first.data().join("master-key"), second.data().join("master-key")).unwrap();
    second.up().await;
    assert_eq!(seen(&second).await, before);
    second.existing("shop").deploy(&site("after")).await;
    assert!(committed(second.data(), "shop", 2).await.ends_with(&log));
    let client: Client = second.client();
    assert!(client.status().await.unwrap().healthy);
}

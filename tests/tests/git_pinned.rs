//! Which commit of a Git source is deployed while the repository moves on (threat 17), and what of a repository is not.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use skylift_model::wire::{Deployment, GitSource};
use skylift_model::{DeploymentId, DeploymentState};
use skylift_tests::git::Remote;
use skylift_tests::git::hostile::{Hostile, Manner};
use skylift_tests::git::pack::Packed;
use skylift_tests::{App, Platform, projects, site, skip};

async fn begin(app: &App<'_>, url: &str, reference: Option<&str>) -> DeploymentId {
    let branch = reference.map(str::to_owned);
    let source = GitSource { url: url.to_owned(), branch, token: None, deploy_key: None };
    app.platform.client().deploy_git(&app.name, source, None).await.unwrap().id
}

async fn deploy(app: &App<'_>, url: &str, reference: Option<&str>) -> Deployment {
    let id = begin(app, url, reference).await;
    app.settled(&id).await
}

fn commit_of(deployment: &Deployment) -> &str {
    deployment.source.commit().unwrap_or_default()
}

/// A platform whose only builder is busy until the build that is returned is cancelled.
async fn busy(remote: &Remote) -> (Platform, DeploymentId) {
    let platform = Platform::configured(&format!("[build]\nconcurrency = 1\n{}", remote.settings())).await;
    let id = {
        let app = platform.app("busy").await;
        let endless = app.begin(&projects::endless("busy")).await;
        app.logs_line(&endless.id, "started").await;
        endless.id
    };
    (platform, id)
}

fn unable(test: &str) -> bool {
    !skip::unless_program(test, "git") || !skip::unless_node(test)
}

#[tokio::test]
async fn a_commit_asked_for_is_deployed_wherever_its_branch_went_meanwhile() {
    if unable("a_commit_asked_for_is_deployed_wherever_its_branch_went_meanwhile") {
        return;
    }
    let remote = Remote::start().await;
    let pinned = remote.push("site", "main", &site("pinned"), "Pinned").await;
    let (platform, in_the_way) = busy(&remote).await;
    let app = platform.app("pinned").await;
    let id = begin(&app, &remote.url("site"), Some(&pinned)).await;
    // The branch is overwritten with a commit that does not know the pinned one.
    let tree = remote.git_in("site", &["mktree", "--missing"]).await;
    let forced = remote.git_in("site", &["commit-tree", tree.trim(), "-m", "Forced"]).await;
    remote.git_in("site", &["update-ref", "refs/heads/main", forced.trim()]).await;
    platform.client().cancel(&in_the_way).await.unwrap();
    let deployed = app.settled(&id).await;
    assert_eq!((deployed.state, commit_of(&deployed)), (DeploymentState::Live, pinned.as_str()), "{deployed:?}");
    assert_eq!(app.get("/").await.brief(), "200 pinned");
}

#[tokio::test]
async fn a_commit_that_is_gone_is_told_and_what_is_live_stays() {
    if unable("a_commit_that_is_gone_is_told_and_what_is_live_stays") {
        return;
    }
    let remote = Remote::start().await;
    let gone = remote.push("site", "main", &site("gone"), "Gone").await;
    let (platform, in_the_way) = busy(&remote).await;
    let app = platform.app("gone").await;
    let id = begin(&app, &remote.url("site"), Some(&gone)).await;
    remote.git_in("site", &["update-ref", "-d", "refs/heads/main"]).await;
    remote.git_in("site", &["reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all"]).await;
    remote.git_in("site", &["gc", "--quiet", "--prune=now"]).await;
    let newer = remote.push("site", "main", &site("newer"), "Newer").await;
    platform.client().cancel(&in_the_way).await.unwrap();
    let failed = app.settled(&id).await;
    let failure = failed.failure.unwrap();
    assert!(failure.message.contains(&format!("the commit `{gone}` is gone")), "{failure:?}");
    assert_eq!((failed.state, failure.step.as_str()), (DeploymentState::Failed, "fetch"));
    // The branch itself deploys, and says of which commit.
    let live = deploy(&app, &remote.url("site"), Some("main")).await;
    assert_eq!((live.state, commit_of(&live)), (DeploymentState::Live, newer.as_str()));
    remote.git_in("site", &["update-ref", "-d", "refs/heads/main"]).await;
    let failure = deploy(&app, &remote.url("site"), Some("main")).await.failure.unwrap();
    assert!(failure.message.contains("no branch, tag or commit `main`"), "{failure:?}");
    assert_eq!(app.get("/").await.brief(), "200 newer");
}

#[tokio::test]
async fn a_branch_that_moves_before_the_build_starts_is_deployed_as_the_commit_that_is_recorded() {
    if unable("a_branch_that_moves_before_the_build_starts_is_deployed_as_the_commit_that_is_recorded") {
        return;
    }
    let remote = Remote::start().await;
    remote.push("site", "main", &site("first"), "First").await;
    let (platform, in_the_way) = busy(&remote).await;
    let app = platform.app("moving").await;
    let id = begin(&app, &remote.url("site"), Some("main")).await;
    let second = remote.push("site", "main", &site("second"), "Second").await;
    platform.client().cancel(&in_the_way).await.unwrap();
    let deployed = app.settled(&id).await;
    assert_eq!((deployed.state, commit_of(&deployed)), (DeploymentState::Live, second.as_str()));
    assert_eq!(app.get("/").await.brief(), "200 second");
}

#[tokio::test]
async fn a_branch_that_moves_while_it_is_cloned_is_asked_for_once_more() {
    if unable("a_branch_that_moves_while_it_is_cloned_is_asked_for_once_more") {
        return;
    }
    let (before, after) = (Packed::of(&site("before")), Packed::of(&site("after")));
    let once = Hostile::start(Manner::Moving(before.clone(), after.clone(), 1)).await;
    let platform = Platform::configured(&once.settings("")).await;
    let app = platform.app("once").await;
    let deployed = deploy(&app, &once.url(), Some("main")).await;
    assert_eq!((deployed.state, commit_of(&deployed)), (DeploymentState::Live, after.commit.as_str()));
    assert_eq!(app.get("/").await.brief(), "200 after");

    let always = Hostile::start(Manner::Moving(before, after, usize::MAX)).await;
    let platform = Platform::configured(&always.settings("")).await;
    let failure = deploy(&platform.app("always").await, &always.url(), Some("main")).await.failure.unwrap();
    assert!(failure.message.contains("overwritten while it was cloned"), "{failure:?}");
    assert_eq!(always.times_asked(), 2);
}

#[tokio::test]
async fn an_attempt_that_is_lost_goes_on_with_the_commit_it_fetched() {
    if unable("an_attempt_that_is_lost_goes_on_with_the_commit_it_fetched") {
        return;
    }
    let remote = Remote::start().await;
    let script = "console.log('started'); setTimeout(() => { const fs = require('fs'); fs.mkdirSync('dist');
        fs.writeFileSync('dist/index.html', process.env.SOURCE_VERSION + ' ' + fs.readFileSync('page')); }, 1500);";
    let project = |page: &str| projects::node(script).file("page", page);
    let first = remote.push("site", "main", &project("first"), "First").await;
    let mut platform = Platform::configured(&remote.settings()).await;
    let id = {
        let app = platform.app("lost").await;
        let id = begin(&app, &remote.url("site"), Some("main")).await;
        app.logs_line(&id, "started").await;
        id
    };
    platform.kill().await;
    let second = remote.push("site", "main", &project("second"), "Second").await;
    platform.up().await;
    let app = platform.existing("lost");
    let deployed = app.settled(&id).await;
    assert_eq!((deployed.state, commit_of(&deployed)), (DeploymentState::Live, first.as_str()), "{deployed:?}");
    assert_eq!(app.get("/").await.brief(), format!("200 {first} first"));
    // A first attempt knows its commit as well.
    deploy(&app, &remote.url("site"), Some("main")).await;
    assert_eq!(app.get("/").await.brief(), format!("200 {second} second"));
}

#[tokio::test]
async fn a_repository_named_by_sha_256_is_deployed_by_branch_commit_and_default() {
    if unable("a_repository_named_by_sha_256_is_deployed_by_branch_commit_and_default") {
        return;
    }
    let remote = Remote::start().await;
    let hash = remote.push_as("long", "main", &site("long names"), "First", "sha256").await;
    assert_eq!(hash.len(), 64);
    let platform = Platform::configured(&remote.settings()).await;
    let app = platform.app("long").await;
    for reference in [None, Some("main"), Some(hash.as_str())] {
        let deployed = deploy(&app, &remote.url("long"), reference).await;
        assert_eq!(deployed.state, DeploymentState::Live, "{reference:?}: {:?}", deployed.failure);
        assert_eq!(commit_of(&deployed), hash);
        assert_eq!(app.get("/").await.brief(), "200 long names");
    }
}

#[tokio::test]
async fn what_a_clone_leaves_empty_is_told_in_the_log() {
    if unable("what_a_clone_leaves_empty_is_told_in_the_log") {
        return;
    }
    let remote = Remote::start().await;
    let oid = "0".repeat(64);
    let pointer = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{oid}\nsize 12345\n");
    let attributes = "*.png filter=lfs diff=lfs merge=lfs -text\n";
    let folder = site("with pointers").file("logo.png", pointer).file(".gitattributes", attributes);
    let folder =
        folder.file(".gitmodules", "[submodule \"theme\"]\n\tpath = theme\n\turl = https://example.org/t.git\n");
    let base = remote.push("site", "main", &folder, "Pointers").await;
    let index = ["update-index", "--add", "--cacheinfo"];
    remote.git_in("site", &[&index[..], &[&format!("160000,{base},theme")]].concat()).await;
    let tree = remote.git_in("site", &["write-tree"]).await;
    let commit = remote.git_in("site", &["commit-tree", tree.trim(), "-m", "Submodule"]).await;
    remote.git_in("site", &["update-ref", "refs/heads/main", commit.trim()]).await;

    let platform = Platform::configured(&remote.settings()).await;
    let app = platform.app("pointers").await;
    let deployed = deploy(&app, &remote.url("site"), None).await;
    assert_eq!(deployed.state, DeploymentState::Live, "{:?}", deployed.failure);
    let log = app.log(&deployed.id).await;
    assert!(log.contains("warning: submodules are not fetched") && log.contains("`theme`"), "{log}");
    assert!(log.contains("warning: files kept in Git LFS are not fetched") && log.contains("`logo.png`"), "{log}");

    remote.push("plain", "main", &site("plain"), "Plain").await;
    let plain = deploy(&app, &remote.url("plain"), None).await;
    assert!(!app.log(&plain.id).await.contains("warning:"), "control: there is nothing to warn of");
}

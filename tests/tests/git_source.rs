//! Git sources: good addresses are cloned, bad ones are refused before anything runs (threats 12 and 13).

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use serde_json::json;
use skylift_model::wire::GitSource;
use skylift_model::{DeploymentState, wire::Deployment};
use skylift_tests::git::Remote;
use skylift_tests::{App, Platform, site, skip};

async fn deploy(app: &App<'_>, url: &str, branch: Option<&str>) -> Deployment {
    let source = GitSource { url: url.to_owned(), branch: branch.map(str::to_owned), token: None, deploy_key: None };
    let accepted = app.platform.client().deploy_git(&app.name, source, None).await.unwrap();
    app.settled(&accepted.id).await
}

#[tokio::test]
async fn addresses_that_are_none_are_refused_and_nothing_is_begun() {
    let platform = Platform::start().await;
    let app = platform.app("bad").await;
    let addresses = [
        "ext::sh -c id",
        "fd::3",
        "file:///etc",
        "--upload-pack=x",
        "ssh://-oProxyCommand=id/x",
        "git@-oX:y",
        "https://user:password@example.org/x",
        "https://example.org/x\n",
        "https://example.org/\r\nx",
        "https:///x",
        "https://example.org/\0x",
        "http://example.org/x",
        "git://example.org/x",
        "https://exa\u{43c}ple.org/x",
        "",
        "/etc",
        "https://example.org",
        "ftp://example.org/x",
        "https://example.org:99999/x",
    ];
    for url in addresses {
        let answer = app.api("POST", "/deployments", Some(&json!({ "git": { "url": url } }))).await;
        assert!(matches!(answer.status, 400 | 422), "{url:?}: {}", answer.brief());
        assert!(!answer.text().contains("password@"), "{}", answer.brief());
    }
    let long = "a".repeat(10_000);
    let branches =
        ["main;id", "$(id)", "-c", "--output=x", "@{u}", &long, "refs/heads/../x", "", "a b", "a\nb", "a..b"];
    for branch in branches {
        let body = json!({ "git": { "url": "https://example.org/x.git", "branch": branch } });
        let answer = app.api("POST", "/deployments", Some(&body)).await;
        assert_eq!(answer.status, 422, "{branch:.20}: {}", answer.brief());
    }
    assert!(app.deployments().await.is_empty());
}

#[tokio::test]
async fn a_branch_is_deployed_and_one_that_is_missing_is_told() {
    if !skip::unless_program("a_branch_is_deployed_and_one_that_is_missing_is_told", "git") {
        return;
    }
    let remote = Remote::start().await;
    let platform = Platform::configured(&remote.settings()).await;
    let app = platform.app("branch").await;
    remote.push("site", "main", &site("on main"), "Main").await;
    remote.push("site", "next", &site("on next"), "Next").await;
    assert_eq!(deploy(&app, &remote.url("site"), Some("main")).await.state, DeploymentState::Live);
    assert_eq!(app.get("/").await.brief(), "200 on main");
    assert_eq!(deploy(&app, &remote.url("site"), None).await.state, DeploymentState::Live);
    assert_eq!(app.get("/").await.brief(), "200 on next", "the remote's own branch");

    let missing = deploy(&app, &remote.url("site"), Some("nothing")).await.failure.unwrap();
    assert!(missing.step == "fetch" && missing.message.contains("nothing"), "{missing:?}");
    let nowhere = deploy(&app, &remote.url("nowhere"), None).await.failure.unwrap();
    assert!(nowhere.step == "fetch" && nowhere.hint.is_some(), "{nowhere:?}");
    assert_eq!(app.get("/").await.brief(), "200 on next");
}

#[tokio::test]
async fn a_private_address_is_reached_only_where_the_owner_names_it() {
    if !skip::unless_program("a_private_address_is_reached_only_where_the_owner_names_it", "git") {
        return;
    }
    let remote = Remote::start().await;
    remote.push("site", "main", &site("private"), "Private").await;
    // The scheme is allowed, the address is not.
    let closed = Platform::configured("[build.git]\nallow_insecure_hosts = [\"127.0.0.1\"]\n").await;
    let refused = deploy(&closed.app("closed").await, &remote.url("site"), None).await;
    assert_eq!((refused.state, refused.failure.unwrap().step.as_str()), (DeploymentState::Failed, "fetch"));
    let open = Platform::configured(&remote.settings()).await;
    let allowed = deploy(&open.app("open").await, &remote.url("site"), None).await;
    assert_eq!(allowed.state, DeploymentState::Live, "control: {:?}", allowed.failure);
}

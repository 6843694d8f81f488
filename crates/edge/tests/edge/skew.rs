//! Pages that were opened before a deploy ask for the files that came with them.

use std::time::Duration;

use crate::dsl::{SiteSpec, id, name, server, site};

const OLD: &str = "/assets/index-BfTk3x9Q.js";
const NEW: &str = "/assets/index-D-x_9aQz.js";
const NAVIGATES: (&str, &str) = ("accept", "text/html");

fn old() -> SiteSpec {
    site().file("index.html", "old page").file(&OLD[1..], "old script").file("plain.js", "plain")
}

fn new() -> SiteSpec {
    site().file("index.html", "new page").file(&NEW[1..], "new script").spa()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hashed_file_that_the_new_deployment_lacks_comes_from_the_one_before() {
    let server = server().app("hello", old()).start().await;
    server.deploy("hello", 2, new()).await;
    let answer = server.get("hello.localhost", OLD).await;
    assert_eq!(answer.short(), "200 old script");
    assert_eq!(answer.header("cache-control"), Some("public, max-age=31536000, immutable"));
    let tag = answer.header("etag").unwrap();
    assert_eq!(server.get_with("hello.localhost", OLD, &[("if-none-match", tag)]).await.status, 304);
    assert_eq!(server.get_with("hello.localhost", OLD, &[("range", "bytes=0-2")]).await.short(), "206 old");
    assert_eq!(server.head("hello.localhost", OLD, &[]).await.status, 200);
    assert_eq!(server.get_with("hello.localhost", OLD, &[NAVIGATES]).await.short(), "200 old script");
    // Two deploys later it still does, and the newest answers for itself.
    server.deploy("hello", 3, site().file("index.html", "newest page")).await;
    assert_eq!(server.get("hello.localhost", OLD).await.short(), "200 old script");
    assert_eq!(server.get("hello.localhost", NEW).await.short(), "200 new script");
    assert_eq!(server.get("hello.localhost", "/").await.short(), "200 newest page");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hashed_file_of_before_comes_before_the_page_for_whatever_is_not_there() {
    let server = server().app("hello", old().cloudflare()).start().await;
    assert_eq!(server.get("hello.localhost", NEW).await.short(), "200 old page", "control: all is a page");
    server.deploy("hello", 2, new().cloudflare()).await;
    for _ in 0..2 {
        assert_eq!(server.get("hello.localhost", OLD).await.short(), "200 old script");
        assert_eq!(server.get("hello.localhost", "/plain.js").await.short(), "200 new page");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_change_under_its_name_comes_from_what_is_live_or_not_at_all() {
    let server = server().app("hello", old()).start().await;
    server.deploy("hello", 2, new()).await;
    let gone = server.get("hello.localhost", "/plain.js").await;
    assert_eq!((gone.status, gone.header("cache-control")), (404, Some("no-store")));
    assert_eq!(server.get_with("hello.localhost", "/any/page", &[NAVIGATES]).await.short(), "200 new page");
    for spelling in ["/assets/index-BfTk3x9Q.js/", "/assets//index-BfTk3x9Q.js", "/assets%2Findex-BfTk3x9Q.js"] {
        assert_eq!(server.get("hello.localhost", spelling).await.status, 404, "{spelling}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployments_own_name_leads_to_its_own_files_alone() {
    let server = server().app("hello", old()).start().await;
    server.deploy("hello", 2, new()).await;
    assert_eq!(server.get(&format!("{}.localhost", id(2)), OLD).await.status, 404);
    assert_eq!(server.get(&format!("{}.localhost", id(1)), OLD).await.short(), "200 old script");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outside_its_window_and_after_clean_up_there_is_nothing() {
    let closed = server().app("hello", old()).configure(|config| config.skew_window = Duration::ZERO).start().await;
    closed.deploy("hello", 2, new()).await;
    assert_eq!(closed.get("hello.localhost", OLD).await.status, 404);

    let server = server().app("hello", old()).start().await;
    server.deploy("hello", 2, new()).await;
    assert_eq!(server.get("hello.localhost", OLD).await.status, 200);
    let mut routes = server.source.routes(&name("hello"));
    routes.generation += 1;
    routes.deployments.retain(|deployment| deployment.id == id(2));
    server.source.set(routes.clone());
    server.change(&routes).await;
    assert_eq!(server.get("hello.localhost", OLD).await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replaced_deployment_that_cannot_be_read_takes_nothing_down() {
    let first = server().app("hello", old()).start().await;
    first.deploy("hello", 2, new()).await;
    let replaced = first.source.routes(&name("hello")).deployments.pop().unwrap();
    std::fs::remove_file(first.blob_file(&replaced.artifact)).unwrap();
    // Another process: what this one read is in its memory.
    let (folder, source) = first.stop().await;
    let second = server().on(folder, source).start().await;
    assert_eq!(second.get("hello.localhost", OLD).await.status, 404);
    assert_eq!(second.get("hello.localhost", NEW).await.short(), "200 new script");
}

//! What visitors get.

use skylift_tests::{Folder, Platform, Request, site};

#[tokio::test]
async fn an_application_of_one_page_answers_every_page_with_it() {
    let platform = Platform::start().await;
    let app = platform.app("spa").await;
    app.deploy(&site("app").file("skylift.toml", "spa = true\n").file("main.js", "1")).await;
    let navigate = |path: &str| Request::get(path).header("accept", "text/html,*/*");
    assert_eq!(app.send(navigate("/orders/17")).await.brief(), "200 app");
    assert_eq!(app.send(navigate("/missing.js")).await.status, 404, "a missing asset is no page");
    assert_eq!(app.send(Request::get("/orders/17").header("accept", "application/json")).await.status, 404);
    assert_eq!(app.send(Request::post("/orders/17").header("accept", "text/html")).await.status, 405);
}

#[tokio::test]
async fn sources_of_functions_are_not_served_and_data_is() {
    let platform = Platform::start().await;
    let app = platform.app("functions").await;
    let folder = site("x")
        .file("vercel.json", "{}")
        .file("api/hello.js", "secret")
        .file("api/data.json", "{}")
        .file("_worker.js", "secret")
        .file("netlify/functions/a.mjs", "secret")
        .file("app.js.map", "{}");
    let deployment = app.deploy(&folder).await;
    for withheld in ["/api/hello.js", "/_worker.js", "/netlify/functions/a.mjs", "/netlify/functions/a"] {
        assert_eq!(app.get(withheld).await.status, 404, "{withheld}");
    }
    assert_eq!((app.get("/api/data.json").await.status, app.get("/app.js.map").await.status), (200, 200));
    let log = app.log(&deployment.id).await;
    assert!(log.contains("`_worker.js` and 2 more are withheld (404)"), "{log}");

    let without = folder.file("skylift.toml", "source_maps = false\n");
    app.deploy(&without).await;
    assert_eq!((app.get("/app.js.map").await.status, app.get("/").await.brief()), (404, "200 x".to_owned()));
}

#[tokio::test]
async fn the_nearest_404_page_is_shown() {
    let platform = Platform::start().await;
    let app = platform.app("missing").await;
    app.deploy(&site("x").file("404.html", "top").file("docs/404.html", "docs").file("docs/a.html", "a")).await;
    assert_eq!(app.get("/nothing").await.brief(), "404 top");
    assert_eq!(app.get("/docs/deep/nothing").await.brief(), "404 docs");
    assert_eq!(app.get("/docs/a.html").await.brief(), "200 a");
}

#[tokio::test]
async fn unknown_hosts_and_apps_get_a_page_that_says_so() {
    let platform = Platform::start().await;
    platform.app("empty").await;
    for host in ["nothing.localhost", "empty.localhost", "d-000000000zzzzzzz.localhost"] {
        let page = platform.send(Request::get("/").host(host).header("accept", "text/html")).await;
        assert_eq!(page.status, 404, "{host}: {}", page.brief());
        assert!(page.text().contains("<html"), "{}", page.brief());
    }
    // A name that is not ours never reaches the control plane, whatever it resolves to.
    for host in ["example.org", "127.0.0.2", "localhost.example.org"] {
        let request = Request::get("/v1/apps").host(host).token(&platform.token());
        platform.send(request.header("accept", "application/json")).await.is_error(421, "misdirected");
    }
}

#[tokio::test]
async fn a_removed_app_is_gone() {
    let platform = Platform::start().await;
    let app = platform.app("gone").await;
    let deployment = app.deploy(&site("here")).await;
    platform.cli(&["rm", "gone"]).await.ends_with(64);
    assert_eq!(app.get("/").await.brief(), "200 here", "nobody said yes");
    platform.cli(&["rm", "gone", "--yes"]).await.ok();
    assert_eq!(app.get("/").await.status, 404);
    assert_eq!(platform.get(&skylift_tests::app::host_of(&deployment), "/").await.status, 404);
    platform.cli(&["deployments", "gone"]).await.ends_with(3);

    platform.app("gone").await.deploy(&site("again")).await;
    assert_eq!(app.get("/").await.brief(), "200 again");
    assert_eq!(app.deployments().await.len(), 1, "the name is new, and so is its history");
}

#[tokio::test]
async fn pages_are_revalidated_and_compressed_as_the_visitor_can() {
    let platform = Platform::start().await;
    let app = platform.app("cached").await;
    let text = "a line that repeats itself\n".repeat(1000);
    app.deploy(&site(&text)).await;
    let page = app.get("/").await;
    let etag = page.header("etag");
    assert!(etag.starts_with('"'), "a strong ETag: {etag}");
    assert_eq!(app.send(Request::get("/").header("if-none-match", etag)).await.status, 304);
    for encoding in ["br", "gzip", "zstd"] {
        let packed = app.send(Request::get("/").header("accept-encoding", encoding)).await;
        assert_eq!((packed.status, packed.header("content-encoding")), (200, encoding));
        assert!(packed.body.len() < text.len() / 10, "{encoding}: {} bytes", packed.body.len());
    }
    let part = app.send(Request::get("/").header("range", "bytes=0-5")).await;
    assert_eq!(part.brief(), "206 a line");
    let head = app.send(Request::new("HEAD", "/")).await;
    assert_eq!(
        (head.status, head.body.len(), head.header("content-length")),
        (200, 0, text.len().to_string().as_str())
    );
}

#[tokio::test]
async fn dotfiles_and_settings_are_not_served() {
    let platform = Platform::start().await;
    let app = platform.app("dots").await;
    let folder = site("x").file(".htpasswd", "secret").file(".well-known/security.txt", "mailto:x");
    app.deploy(&folder.file("skylift.toml", "clean_urls = false\n")).await;
    assert_eq!(app.get("/.htpasswd").await.status, 404);
    assert_eq!(app.get("/.well-known/security.txt").await.brief(), "200 mailto:x");
    assert_eq!(app.get("/skylift.toml").await.status, 404);
}

#[tokio::test]
async fn the_sites_own_redirects_and_headers_apply_and_lines_that_cannot_are_told() {
    let platform = Platform::start().await;
    let app = platform.app("rules").await;
    let redirects = "/old /new 302\n/blog/:slug /posts/:slug 301\n/app/* /app.html 200\n/lost/* /gone.html 404\nnonsense\n/api/* https://10.0.0.1/:splat 200\n";
    let folder = Folder::new()
        .file("index.html", "home")
        .file("app.html", "app")
        .file("gone.html", "gone")
        .file("_redirects", redirects)
        .file("_headers", "/*\n  X-From: headers\n/app/*\n  Cache-Control: no-store\n");
    let deployment = app.deploy(&folder).await;
    let log = app.log(&deployment.id).await;
    assert!(log.contains("_redirects:5"), "the line that is none: {log}");

    let home = app.get("/").await;
    assert_eq!((home.brief().as_str(), home.header("x-from")), ("200 home", "headers"));
    let led = app.get("/old").await;
    assert_eq!((led.status, led.header("location")), (302, "/new"));
    let led = app.get("/blog/a%20b").await;
    assert_eq!((led.status, led.header("location")), (301, "/posts/a%20b"));
    let shown = app.get("/app/settings/me").await;
    assert_eq!((shown.brief().as_str(), shown.header("x-from")), ("200 app", "headers"));
    assert_eq!(app.get("/lost/x").await.brief(), "404 gone");
    assert_eq!(app.get("/_redirects").await.status, 404, "they are for us, not for visitors");
    assert_eq!(app.get("/api/x").await.status, 502, "a private address");
    assert_eq!(app.get("/nowhere").await.status, 404);

    // Without the files the same requests find nothing: nothing of the rules is left.
    app.deploy(&Folder::new().file("index.html", "home")).await;
    assert_eq!(app.get("/old").await.status, 404);
    assert_eq!(app.get("/").await.header("x-from"), "");
}

//! Requests that a deployed site passes on to another host, and answers that are kept of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skylift_tests::{Folder, Platform, Request, wait};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Another host, which answers every request with its number and its first line.
struct Origin {
    port: u16,
    asked: Arc<AtomicUsize>,
}

impl Origin {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let asked = Arc::<AtomicUsize>::default();
        let counted = asked.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, counted.clone()));
            }
        });
        Self { port, asked }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

async fn answer(stream: TcpStream, asked: Arc<AtomicUsize>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    loop {
        let (mut first, mut line) = (String::new(), String::new());
        stream.read_line(&mut first).await.ok().filter(|read| *read > 0)?;
        while line != "\r\n" {
            line.clear();
            stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
        }
        let number = asked.fetch_add(1, Ordering::SeqCst) + 1;
        let body = format!("{number} {}", first.trim_end());
        let head = format!(
            "HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nCache-Tag: t\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(format!("{head}{body}").as_bytes()).await.ok()?;
    }
}

fn site(origin: &Origin, config: &str) -> Folder {
    let rules = format!("/api/* http://127.0.0.1:{}/v1/:splat 200\n", origin.port);
    Folder::new().file("index.html", "home").file("_redirects", &rules).file("skylift.toml", config)
}

#[tokio::test]
async fn a_deployed_rule_leads_to_another_host_where_the_owner_allows_it() {
    let origin = Origin::start().await;
    let closed = Platform::start().await;
    let app = closed.app("shop").await;
    app.deploy(&site(&origin, "")).await;
    assert_eq!(app.get("/").await.brief(), "200 home");
    assert_eq!((app.get("/api/x").await.status, origin.asked()), (502, 0));
    assert!(closed.log().contains("[edge.proxy] allow"), "the log names the setting");

    let open = Platform::configured(&format!("[edge.proxy]\nallow = ['127.0.0.1:{}']", origin.port)).await;
    let app = open.app("shop").await;
    app.deploy(&site(&origin, "")).await;
    assert_eq!(app.get("/api/x?y=1").await.brief(), "200 1 GET /v1/x?y=1 HTTP/1.1");
    let post = Request::new("POST", "/api/x").host("shop.localhost").body("");
    assert_eq!(open.send(post).await.brief(), "200 2 POST /v1/x HTTP/1.1");
    assert_eq!(app.get("/api/x").await.brief(), "200 3 GET /v1/x HTTP/1.1", "nothing is kept unless the site says so");
    let told = async || open.log().contains(r#""passed_on":"127.0.0.1:"#).then_some(());
    wait::until("a line of the access log that names the host", told).await;
}

#[tokio::test]
async fn a_site_has_answers_kept_until_they_are_purged_or_it_is_released() {
    let origin = Origin::start().await;
    let platform = Platform::configured(&format!("[edge.proxy]\nallow = ['127.0.0.1:{}']", origin.port)).await;
    let app = platform.app("shop").await;
    let folder = site(&origin, "[cache]\nenabled = true\n");
    app.deploy(&folder).await;
    let number = async || app.get("/api/x").await.brief().split(' ').nth(1).unwrap().to_owned();
    assert_eq!((number().await, number().await), ("1".into(), "1".into()));
    for arguments in [&["purge", "shop"][..], &["purge", "shop", "--path", "/api/*"], &["purge", "shop", "--tag", "t"]]
    {
        let before = origin.asked();
        let ran = platform.cli(arguments).await.ok();
        assert_eq!(ran.stdout, "purged\n");
        assert_eq!(number().await, (before + 1).to_string(), "{arguments:?}");
    }
    platform.cli(&["purge", "shop", "--tag", "other"]).await.ok();
    assert_eq!(number().await, "4");
    platform.cli(&["purge", "nothing"]).await.ends_with(3);
    app.api("POST", "/purge", Some(&serde_json::json!({ "path": "x" }))).await.is_error(422, "invalid");
    app.deploy(&folder.file("new.html", "new")).await;
    assert_eq!(number().await, "5");
    app.roll_back().await;
    assert_eq!(number().await, "6", "what was live before finds nothing either");
}

#[tokio::test]
async fn a_misspelt_setting_of_the_cache_fails_the_build_with_its_line() {
    let origin = Origin::start().await;
    let platform = Platform::start().await;
    let app = platform.app("shop").await;
    let failed = app.attempt(&site(&origin, "[cache]\nenable = true\n")).await;
    let told = format!("{:?}", failed.failure);
    assert!(told.contains("line 2") && told.contains("`enable`"), "{told}");
}

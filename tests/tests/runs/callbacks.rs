//! Ends of runs, told to addresses: signed, again where they were not taken, after a crash too, and never to where none may be told.

use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use ring::hmac;
use serde_json::{Value, json};
use skylift_tests::{Platform, Request, wait};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use crate::queued::{get, once};

/// What an address was told.
#[derive(Clone, Debug)]
pub(crate) struct Told {
    pub(crate) line: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Told {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.iter().find(|(other, _)| other == name).map_or("", |(_, value)| value)
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// An address that takes callbacks, and gives the answers in their order; the last one to all who follow.
pub(crate) struct Listens {
    pub(crate) port: u16,
    told: Arc<Mutex<Vec<Told>>>,
}

impl Listens {
    pub(crate) async fn start(answers: &[&str]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let told = Arc::<Mutex<Vec<Told>>>::default();
        let (heard, answers) = (told.clone(), answers.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // One after the other: which answer is whose is certain.
                let _ = hear(stream, &heard, &answers).await;
            }
        });
        Self { port, told }
    }

    pub(crate) fn told(&self) -> Vec<Told> {
        self.told.lock().unwrap().clone()
    }

    pub(crate) async fn until_told(&self, count: usize) -> Vec<Told> {
        wait::until("a callback", async || Some(self.told()).filter(|told| told.len() >= count)).await
    }
}

async fn hear(stream: TcpStream, told: &Mutex<Vec<Told>>, answers: &[String]) -> Option<()> {
    let mut stream = BufReader::new(stream);
    let (mut line, mut headers) = (String::new(), Vec::new());
    stream.read_line(&mut line).await.ok().filter(|read| *read > 0)?;
    loop {
        let mut field = String::new();
        stream.read_line(&mut field).await.ok().filter(|read| *read > 0)?;
        let Some((name, value)) = field.trim_end().split_once(": ") else { break };
        headers.push((name.to_lowercase(), value.to_owned()));
    }
    let told_one = Told { line: line.trim_end().to_owned(), headers, body: Vec::new() };
    let mut body = vec![0; told_one.header("content-length").parse().ok()?];
    stream.read_exact(&mut body).await.ok()?;
    let at = {
        let mut told = told.lock().unwrap();
        told.push(Told { body, ..told_one });
        told.len() - 1
    };
    let answer = answers.get(at).or(answers.last())?;
    let answer = format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(answer.as_bytes()).await.ok()
}

fn config(listens: &Listens) -> String {
    format!("[callbacks]\nallow = ['127.0.0.1:{}']", listens.port)
}

async fn queue(platform: &Platform, host: &str, port: u16) -> String {
    let callback = json!({ "url": format!("http://{host}:{port}/told?x=1") });
    crate::queued::queue(platform, "print(42)", &json!({ "callback": callback })).await
}

/// A run, once its telling has come this far.
async fn told_as(platform: &Platform, id: &str, state: &str) -> Value {
    wait::until(state, async || Some(get(platform, id).await).filter(|run| run["callback"]["state"] == state)).await
}

#[tokio::test]
async fn a_run_that_has_settled_is_told_signed_until_it_is_taken_and_a_crash_loses_nothing() {
    let listens = Listens::start(&["500 No", "204 Taken"]).await;
    let mut platform = Platform::configured(&config(&listens)).await;
    let id = queue(&platform, "127.0.0.1", listens.port).await;
    wait::until("the first try", async || get(&platform, &id).await["callback"]["last_error"].as_str().map(|_| ()))
        .await;
    // It was not taken, and the next try is the next process's.
    platform.crash().await;
    let run = told_as(&platform, &id, "delivered").await;
    let told = listens.told();
    assert_eq!((run["callback"]["attempts"].as_u64().unwrap(), told.len()), (2, 2), "{run}");
    let secret = platform.api(Request::get("/v1/callback-secret")).await;
    let secret = secret.json()["secret"].as_str().unwrap().strip_prefix("whsec_").unwrap().to_owned();
    let key = hmac::Key::new(hmac::HMAC_SHA256, &BASE64_STANDARD.decode(secret).unwrap());
    for one in &told {
        assert_eq!((one.line.as_str(), one.header("webhook-id")), ("POST /told?x=1 HTTP/1.1", id.as_str()));
        let signed = [format!("{id}.{}.", one.header("webhook-timestamp")).as_bytes(), &one.body].concat();
        let signature = one.header("webhook-signature").strip_prefix("v1,").unwrap();
        hmac::verify(&key, &signed, &BASE64_STANDARD.decode(signature).unwrap()).unwrap();
        let mut as_asked = run.clone();
        as_asked.as_object_mut().unwrap().remove("callback");
        assert_eq!(one.json(), as_asked);
    }
    let (_, other) = crate::key(&platform, &json!({ "name": "other", "scopes": ["runs"] })).await;
    let others = crate::with_key(&platform, &other, Request::get("/v1/callback-secret")).await.json();
    assert_ne!(others, platform.api(Request::get("/v1/callback-secret")).await.json());

    let endless = json!({ "callback": { "url": format!("http://127.0.0.1:{}/", listens.port) } });
    let cancelled = crate::queued::queue(&platform, "import time; time.sleep(60)", &endless).await;
    once(&platform, &cancelled, "running").await;
    platform.api(Request::post(&format!("/v1/runs/{cancelled}/cancel"))).await;
    told_as(&platform, &cancelled, "delivered").await;
    assert_eq!(listens.told()[2].json()["state"], "cancelled");
}

#[tokio::test]
async fn nothing_is_told_to_a_private_address_by_any_name_and_without_the_guard_it_is() {
    let listens = Listens::start(&["200 OK"]).await;
    // Every port is as good as 443: it is the address alone that is refused.
    let mut platform = Platform::configured(&format!("[callbacks]\nports = [{}]", listens.port)).await;
    let request = |url: &str, mode: &str| {
        let run = json!({ "language": "python", "source": "", "mode": mode, "callback": { "url": url } });
        Request::post("/v1/runs").json(&run)
    };
    let port = listens.port;
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://[::ffff:127.0.0.1]:{port}/"),
        format!("http://169.254.169.254:{port}/latest/meta-data"),
        format!("http://2130706433:{port}/"),
        format!("http://user@example.org:{port}/"),
        "http://example.org:22/".to_owned(),
        "http://example.org:0/".to_owned(),
        "file:///etc/passwd".to_owned(),
        "told".to_owned(),
    ] {
        platform.api(request(&url, "async")).await.is_error(422, "invalid");
    }
    for mode in ["sync", "stream"] {
        platform.api(request(&format!("https://example.org:{port}/"), mode)).await.is_error(422, "invalid");
    }
    // What a name leads to is known only when it is told.
    let id = queue(&platform, "localhost", port).await;
    let run = told_as(&platform, &id, "failed").await;
    let why = run["callback"]["last_error"].as_str().unwrap();
    assert!(why.contains("a loopback address") && why.contains("[callbacks] allow"), "{why}");
    assert_eq!((run["state"].as_str(), run["callback"]["attempts"].as_u64()), (Some("done"), Some(1)));
    assert_eq!(listens.told().len(), 0);

    platform.stop().await;
    platform.set_environment("SKYLIFT_CRASH_WEAKEN", "no-addresses");
    platform.up().await;
    let id = queue(&platform, "localhost", port).await;
    told_as(&platform, &id, "delivered").await;
    assert_eq!(listens.told().len(), 1, "the guard is what kept it from there");
}

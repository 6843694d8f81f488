//! A new process takes over from the one that runs, under clients who count (threat 74).

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::net::SocketAddr;
use std::time::Duration;

use skylift_tests::folder::Folder;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::skip;
use skylift_tests::wait::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How much every client asks before something happens to the platform, and after.
const ANSWERS: u64 = 50;
const CLIENTS: usize = 3;

/// Clients of a site and of an app: some with a connection for each request, some with one that lasts for as long as it is
/// theirs to use. Nothing is asked twice.
struct Clients {
    stop: watch::Sender<bool>,
    answers: watch::Receiver<u64>,
    all: Vec<JoinHandle<Vec<String>>>,
}

impl Clients {
    fn come(to: SocketAddr) -> Self {
        let (stop, stopped) = watch::channel(false);
        let (count, answers) = watch::channel(0);
        let mut all = Vec::new();
        for (host, said) in [("site.localhost", "a page"), ("shop.localhost", "an answer")] {
            for lasts in [false, true] {
                for _ in 0..CLIENTS {
                    all.push(tokio::spawn(ask((to, host, said), lasts, stopped.clone(), count.clone())));
                }
            }
        }
        Self { stop, answers, all }
    }

    /// Waits until they were answered so often from now on.
    async fn are_answered(&mut self, often: u64) {
        let until = *self.answers.borrow() + often;
        timeout(PATIENCE, self.answers.wait_for(|answers| *answers >= until)).await.expect("answers").unwrap();
    }

    /// They leave. What failed.
    async fn leave(self) -> Vec<String> {
        let _ = self.stop.send(true);
        let mut failed = Vec::new();
        for client in self.all {
            failed.extend(client.await.unwrap());
        }
        failed
    }
}

async fn ask(
    (to, host, said): (SocketAddr, &'static str, &'static str),
    lasts: bool,
    mut stopped: watch::Receiver<bool>,
    count: watch::Sender<u64>,
) -> Vec<String> {
    let mut failed = Vec::new();
    let mut lasting = None;
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return failed,
        }
        let answer = if lasts { again(&mut lasting, to, host).await } else { once(to, host).await };
        match answer {
            Ok(text) if text == said => count.send_modify(|count| *count += 1),
            Ok(text) => failed.push(format!("{host}, lasts {lasts}: {text:?}")),
            Err(why) => failed.push(format!("{host}, lasts {lasts}: {why}")),
        }
    }
}

async fn once(to: SocketAddr, host: &str) -> Result<String, String> {
    match Request::get("/").host(host).try_send(to).await {
        Some(answer) if answer.status == 200 => Ok(answer.text()),
        Some(answer) => Err(answer.brief()),
        None => Err("it broke off".to_owned()),
    }
}

/// Over the connection that there is, until an answer says that it was the last.
async fn again(lasting: &mut Option<TcpStream>, to: SocketAddr, host: &str) -> Result<String, String> {
    let exchange = async {
        let mut stream = match lasting.take() {
            Some(stream) => stream,
            None => TcpStream::connect(to).await?,
        };
        stream.write_all(format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n").as_bytes()).await?;
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await?);
        }
        let head = String::from_utf8_lossy(&head).to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        let mut body = vec![0; length.unwrap_or(0)];
        stream.read_exact(&mut body).await?;
        if !head.contains("connection: close") {
            *lasting = Some(stream);
        }
        let body = String::from_utf8_lossy(&body).into_owned();
        Ok::<_, std::io::Error>(if head.starts_with("http/1.1 200 ") { Ok(body) } else { Err(head) })
    };
    match timeout(PATIENCE, exchange).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("no answer in time".to_owned()),
    }
}

async fn platform() -> Platform {
    let platform = Platform::start().await;
    platform.app("site").await.deploy(&Folder::new().file("index.html", "a page")).await;
    let program = "
        const http = require('http');
        const server = http.createServer((request, response) => response.end('an answer'));
        server.listen(process.env.PORT, process.env.HOST);
        process.on('SIGTERM', () => server.close(() => process.exit(0)));
    ";
    let server = Folder::new().file("package.json", r#"{"name":"server"}"#).file("server.js", program);
    platform.app("shop").await.deploy(&server.file("Procfile", "web: node server.js\n")).await;
    platform
}

#[tokio::test]
async fn a_process_takes_over_and_no_client_is_refused_or_cut_off() {
    if !skip::unless_node("a_process_takes_over_and_no_client_is_refused_or_cut_off") {
        return;
    }
    let mut platform = platform().await;
    let mut clients = Clients::come(platform.address());
    clients.are_answered(ANSWERS).await;
    // Twice: who took over hands over, too.
    for _ in 0..2 {
        let before = platform.pid();
        let ended = platform.take_over().await;
        assert!(ended.success(), "{}", platform.log());
        assert_ne!(platform.pid(), before);
        clients.are_answered(ANSWERS).await;
    }
    assert_eq!(clients.leave().await, Vec::<String>::new());
}

/// A stop and a start are noticed, or the clients above notice nothing.
#[tokio::test]
async fn control_without_a_hand_over_clients_are_refused() {
    if !skip::unless_node("control_without_a_hand_over_clients_are_refused") {
        return;
    }
    let mut platform = platform().await;
    let mut clients = Clients::come(platform.address());
    clients.are_answered(ANSWERS).await;
    platform.restart().await;
    clients.are_answered(ANSWERS).await;
    assert!(!clients.leave().await.is_empty());
}

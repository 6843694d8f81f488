//! One line and one count for every request.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;
use skylift_edge::{AccessLog, AccessStyle};

use crate::dsl::{Answer, id, server, site};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Lines {
    /// The access line of an answer, once it is written: that is when the answer has ended on the server's side.
    async fn of(&self, answer: &Answer) -> Value {
        let id = answer.header("x-request-id").unwrap();
        loop {
            let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
            let mut lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
            if let Some(line) = lines.find(|line| line["target"] == "access" && line["request.id"] == id) {
                return line.clone();
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_request_has_one_access_line() {
    let lines = Lines::default();
    let log = AccessLog::to(lines.clone(), AccessStyle::Json);
    let server = server()
        .app("hello", site().file("index.html", "hi"))
        .configure(move |config| config.access = log.clone())
        .start()
        .await;

    let answer = server.get("HELLO.localhost:80", "/index.html?token=secret").await;
    let line = lines.of(&answer).await;
    for (field, value) in [
        ("host", "HELLO.localhost:80"),
        ("app", "hello"),
        ("deployment", id(1).as_str()),
        ("method", "GET"),
        ("path", "/index.html"),
    ] {
        assert_eq!(line[field], value, "{line}");
    }
    assert_eq!((&line["status"], &line["bytes"], &line["complete"]), (&200.into(), &2.into(), &true.into()));
    assert!(line["duration_us"].is_u64() && line["client"].as_str().unwrap().starts_with("127.0.0.1:"));
    assert!(!line.to_string().contains("secret"));

    for (host, status) in [("nope.localhost", 404), ("evil.example", 421), ("localhost", 200)] {
        let answer = server.get(host, "/").await;
        let line = lines.of(&answer).await;
        assert_eq!((&line["status"], &line["app"]), (&status.into(), &Value::Null), "{host}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_counted_by_app_and_unknown_hosts_together() {
    let server = server().app("hello", site().file("index.html", "hello")).start().await;
    let mut client = server.client().await;
    for _ in 0..3 {
        client.ask("GET", "hello.localhost", "/", &[]).await;
    }
    client.ask("GET", "hello.localhost", "/nope", &[]).await;
    for number in 0..20 {
        client.ask("GET", &format!("made-up-{number}.localhost"), "/", &[]).await;
        client.ask("GET", &format!("evil-{number}.example"), "/", &[]).await;
    }
    client.ask("GET", "localhost", "/", &[]).await;
    // The next request is read after the last answer was recorded.
    client.ask("GET", "hello.localhost", "/", &[]).await;
    let text = server.metrics_text();
    for line in [
        "skylift_edge_requests_total{app=\"hello\",status=\"2xx\"} 4",
        "skylift_edge_requests_total{app=\"hello\",status=\"4xx\"} 1",
        "skylift_edge_requests_total{app=\"_unknown\",status=\"4xx\"} 40",
        "skylift_edge_requests_total{app=\"_control\",status=\"2xx\"} 1",
        "skylift_edge_connections 1",
        "skylift_edge_routed_apps 1",
        "skylift_edge_file_reads_total 1",
    ] {
        assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
    }
    assert!(!text.contains("made-up") && !text.contains("evil"), "labels are not for strangers to choose");
}

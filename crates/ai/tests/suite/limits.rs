//! Not too much of anything.

use std::sync::Arc;
use std::time::Duration;

use serde_json::json;
use skylift_ai::{Limits, Mock, Models, Node};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::support::{Platform, Told, clock, exchange, read_message, request, send};

async fn limited(limits: Limits) -> Platform {
    Platform::start(Arc::new(Mock::new(&Models::default(), clock())), Models::default(), limits).await
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_before_it_is_read() {
    let platform = limited(Limits { request_bytes_max: 1000, ..Limits::default() }).await;
    let announced = "POST /api/generate HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: 1000000\r\n\r\n";
    assert_eq!(send(platform.address, announced).await.status, 413);
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 2000, "x".repeat(2000));
    let chunked = "POST /api/generate HTTP/1.1\r\nhost: x\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n";
    assert_eq!(send(platform.address, &format!("{chunked}{chunk}")).await.status, 413);
    let small = platform.post("/api/generate", &json!({ "model": "mock", "prompt": "x", "stream": false })).await;
    assert_eq!(small.status, 200);
}

#[tokio::test]
async fn an_answer_that_is_too_large_says_so() {
    let platform = limited(Limits { answer_bytes_max: 600, ..Limits::default() }).await;
    let ask = json!({ "model": "mock", "input": "x" });
    let (status, message) = platform.post("/api/embed", &ask).await.error();
    assert!(status == 502 && message.contains("600 bytes"), "{message}");
    let lines = platform.post("/api/generate", &json!({ "model": "mock", "prompt": "x" })).await.lines();
    let (last, pieces) = lines.split_last().unwrap();
    assert!(last["error"].as_str().unwrap().contains("600 bytes"), "{last}");
    assert!(!pieces.is_empty(), "what fitted came");
}

#[tokio::test]
async fn who_asks_too_much_at_once_is_told_and_room_comes_back() {
    // A server that says nothing until the test is over keeps each request under way.
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits { at_once: 2, at_once_each: 1, ..Limits::default() };
    let platform = Platform::before(server.local_addr().unwrap(), Models::default(), limits).await;
    let ask = json!({ "model": "m", "prompt": "x", "stream": false });
    let mut first = TcpStream::connect(platform.address).await.unwrap();
    first.write_all(request("POST", "/api/generate", &ask.to_string()).as_bytes()).await.unwrap();
    let (stream, _) = server.accept().await.unwrap();
    let mut asked = BufReader::new(stream);
    read_message(&mut asked).await;
    let second = platform.post("/api/generate", &ask).await;
    assert_eq!(second.status, 429);
    assert!(second.head.contains("retry-after: 1"), "{}", second.head);
    assert_eq!(platform.get("/api/nothing").await.status, 404, "what no model works for has no turn");
    asked.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    platform.told.count(1).await;
    let again = tokio::spawn({
        let (address, ask) = (platform.address, ask.to_string());
        async move { exchange(address, "POST", "/api/generate", &ask).await }
    });
    read_message(&mut asked).await;
    asked.get_mut().write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}").await.unwrap();
    assert_eq!(again.await.unwrap().status, 200);
}

#[tokio::test]
async fn who_is_not_known_is_not_answered() {
    let told = Arc::new(Told::default());
    let engine = Arc::new(Mock::new(&Models::default(), clock()));
    let node = Node::new(engine, Models::default(), Limits::default(), told.clone());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, node.router()).await });
    let ask = json!({ "model": "mock", "prompt": "x" }).to_string();
    assert_eq!(exchange(address, "POST", "/api/generate", &ask).await.status, 401);
    assert!(told.all().is_empty());
}

#[tokio::test]
async fn an_answer_that_takes_too_long_ends() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let limits = Limits { answer_within: Duration::from_millis(50), ..Limits::default() };
    let platform = Platform::before(server.local_addr().unwrap(), Models::default(), limits).await;
    let (status, message) = platform.post("/api/generate", &json!({ "model": "m", "prompt": "x" })).await.error();
    assert!(status == 504 && message.contains("0.05 s"), "{message}");
}

#[tokio::test]
async fn numbers_are_told() {
    let platform = limited(Limits::default()).await;
    platform.post("/api/generate", &json!({ "model": "mock", "prompt": "one two", "stream": false })).await;
    platform.post("/api/generate", &json!({ "model": "none", "prompt": "x" })).await;
    platform.told.count(1).await;
    let mut text = String::new();
    platform.node.render_metrics(&mut text);
    for line in [
        "skylift_ai_requests_total{endpoint=\"generate\",status=\"200\"} 1",
        "skylift_ai_requests_total{endpoint=\"generate\",status=\"404\"} 1",
        "kind=\"prompt\"} 2",
        "skylift_ai_requests_under_way 0",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
}

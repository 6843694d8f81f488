//! A server behind the node: passed on as it comes, and its failures told.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Value, json};
use skylift_ai::{Limits, Models, Spent, Upstream, UpstreamSettings};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::support::{PATIENCE, Platform, read_message, request, settings};

/// A server that answers every request with the same bytes and closes.
async fn fixed(answer: String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = BufReader::new(stream);
            read_message(&mut stream).await;
            stream.get_mut().write_all(answer.as_bytes()).await.unwrap();
        }
    });
    address
}

fn says(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

async fn asked(server: SocketAddr, stream: bool) -> super::support::Answer {
    let platform = Platform::before(server, Models::default(), Limits::default()).await;
    platform.post("/api/generate", &json!({ "model": "m", "prompt": "x", "stream": stream })).await
}

#[tokio::test]
async fn what_a_second_node_says_is_what_the_first_says() {
    let mock = Platform::mock().await;
    let platform = Platform::before(mock.address, Models::default(), Limits::default()).await;
    for (path, ask) in [
        ("/api/generate", json!({ "model": "mock", "prompt": "Why?", "stream": false, "options": { "seed": 3 } })),
        ("/api/chat", json!({ "model": "mock", "messages": [{ "role": "user", "content": "Why?" }] })),
        ("/api/embed", json!({ "model": "mock", "input": "Why?" })),
        ("/api/embeddings", json!({ "model": "mock", "prompt": "Why?" })),
        ("/api/show", json!({ "model": "mock" })),
        ("/api/generate", json!({ "model": "other", "prompt": "Why?" })),
    ] {
        let (direct, through) = (mock.post(path, &ask).await, platform.post(path, &ask).await);
        assert_eq!(direct.status, through.status, "{path}");
        let same = |answer: &super::support::Answer| -> Vec<Value> {
            let mut lines = answer.lines();
            for line in &mut lines {
                line.as_object_mut().unwrap().retain(|name, _| !name.ends_with("_duration"));
            }
            lines
        };
        assert_eq!(same(&direct), same(&through), "{path}");
    }
    assert_eq!(mock.get("/api/tags").await.json(), platform.get("/api/tags").await.json());
    assert_eq!(mock.get("/api/version").await.json(), platform.get("/api/version").await.json());
    let through = platform.told.count(4).await;
    let both: Vec<Spent> = through.iter().flat_map(|spent| [*spent; 2]).collect();
    assert_eq!(mock.told.count(8).await, both, "both count the same");
}

#[tokio::test]
async fn a_piece_arrives_before_the_next_is_made() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let platform = Platform::before(server.local_addr().unwrap(), Models::default(), Limits::default()).await;
    let mut client = BufReader::new(TcpStream::connect(platform.address).await.unwrap());
    let ask = json!({ "model": "m", "prompt": "x" }).to_string();
    client.get_mut().write_all(request("POST", "/api/generate", &ask).as_bytes()).await.unwrap();
    let mut made = BufReader::new(server.accept().await.unwrap().0);
    let (head, body) = read_message(&mut made).await;
    assert!(head.starts_with("POST /api/generate HTTP/1.1") && body == ask, "{head}");
    made.get_mut().write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    for number in 0..3 {
        let piece = format!("{{\"response\":\"{number}\",\"done\":false}}\n");
        made.get_mut().write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
        let mut line = String::new();
        while !line.contains(&format!("\"response\":\"{number}\"")) {
            line.clear();
            tokio::time::timeout(PATIENCE, client.read_line(&mut line)).await.unwrap().unwrap();
        }
    }
}

#[tokio::test]
async fn a_client_that_goes_away_ends_the_servers_work() {
    for has_begun in [true, false] {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let platform = Platform::before(server.local_addr().unwrap(), Models::default(), Limits::default()).await;
        let mut client = BufReader::new(TcpStream::connect(platform.address).await.unwrap());
        let ask = json!({ "model": "m", "prompt": "one two three" }).to_string();
        client.get_mut().write_all(request("POST", "/api/generate", &ask).as_bytes()).await.unwrap();
        let mut made = BufReader::new(server.accept().await.unwrap().0);
        read_message(&mut made).await;
        if has_begun {
            let piece = "{\"response\":\"a\",\"done\":false}\n";
            let answer =
                format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{piece}\r\n", piece.len());
            made.get_mut().write_all(answer.as_bytes()).await.unwrap();
            let mut line = String::new();
            while !line.contains("response") {
                client.read_line(&mut line).await.unwrap();
            }
        }
        drop(client);
        let mut rest = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, made.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "its connection is closed");
        let spent = Spent { requests: 1, prompt_tokens: 3, completion_tokens: u64::from(has_begun) };
        assert_eq!(platform.told.count(1).await, [spent], "what was made until then counts");
    }
}

#[tokio::test]
async fn failures_of_the_server_are_told() {
    for (status, body, expected, told) in [
        ("404 Not Found", r#"{"error":"model 'm' not found"}"#, 404, "model 'm' not found"),
        ("400 Bad Request", r#"{"error":"\"m\" does not support chat"}"#, 400, "\"m\" does not support chat"),
        ("500 Internal Server Error", r#"{"error":"out of memory"}"#, 502, "failed with 500: out of memory"),
        ("401 Unauthorized", "who?", 502, "failed with 401: who?"),
        ("302 Found", "", 502, "failed with 302"),
        ("503 Service Unavailable", r#"{"error":"busy"}"#, 503, "as much to do as it takes"),
    ] {
        for stream in [true, false] {
            let (status, message) = asked(fixed(says(status, body)).await, stream).await.error();
            assert!(status == expected && message.contains(told), "{status} {message}");
        }
    }
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let (status, message) = asked(nobody, true).await.error();
    assert!(status == 502 && message.contains("[ai] upstream"), "{status} {message}");
    for broken in ["", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{"] {
        let (status, message) = asked(fixed(broken.to_owned()).await, false).await.error();
        assert_eq!(status, 502, "{broken:?}: {message}");
    }
}

#[tokio::test]
async fn a_server_that_breaks_off_is_told_by_the_last_line() {
    let piece = "{\"response\":\"a\",\"done\":false}\n";
    let answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{:x}\r\n{piece}\r\n", piece.len());
    let lines = asked(fixed(answer).await, true).await.lines();
    assert_eq!(lines.len(), 2);
    assert!(lines[1]["error"].as_str().unwrap().contains("broke off"), "{}", lines[1]);
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let short = Duration::from_millis(50);
    let settings = UpstreamSettings { begins_within: short, ..settings(server.local_addr().unwrap()) };
    let engine = std::sync::Arc::new(Upstream::new(&settings).unwrap());
    let platform = Platform::start(engine, Models::default(), Limits::default()).await;
    let answer = platform.post("/api/generate", &json!({ "model": "m", "prompt": "x" })).await;
    let (status, message) = answer.error();
    assert!(status == 504 && message.contains("silent for 0.05 s"), "{message}");
}

#[tokio::test]
async fn models_that_are_not_allowed_are_neither_asked_nor_shown() {
    let body = r#"{"models":[{"name":"small:latest"},{"name":"secret:latest"}]}"#;
    let server = fixed(says("200 OK", body)).await;
    let platform = Platform::before(server, Models::new(["small"]), Limits::default()).await;
    let list = platform.get("/api/tags").await.json();
    assert_eq!(list, json!({ "models": [{ "name": "small:latest" }] }));
    for path in ["/api/generate", "/api/chat", "/api/embed", "/api/embeddings", "/api/show"] {
        let refused = platform.post(path, &json!({ "model": "secret", "prompt": "x" })).await;
        assert_eq!(refused.error(), (404, "model 'secret' not found".to_owned()));
    }
    assert_eq!(platform.post("/api/show", &json!({ "model": "small" })).await.status, 200, "others are asked");
}

#[tokio::test]
async fn a_request_is_made_anew_and_the_servers_key_is_ours() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let settings = UpstreamSettings { key: Some("own".into()), ..settings(server.local_addr().unwrap()) };
    let engine = std::sync::Arc::new(Upstream::new(&settings).unwrap());
    let platform = Platform::start(engine, Models::default(), Limits::default()).await;
    let body = r#"{"model":"m","prompt":"x"}"#;
    let head = "POST /api/generate?a=b HTTP/1.1\r\nhost: x\r\nauthorization: Bearer theirs\r\nx-api-key: theirs\r\ncookie: a\r\n";
    let mut client = TcpStream::connect(platform.address).await.unwrap();
    let length = body.len();
    client.write_all(format!("{head}content-length: {length}\r\n\r\n{body}").as_bytes()).await.unwrap();
    let mut made = BufReader::new(server.accept().await.unwrap().0);
    let (head, sent) = read_message(&mut made).await;
    let head = head.to_ascii_lowercase();
    assert_eq!(sent, body);
    assert!(head.starts_with("post /api/generate http/1.1") && head.contains("authorization: bearer own"), "{head}");
    assert!(!head.contains("theirs") && !head.contains("cookie"), "{head}");
}

#[test]
fn an_address_is_checked_before_anybody_is_asked() {
    for url in ["127.0.0.1:11434", "ftp://x", "http://", "http://user:word@x", "http://x?y", "", "http://a b"] {
        let settings = UpstreamSettings { url: url.to_owned(), ..settings(SocketAddr::from(([127, 0, 0, 1], 1))) };
        assert!(Upstream::new(&settings).is_err(), "{url}");
    }
}

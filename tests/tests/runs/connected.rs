//! Runs that are talked to while they go on.

use std::time::Duration;

use serde_json::{Value, json};
use skylift_tests::socket::Socket;
use skylift_tests::{Platform, Request, wait};

use crate::{key, run, with_key};

const CONNECT: &str = "/v1/runs/connect";

async fn open(platform: &Platform, token: &str) -> Socket {
    Socket::open(platform.address(), "localhost", CONNECT, &[("x-api-key", token)])
        .await
        .unwrap_or_else(|got| panic!("{got:?}"))
}

fn python(source: &str) -> Value {
    json!({ "language": "python", "source": source })
}

/// What was printed, of what was told.
pub(super) fn printed(told: &[Value]) -> String {
    told.iter().filter_map(|told| told["data"].as_str()).collect()
}

/// What is told until some text was printed.
async fn until_printed(socket: &mut Socket, text: &str) {
    let mut printed = String::new();
    while !printed.contains(text) {
        let told = socket.hear().await;
        assert!(matches!(told["event"].as_str(), Some("running" | "stdout")), "{told}");
        printed.push_str(told["data"].as_str().unwrap_or_default());
    }
}

#[tokio::test]
async fn a_run_is_talked_to_until_it_ends() {
    let platform = Platform::start().await;
    let token = platform.token();
    let mut socket = open(&platform, &token).await;
    let echo = "import sys\nfor line in sys.stdin:\n    print('heard', line.strip())\nprint('é' * 100000)\nsys.exit(3)";
    let mut request = python(echo);
    request["stdin"] = json!("zero\n");
    socket.say(&request).await;
    until_printed(&mut socket, "heard zero\n").await;
    socket.say(&json!({ "stdin": "one\n" })).await;
    until_printed(&mut socket, "heard one\n").await;
    socket.say(&json!({ "stdin": "dHdvCg==", "encoding": "base64" })).await;
    socket.say(&json!({ "stdin_end": true })).await;
    let (told, close) = socket.rest().await;
    assert_eq!(
        printed(&told),
        format!("heard two\n{}\n", "é".repeat(100_000)),
        "characters are whole, and none is lost"
    );
    let done = told.last().unwrap();
    assert_eq!(
        (&done["event"], &done["exit_code"], &done["status"]),
        (&json!("done"), &json!(3), &json!("exit_nonzero"))
    );
    assert_eq!(close.map(|(code, _)| code), Some(1000));

    let mut socket = open(&platform, &token).await;
    socket.say(&python("import time\ntry:\n    print('there', flush=True)\n    time.sleep(9)\nexcept KeyboardInterrupt:\n    print('told')")).await;
    until_printed(&mut socket, "there\n").await;
    socket.say(&json!({ "signal": "SIGINT" })).await;
    let (told, _) = socket.rest().await;
    assert_eq!((printed(&told), &told.last().unwrap()["status"]), ("told\n".to_owned(), &json!("ok")), "{told:?}");
}

#[tokio::test]
async fn who_may_not_gets_no_socket_and_what_is_wrong_is_told_in_it() {
    let platform = Platform::start().await;
    let token = platform.token();
    let refused = |fields| Socket::open(platform.address(), "localhost", CONNECT, fields);
    for (fields, status) in [
        (&[][..], 401),
        (&[("x-api-key", "no")][..], 401),
        (&[("x-api-key", token.as_str()), ("origin", "http://evil.example")][..], 403),
    ] {
        assert_eq!(refused(fields).await.err().map(|(status, _)| status), Some(status), "{fields:?}");
    }
    platform.api(Request::get(CONNECT)).await.is_error(400, "bad_request");
    for (said, told, code) in [
        ("", "bad_request", 1008),
        (r#"{"language":"none","source":""}"#, "invalid", 1008),
        (r#"{"language":"python","source":"","stdins":["a"]}"#, "invalid", 1008),
    ] {
        let mut socket = open(&platform, &token).await;
        socket.text(said).await;
        let (heard, close) = socket.rest().await;
        assert_eq!((&heard[0]["event"], &heard[0]["code"]), (&json!("error"), &json!(told)), "{said}");
        assert_eq!(close.map(|(code, _)| code), Some(code), "{said}");
    }
    let (heard, close) = open(&platform, &token).await.rest().await;
    assert_eq!((&heard[0]["event"], close.map(|(code, _)| code)), (&json!("error"), Some(1008)), "who says nothing");
    let mut socket = open(&platform, &token).await;
    socket.say(&python("input()")).await;
    assert_eq!(socket.hear().await["event"], "running");
    socket.text("what").await;
    let (heard, close) = socket.rest().await;
    assert_eq!((&heard[0]["code"], close.map(|(code, _)| code)), (&json!("bad_request"), Some(1008)));
}

#[tokio::test]
async fn who_goes_ends_the_run_and_who_takes_nothing_does_not_hold_it_up() {
    let platform = Platform::start().await;
    let (_, secret) = key(&platform, &json!({ "name": "one", "scopes": ["runs"], "at_once": 1 })).await;
    let hello = || Request::post("/run").json(&json!({ "language": "bash", "source": "echo hello" }));
    let is_free = async || (with_key(&platform, &secret, hello()).await.status == 200).then_some(());

    let mut socket = open(&platform, &secret).await;
    let mut forever = python("while True: pass");
    forever["limits"] = json!({ "wall_ms": 60_000, "cpu_ms": 60_000 });
    socket.say(&forever).await;
    assert_eq!(socket.hear().await["event"], "running");
    with_key(&platform, &secret, hello()).await.is_error(429, "rate_limited");
    let mut second = open(&platform, &secret).await;
    second.say(&forever).await;
    let (heard, close) = second.rest().await;
    assert_eq!((&heard[0]["code"], close.map(|(code, _)| code)), (&json!("rate_limited"), Some(1013)));
    assert_eq!(heard[0]["retry_after_s"], 1, "no header says it there");
    drop(socket);
    wait::until_within(Duration::from_secs(20), "the run that nobody hears has ended", is_free).await;

    // Much more than lies between the two: what was printed waits for its reader, the limits do not.
    let mut deaf = open(&platform, &secret).await;
    let mut flood = python("import sys\nsys.stdout.write('x' * (7 << 20))\nsys.stdout.flush()\nwhile True: pass");
    flood["limits"] = json!({ "wall_ms": 3000, "output_bytes": 8 << 20 });
    deaf.say(&flood).await;
    assert_eq!(deaf.hear().await["event"], "running");
    wait::until_within(Duration::from_secs(20), "its limit has ended it", is_free).await;
    let (told, _) = deaf.rest().await;
    assert_eq!(told.last().unwrap()["status"], "time_limit");
    let printed: usize =
        told.iter().filter(|told| told["event"] == "stdout").map(|told| told["data"].as_str().unwrap().len()).sum();
    assert_eq!(printed, 7 << 20);
    assert_eq!(run(&platform, &python("print(1)")).await.json()["stdout"], "1\n");
}

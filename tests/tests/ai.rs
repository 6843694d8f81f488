//! Models are asked on a host name of their own, by who may, and by runs that may.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::net::SocketAddr;

use serde_json::{Value, json};
use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, Response, wait};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;
use wait::PATIENCE;

const HOST: &str = "ai.localhost";

async fn key(platform: &Platform, name: &str, scopes: Value) -> (String, String) {
    let made = platform.api(Request::post("/v1/keys").json(&json!({ "name": name, "scopes": scopes }))).await.json();
    (made["id"].as_str().unwrap().to_owned(), made["key"].as_str().unwrap().to_owned())
}

fn generate(prompt: &str) -> Request {
    Request::post("/api/generate").host(HOST).json(&json!({ "model": "mock", "prompt": prompt, "stream": false }))
}

/// What is told of a key.
async fn told(platform: &Platform, id: &str) -> Value {
    let list = platform.api(Request::get("/v1/keys")).await.json();
    let found = list["keys"].as_array().unwrap().iter().find(|key| key["id"] == id);
    found.unwrap()["ai"].clone()
}

fn refusal(answer: &Response) -> (u16, String) {
    (answer.status, answer.json()["error"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn models_are_asked_on_a_host_of_their_own_and_counted_for_each_key() {
    let mut platform = Platform::start().await;
    let announced = Request::post("/api/generate").host(HOST).announcing(1 << 30);
    let (status, message) = refusal(&platform.send(announced).await);
    assert!(status == 401 && message.contains("Authorization: Bearer"), "{message}");
    let (_, runs) = key(&platform, "runs", json!(["runs"])).await;
    let (status, message) = refusal(&platform.send(generate("x").token(&runs)).await);
    assert!(status == 403 && message.contains("`ai`"), "{message}");

    let (id, ai) = key(&platform, "ai", json!(["ai"])).await;
    let answer = platform.send(generate("Why is the sky blue?").header("x-api-key", &ai)).await.json();
    assert_eq!((&answer["done"], &answer["prompt_eval_count"]), (&json!(true), &json!(6)), "{answer}");
    let chat = json!({ "model": "mock", "messages": [{ "role": "user", "content": "Hello" }] });
    let streamed = platform.send(Request::post("/api/chat").host("AI.localhost.").token(&ai).json(&chat)).await;
    assert_eq!(streamed.header("content-type"), "application/x-ndjson");
    let lines: Vec<Value> = streamed.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (last, pieces) = lines.split_last().unwrap();
    assert!(!pieces.is_empty() && pieces.iter().all(|piece| piece["done"] == false) && last["done"] == true);
    let completion = answer["eval_count"].as_u64().unwrap() + last["eval_count"].as_u64().unwrap();
    let expected = json!({ "requests": 2, "prompt_tokens": 7, "completion_tokens": completion });
    wait::until("both are counted", async || (told(&platform, &id).await == expected).then_some(())).await;

    // As often as it may be used, and no more.
    let seldom = json!({ "name": "seldom", "scopes": ["ai"], "rate": { "runs": 2, "per_s": 3600 } });
    let seldom = platform.api(Request::post("/v1/keys").json(&seldom)).await.json()["key"].as_str().unwrap().to_owned();
    for status in [200, 200, 429] {
        assert_eq!(platform.send(generate("x").token(&seldom)).await.status, status);
    }
    let refused = platform.send(generate("x").token(&seldom)).await;
    assert!(refused.header("retry-after").parse::<u64>().unwrap() > 1, "{}", refused.brief());
    assert_eq!((refused.header("ratelimit-limit"), refusal(&refused).0), ("2", 429));

    // The key is for nothing else, and nothing else is at that name.
    let elsewhere = |path: &str| Request::get(path).host("localhost").token(&ai);
    platform.send(elsewhere("/v1/apps")).await.is_error(403, "forbidden");
    platform.send(elsewhere("/v1/ai/usage")).await.is_error(403, "forbidden");
    let run = Request::post("/run").host("localhost").token(&ai);
    platform.send(run.json(&json!({ "language": "bash", "source": "true" }))).await.is_error(403, "forbidden");
    for path in ["/v1/apps", "/run", "/metrics", "/healthz"] {
        let at_ai = platform.send(Request::get(path).host(HOST).token(&platform.token())).await;
        assert_eq!(at_ai.status, 404, "{path}");
    }
    platform.api(Request::post("/v1/apps").json(&json!({ "name": "ai" }))).await.is_error(422, "invalid");

    // The owner's token may ask, too; what was counted is there after a crash.
    assert_eq!(platform.send(generate("Hello").token(&platform.token())).await.status, 200);
    let days =
        async |platform: &Platform| platform.api(Request::get("/v1/ai/usage?days=2")).await.json()["days"].clone();
    wait::until("the owner's", async || (days(&platform).await.as_array().unwrap().len() == 3).then_some(())).await;
    let before = days(&platform).await;
    let metrics = platform.api(Request::get("/metrics")).await.text();
    let counted = format!("skylift_ai_tokens_total{{key=\"{id}\",kind=\"completion\"}} {completion}");
    assert!(metrics.contains(&counted), "{metrics}");
    platform.crash().await;
    assert_eq!(days(&platform).await, before);
    let listed = platform.cli(&["keys", "ls"]).await.ok();
    assert!(listed.stdout.contains(&(7 + completion).to_string()), "{}", listed.stdout);
}

const ASK: &str = r#"
import json, os, socket, urllib.request
url = os.environ['AI_URL']
body = json.dumps({'model': 'mock', 'prompt': 'one two three'}).encode()
with urllib.request.urlopen(urllib.request.Request(url + '/api/generate', body)) as answer:
    lines = [json.loads(line) for line in answer]
print(url, len(lines) > 1, lines[-1]['done'], lines[-1]['prompt_eval_count'], ''.join(line['response'] for line in lines)[:24])
for place in ['/v1/apps', '/metrics', '/']:
    try: print(urllib.request.urlopen(url + place).status)
    except urllib.error.HTTPError as error: print(error.code)
for address in [('127.0.0.1', PORT), ('127.0.0.1', 11435), ('169.254.169.254', 80), ('10.0.0.1', 11434)]:
    try: print('reached', socket.create_connection(address, 5))
    except OSError as error: print(error.strerror)
"#;

/// A control for it: nothing was granted.
const LOOK: &str = r"
import os, socket
print(os.environ.get('AI_URL'))
try: print('reached', socket.create_connection(('127.0.0.1', 11434), 5))
except OSError as error: print(error.strerror)
";

#[tokio::test]
async fn a_run_that_may_asks_models_on_behalf_of_its_key_and_no_other_run_reaches_them() {
    let platform = Platform::start().await;
    let (id, both) = key(&platform, "both", json!(["runs", "ai"])).await;
    let (_, runs) = key(&platform, "runs", json!(["runs"])).await;
    let run = async |token: &str, request: &Value| {
        platform.send(Request::post("/run").host("localhost").token(token).json(request)).await
    };
    let ask = ASK.replace("PORT", &platform.port().to_string());
    let asks = json!({ "language": "python", "source": ask, "ai": true });
    run(&runs, &asks).await.is_error(403, "forbidden");
    let answer = run(&both, &asks).await.json();
    let nowhere = "Connection refused\nConnection refused\nNetwork is unreachable\nNetwork is unreachable\n";
    let said = format!("http://127.0.0.1:11434 True True 3 You said: one two three.\n404\n404\n404\n{nowhere}");
    assert_eq!(answer["stdout"], said, "{answer}");
    // Started by itself, and told something else of where models are.
    let plain = r#"exec 3<>/dev/tcp/127.0.0.1/11434; printf 'GET /api/version HTTP/1.0\r\n\r\n' >&3; head -1 <&3; echo $AI_URL"#;
    let plain = json!({ "language": "bash", "source": plain, "ai": true, "env": { "AI_URL": "http://example.org" } });
    let answer = run(&both, &plain).await.json();
    assert_eq!(answer["stdout"], "HTTP/1.0 200 OK\r\nhttp://127.0.0.1:11434\n", "{answer}");
    // Each input's start asks anew; nothing of the one before is there.
    let inputs = json!({ "language": "python", "source": "import os, urllib.request\nprint(urllib.request.urlopen(os.environ['AI_URL'] + '/api/tags').status)",
        "stdins": ["a", "b"], "ai": true });
    assert_eq!(run(&both, &inputs).await.json()["runs"][1]["stdout"], "200\n");

    for request in
        [json!({ "language": "python", "source": LOOK }), json!({ "language": "python", "source": LOOK, "ai": false })]
    {
        for token in [&both, &platform.token()] {
            let answer = run(token, &request).await.json();
            assert_eq!(answer["stdout"], "None\nConnection refused\n", "{answer}");
        }
    }
    let expected = |told: &Value| told["requests"] == 1 && told["prompt_tokens"] == 3;
    wait::until("what it asked is its key's", async || expected(&told(&platform, &id).await).then_some(())).await;
}

async fn accepted(server: &TcpListener) -> BufReader<TcpStream> {
    BufReader::new(timeout(PATIENCE, server.accept()).await.expect("somebody asks").unwrap().0)
}

/// Reads what has come of a request, up to the end of its body.
async fn read_request(stream: &mut BufReader<TcpStream>) -> String {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let mut line = String::new();
        timeout(PATIENCE, stream.read_line(&mut line)).await.unwrap().unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().unwrap();
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.unwrap();
    head
}

async fn is_closed(stream: &mut BufReader<TcpStream>) {
    let mut rest = Vec::new();
    let _reset_or_not = timeout(PATIENCE, stream.read_to_end(&mut rest)).await.expect("it is closed");
}

#[tokio::test]
async fn a_server_is_asked_in_the_mocks_place_and_only_for_as_long_as_somebody_waits() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("[ai]\nupstream = \"http://{}\"\n", server.local_addr().unwrap());
    let platform = Platform::configured(&url).await;
    let mut client = BufReader::new(TcpStream::connect(platform.address()).await.unwrap());
    let body = json!({ "model": "any", "prompt": "x" }).to_string();
    let (token, length) = (platform.token(), body.len());
    let head = format!(
        "POST /api/generate HTTP/1.1\r\nhost: {HOST}\r\nauthorization: Bearer {token}\r\ncontent-length: {length}\r\n\r\n"
    );
    client.get_mut().write_all(format!("{head}{body}").as_bytes()).await.unwrap();
    let mut asked = accepted(&server).await;
    let head = read_request(&mut asked).await;
    assert!(!head.contains(&token), "{head}");
    asked.get_mut().write_all(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n").await.unwrap();
    for number in 0..2 {
        // Each is read before the next is made.
        let piece = format!("{{\"response\":\"{number}\",\"done\":false}}\n");
        asked.get_mut().write_all(format!("{:x}\r\n{piece}\r\n", piece.len()).as_bytes()).await.unwrap();
        let mut line = String::new();
        while line != piece {
            line.clear();
            timeout(PATIENCE, client.read_line(&mut line)).await.unwrap().unwrap();
        }
    }
    drop(client);
    // Whoever is gone is noticed by what is sent to it.
    let more = async {
        while asked.get_mut().write_all(b"1\r\n \r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, more).await.expect("the server is told");

    // A run that has ended asks no more.
    let source = "import socket\nasking = socket.create_connection(('127.0.0.1', 11434))\n\
        asking.sendall(b'GET /api/tags HTTP/1.1\\r\\nhost: localhost\\r\\n\\r\\n')\nasking.recv(1)";
    let request = json!({ "language": "python", "source": source, "ai": true, "limits": { "wall_ms": 3000 } });
    let run = platform.api(Request::post("/run").json(&request));
    let asked = async {
        let mut asked = accepted(&server).await;
        read_request(&mut asked).await;
        is_closed(&mut asked).await;
    };
    let (run, ()) = tokio::join!(run, asked);
    assert_eq!(run.json()["status"], "time_limit");
    let away = "HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n";
    let tags = platform.send(Request::get("/api/tags").host(HOST).token(&token));
    let answering = async {
        let mut asked = accepted(&server).await;
        read_request(&mut asked).await;
        asked.get_mut().write_all(away.as_bytes()).await.unwrap();
    };
    let (answer, ()) = tokio::join!(tags, answering);
    let (status, message) = refusal(&answer);
    assert!(status == 502 && message.contains("failed with 500"), "{message}");
    drop(server);
    let (status, message) = refusal(&platform.send(generate("x").token(&token)).await);
    assert!(status == 502 && message.contains("[ai] upstream"), "{message}");
}

/// Where one listens that has some of the roles.
fn listens(platform: &Platform) -> SocketAddr {
    let (_, port) = platform.ready.trim().rsplit_once(':').unwrap();
    SocketAddr::from(([127, 0, 0, 1], port.parse().unwrap()))
}

#[tokio::test]
async fn an_edge_hands_questions_on_to_the_process_that_has_the_role() {
    let name = "an_edge_hands_questions_on_to_the_process_that_has_the_role";
    let Some(stores) = OwnStores::start(name).await else { return };
    let start = async |roles: &str, edge: &str| {
        let config = format!("listen = \"127.0.0.1:0\"\n{}{edge}", stores.settings());
        let mut platform = Platform::prepared_on(stores.postgres.url(), &config);
        platform.set_roles(roles);
        platform.up().await;
        platform
    };
    let api = start("api", "").await;
    let ai = start("ai", "").await;
    let edge = start("edge", &format!("[edge]\nai = \"{}\"\n", listens(&ai))).await;
    let token = api.token();
    let answer = generate("Hello").token(&token).send(listens(&edge)).await;
    assert_eq!(answer.json()["done"], true, "{}", answer.brief());
    let (status, _) = refusal(&generate("Hello").token("wrong").send(listens(&edge)).await);
    assert_eq!(status, 401);
    // Who has neither the role nor an address says so; who has the role answers nothing else.
    let (status, message) = refusal(&generate("Hello").token(&token).send(listens(&api)).await);
    assert!(status == 503 && message.contains("[edge]"), "{message}");
    let other = Request::get("/v1/apps").host("localhost").token(&token).send(listens(&ai)).await;
    other.is_error(503, "unavailable");
    let days = async || Request::get("/v1/ai/usage").host("localhost").token(&token).send(listens(&api)).await.json();
    let is_counted = |told: &Value| told["days"][0]["requests"] == 1 && told["days"][0]["name"] == "owner";
    wait::until("what was answered there is told here", async || is_counted(&days().await).then_some(())).await;
}

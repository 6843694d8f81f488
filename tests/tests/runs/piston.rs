//! Piston's clients, on its own host name.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use skylift_tests::socket::Socket;
use skylift_tests::{Platform, Request, Response};

use crate::key;

const HOST: &str = "piston.localhost";
const CONNECT: &str = "/api/v2/connect";

/// A platform that answers Piston's clients, as a key with one run at a time.
async fn with_piston(folder: &Path) -> Platform {
    let file = folder.join("key");
    let platform = Platform::configured(&format!("[runs.piston]\nkey_file = \"{}\"\n", file.display())).await;
    let unread = get(&platform, "/api/v2/runtimes").await;
    assert_eq!((unread.status, unread.text().contains("names cannot be read")), (503, true), "{}", unread.brief());
    fs::write(&file, "\n").unwrap();
    let empty = get(&platform, "/api/v2/runtimes").await;
    assert_eq!((empty.status, empty.text().contains("`key_file`") && empty.text().contains("is empty")), (503, true));
    fs::write(&file, platform.token()).unwrap();
    let refused = get(&platform, "/api/v2/runtimes").await;
    assert_eq!((refused.status, refused.text().contains("may do everything")), (403, true), "{}", refused.brief());
    let (_, secret) = key(&platform, &json!({ "name": "piston", "scopes": ["runs"], "at_once": 1 })).await;
    fs::write(&file, format!("{secret}\n")).unwrap();
    platform
}

async fn get(platform: &Platform, path: &str) -> Response {
    platform.send(Request::get(path).host(HOST)).await
}

async fn execute(platform: &Platform, asked: &Value) -> Response {
    platform.send(Request::post("/api/v2/execute").host(HOST).json(asked)).await
}

async fn connect(platform: &Platform) -> Socket {
    Socket::open(platform.address(), HOST, CONNECT, &[]).await.unwrap_or_else(|got| panic!("{got:?}"))
}

fn python(source: &str) -> Value {
    json!({ "language": "py", "version": "3.x", "files": [{ "content": source }] })
}

#[tokio::test]
async fn without_a_key_it_is_off() {
    let platform = Platform::start().await;
    let token = platform.token();
    let key = ("x-api-key", token.as_str());
    for path in ["/", "/api/v2/runtimes", "/api/v2/packages", "/nowhere", "/healthz"] {
        let answer = platform.send(Request::get(path).host(HOST).header(key.0, key.1)).await;
        assert_eq!((answer.status, answer.text().contains("key_file")), (403, true), "{path}: {}", answer.brief());
    }
    let answer = execute(&platform, &python("print(1)")).await;
    assert!(
        answer.status == 403 && answer.json()["message"].as_str().unwrap().contains("is off"),
        "{}",
        answer.brief()
    );
    assert_eq!(
        Socket::open(platform.address(), HOST, CONNECT, &[key]).await.err().map(|(status, _)| status),
        Some(403)
    );
}

#[tokio::test]
async fn its_clients_run_code_as_there() {
    let folder = tempfile::tempdir().unwrap();
    let platform = with_piston(folder.path()).await;
    let runtimes = get(&platform, "/api/v2/runtimes").await.json();
    let python_here = runtimes.as_array().unwrap().iter().find(|one| one["language"] == "python").unwrap();
    assert!(python_here["aliases"].as_array().unwrap().contains(&json!("python3")));
    let packages = get(&platform, "/api/v2/packages").await.json();
    assert!(
        packages.as_array().unwrap().contains(&json!({
        "language": "python", "language_version": python_here["version"], "installed": true })),
        "{packages}"
    );
    let install =
        Request::post("/api/v2/packages").host(HOST).json(&json!({ "language": "python", "version": "2.7.18" }));
    assert_eq!(platform.send(install).await.status, 403);

    let asked = json!({
        "language": "python", "version": python_here["version"],
        "files": [{ "name": "my_cool_code.py", "content": "import sys\nprint(sys.argv[1:], input())\nopen('data', 'rb').read()[1]" },
            { "name": "data", "content": "_w", "encoding": "base64" }],
        "stdin": "in", "args": ["1", "2"], "compile_timeout": 10000, "run_timeout": 3000,
        "compile_cpu_time": 10000, "run_cpu_time": 3000, "compile_memory_limit": -1, "run_memory_limit": -1
    });
    let answer = execute(&platform, &asked).await.json();
    let run = &answer["run"];
    assert_eq!(
        (&answer["language"], &answer["version"], answer.get("compile")),
        (&json!("python"), &python_here["version"], None)
    );
    assert_eq!(
        (&run["stdout"], &run["code"], &run["status"], &run["signal"]),
        (&json!("['1', '2'] in\n"), &json!(1), &json!("RE"), &Value::Null)
    );
    assert!(run["stderr"].as_str().unwrap().contains("IndexError") && run["memory"].as_u64().unwrap() > 0, "{answer}");
    let (stdout, stderr) = (run["stdout"].as_str().unwrap(), run["stderr"].as_str().unwrap());
    let output = run["output"].as_str().unwrap();
    assert!(output == format!("{stdout}{stderr}") || output == format!("{stderr}{stdout}"), "{output}");

    let broken = json!({ "language": "c++", "version": "*", "files": [{ "content": "int main() { return x; }" }] });
    let answer = execute(&platform, &broken).await.json();
    assert_eq!((&answer["run"], &answer["run"]["status"]), (&answer["compile"], &json!("RE")), "{answer}");
    assert!(answer["run"]["stderr"].as_str().unwrap().contains("not declared"));

    let mut slow = python("import time\nprint('so far', flush=True)\ntime.sleep(9)");
    slow["run_timeout"] = json!(700);
    let run = execute(&platform, &slow).await.json()["run"].clone();
    assert_eq!(
        (&run["status"], &run["signal"], &run["code"], &run["stdout"]),
        (&json!("TO"), &json!("SIGKILL"), &Value::Null, &json!("so far\n"))
    );
    let run = execute(&platform, &python("print('x' * 2000)")).await.json()["run"].clone();
    assert_eq!((&run["status"], run["stdout"].as_str().unwrap().len()), (&json!("OL"), 1024), "{run}");

    let plain = Request::post("/api/v2/execute").host(HOST).body(asked.to_string());
    let answer = platform.send(plain).await;
    assert_eq!(
        (answer.status, answer.json()),
        (415, json!({ "message": "requests must be of type application/json" }))
    );
    slow["run_timeout"] = json!(3001);
    let answer = execute(&platform, &slow).await;
    let told = json!({ "message": "run_timeout cannot exceed the configured limit of 3000" });
    assert_eq!((answer.status, answer.json()), (400, told));
    assert_eq!(get(&platform, "/v1/runs").await.status, 404, "nothing else answers there");
}

#[tokio::test]
async fn its_sockets_speak_as_there_and_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let platform = with_piston(folder.path()).await;
    let foreign = Socket::open(platform.address(), HOST, CONNECT, &[("origin", "http://evil.example")]).await;
    assert_eq!(foreign.err().map(|(status, _)| status), Some(403));
    let init = |asked: Value| {
        let mut asked = asked;
        asked["type"] = json!("init");
        asked
    };
    let mut socket = connect(&platform).await;
    let source = "import time\ntry:\n    print(input(), flush=True)\n    time.sleep(9)\nexcept KeyboardInterrupt:\n    print('x' * 20000)\n    raise SystemExit(4)";
    socket.say(&init(python(source))).await;
    assert_eq!(socket.hear().await["type"], "runtime");
    assert_eq!(socket.hear().await, json!({ "type": "stage", "stage": "run" }));
    assert_eq!(execute(&platform, &python("1")).await.status, 429, "one key, one run at a time");
    socket.say(&json!({ "type": "data", "stream": "stdin", "data": "there\n" })).await;
    let mut heard = String::new();
    while heard != "there\n" {
        let told = socket.hear().await;
        assert_eq!((&told["type"], &told["stream"]), (&json!("data"), &json!("stdout")), "after {heard:?}");
        heard.push_str(told["data"].as_str().unwrap());
    }
    socket.say(&json!({ "type": "signal", "signal": "SIGINT" })).await;
    let (told, close) = socket.rest().await;
    let printed: usize = told.iter().filter_map(|told| told["data"].as_str()).map(str::len).sum();
    assert_eq!(
        (printed, told.last().unwrap()),
        (20_001, &json!({ "type": "exit", "stage": "run", "code": 4, "signal": null }))
    );
    assert_eq!(close, Some((4999, "Job Completed".to_owned())));

    let mut socket = connect(&platform).await;
    let program = "#include <cstdio>\n#warning careful\nint main() { std::puts(\"built\"); }";
    socket.say(&init(json!({ "language": "cpp", "version": "*", "files": [{ "content": program }] }))).await;
    let (told, close) = socket.rest().await;
    let order: Vec<&str> =
        told.iter().map(|told| told["stage"].as_str().or(told["stream"].as_str()).unwrap_or_default()).collect();
    assert_eq!(order, ["", "compile", "stderr", "compile", "run", "stdout", "run"], "{told:?}");
    assert_eq!(close.map(|(code, _)| code), Some(4999));

    let asked = init(python("input()"));
    let wrong = [
        (vec![json!({ "type": "data", "stream": "stdin", "data": "x" })], 4003),
        (vec![json!({ "type": "signal", "signal": "SIGINT" })], 4003),
        (vec![json!({ "type": "nothing" })], 4001),
        (vec![init(json!({ "language": "none" }))], 4002),
        (vec![asked.clone(), asked.clone()], 4000),
        (vec![asked.clone(), json!({ "type": "data", "stream": "stdout", "data": "x" })], 4004),
        (vec![asked, json!({ "type": "signal", "signal": "SIGNOTHING" })], 4005),
    ];
    for (said, code) in wrong {
        let mut socket = connect(&platform).await;
        for message in &said {
            socket.say(message).await;
        }
        let (told, close) = socket.rest().await;
        assert_eq!(close.map(|(code, _)| code), Some(code), "{said:?}");
        assert_eq!(told.iter().any(|told| told["type"] == "error"), code == 4002, "{told:?}");
    }
}

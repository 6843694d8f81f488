//! Code that is sent is run, in every language that is here, and its verdict told.

#![expect(clippy::unwrap_used, clippy::print_stderr, reason = "a panic is how tests fail; what is skipped is told")]

#[path = "runs/apart.rs"]
mod apart;
#[path = "runs/callbacks.rs"]
mod callbacks;
#[path = "runs/compiling.rs"]
mod compiling;
#[path = "runs/connected.rs"]
mod connected;
#[path = "runs/hostile.rs"]
mod hostile;
#[path = "runs/judge0.rs"]
mod judge0;
#[path = "runs/killed.rs"]
mod killed;
#[path = "runs/leaks.rs"]
mod leaks;
#[path = "runs/packages.rs"]
mod packages;
#[path = "runs/piston.rs"]
mod piston;
#[path = "runs/queued.rs"]
mod queued;
#[path = "runs/quotas.rs"]
mod quotas;
#[path = "runs/tuned.rs"]
mod tuned;
#[path = "runs/workers.rs"]
mod workers;

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use skylift_tests::{Platform, Request, Response, wait};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

async fn run(platform: &Platform, request: &Value) -> Response {
    platform.api(Request::post("/run").json(request)).await
}

/// Whether an answer has all that is expected of it, whatever else it has.
fn has(answer: &Value, expected: &Value) -> bool {
    match (answer, expected) {
        (Value::Object(answer), Value::Object(expected)) => {
            expected.iter().all(|(name, value)| has(answer.get(name).unwrap_or(&Value::Null), value))
        }
        (Value::Array(answer), Value::Array(expected)) => {
            answer.len() == expected.len() && answer.iter().zip(expected).all(|(one, other)| has(one, other))
        }
        _ => answer == expected,
    }
}

/// The cases of one language: a file each, what is sent and what the answer has to have.
fn cases(language: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/runs/languages").join(language);
    let mut cases: Vec<(String, Value)> = fs::read_dir(folder)
        .unwrap()
        .map(|file| {
            let path = file.unwrap().path();
            (path.display().to_string(), serde_json::from_slice(&fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    cases.sort_by(|a, b| a.0.cmp(&b.0));
    cases
}

#[tokio::test]
async fn every_language_that_is_here_does_what_its_cases_say() {
    let platform = Platform::start().await;
    let languages = platform.api(Request::get("/v1/languages")).await.json();
    let here: Vec<&str> =
        languages["languages"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    for always in ["python", "c++", "c", "bash"] {
        assert!(here.contains(&always), "{always} is not among {here:?}");
    }
    let mut wrong = Vec::new();
    for language in ["python", "node", "c++", "c", "bash", "go", "java", "rust"] {
        if !here.contains(&language) {
            eprintln!("SKIPPED {language}: it is not on this machine");
            continue;
        }
        for (name, case) in cases(language) {
            let response = run(&platform, &case["request"]).await;
            let answer = if response.status == 200 { response.json() } else { json!({ "refused": response.text() }) };
            if !has(&answer, &case["answer"]) {
                wrong.push(format!("{name}: expected {}, got {answer:#}", case["answer"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    for (language, source) in [("python", "print(1)"), ("node", "console.log(1)")] {
        wait::until("one that waits", async || {
            let answer = run(&platform, &json!({ "language": language, "source": source })).await.json();
            (!here.contains(&language) || answer["usage"]["start"] == "pool").then_some(())
        })
        .await;
    }
    assert!(!platform.log().contains("programs begin later"), "{}", platform.log());
}

#[tokio::test]
async fn who_may_not_is_refused_before_the_body_and_what_is_wrong_is_named() {
    let platform = Platform::start().await;
    let refused = platform.send(Request::post("/run").host("localhost").body(vec![b'x'; 9 << 20])).await;
    refused.is_error(401, "unauthorized");
    // As `curl -d` sends it.
    let form = Request::post("/run").header("content-type", "application/x-www-form-urlencoded");
    let body = br#"{"language":"python","source":"print(1)"}"#.to_vec();
    let answer = platform.api(form.body(body)).await.json();
    assert_eq!((&answer["status"], &answer["stdout"]), (&json!("ok"), &json!("1\n")), "{answer}");
    for (request, status, code) in [
        (json!({ "language": "python" }), 422, "invalid"),
        (json!({ "language": "cobol", "source": "" }), 422, "invalid"),
        (json!({ "language": "python", "source": "", "limits": { "memory_bytes": 1_u64 << 40 } }), 422, "invalid"),
        (json!({ "language": "python", "source": "", "outputs": ["["] }), 422, "invalid"),
        (json!({ "language": "python", "code": "" }), 400, "bad_request"),
        (json!([]), 400, "bad_request"),
    ] {
        let answer = run(&platform, &request).await;
        answer.is_error(status, code);
    }
    let none = run(&platform, &json!({ "language": "cobol", "source": "" })).await.json();
    assert!(none["error"]["hint"].as_str().unwrap().contains("python"), "{none}");
    let limits = platform.api(Request::get("/v1/limits")).await.json();
    assert_eq!(limits["usual"]["wall_ms"], 10_000);
}

#[tokio::test]
async fn of_too_many_files_those_that_fit_are_told_and_that_there_were_more() {
    let platform = Platform::start().await;
    let source = "import sys\nfor n in range(int(sys.argv[1])): open(f'{n:02}.txt', 'w').write('x')";
    let left = |count: &str, mode: &str| json!({ "language": "python", "source": source, "args": [count], "outputs": ["*.txt"], "mode": mode });
    let names = |run: &Value| -> Vec<String> {
        run["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap().to_owned()).collect()
    };
    let first: Vec<String> = (0..64).map(|n| format!("{n:02}.txt")).collect();
    let all = run(&platform, &left("64", "sync")).await.json();
    assert_eq!((names(&all), &all["files_truncated"]), (first.clone(), &Value::Null));
    let streamed = run(&platform, &left("65", "stream")).await.text();
    let queued = run(&platform, &left("65", "async")).await.json();
    let queued = queued::once(&platform, queued["id"].as_str().unwrap(), "done").await;
    let done = streamed.lines().rev().find_map(|line| line.strip_prefix("data: ")).unwrap();
    for run in [run(&platform, &left("65", "sync")).await.json(), queued, serde_json::from_str(done).unwrap()] {
        assert_eq!((names(&run), &run["files_truncated"]), (first.clone(), &json!(true)));
    }
}

#[tokio::test]
async fn one_key_is_one_run() {
    let platform = Platform::start().await;
    let request = json!({ "language": "python", "source": "import os; print(os.urandom(8).hex())" });
    let keyed = || Request::post("/v1/runs").header("idempotency-key", "one").json(&request);
    let (first, second) = (platform.api(keyed()).await, platform.api(keyed()).await);
    assert_eq!(first.json(), second.json());
    assert_eq!(second.header("idempotent-replayed"), "true");
    let waits = json!({ "language": "Python3", "source": "print(1)", "mode": "async" });
    let queued = || Request::post("/v1/runs").header("idempotency-key", "two").json(&waits);
    let (accepted, again) = (platform.api(queued()).await, platform.api(queued()).await);
    assert_eq!((accepted.status, accepted.json()), (again.status, again.json()));
    assert_eq!(accepted.header("location"), format!("/v1/runs/{}", accepted.json()["id"].as_str().unwrap()));
    for header in ["location", "content-type"] {
        assert_eq!(accepted.header(header), again.header(header), "{header}");
    }
    let other = run(&platform, &request).await.json();
    assert_ne!(first.json()["stdout"], other["stdout"]);
    let mismatch = Request::post("/v1/runs").header("idempotency-key", "one").json(&json!({ "language": "bash" }));
    platform.api(mismatch).await.is_error(409, "idempotency_mismatch");
}

/// The children of a process, by the word among their arguments.
fn children(parent: u32, word: &str) -> Vec<u32> {
    let stat = |pid: u32| fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in brackets: the state, then the parent.
    let is_child = |pid: u32| {
        let stat = stat(pid);
        let fields = stat.rsplit_once(") ").map_or("", |(_, rest)| rest);
        fields.split(' ').nth(1) == Some(parent.to_string().as_str())
    };
    let has_word = |pid: u32| {
        let words = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.split(|byte| *byte == 0).any(|one| one == word.as_bytes())
    };
    let all = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    all.filter(|pid| is_child(*pid) && has_word(*pid)).collect()
}

fn child(parent: u32, word: &str) -> Option<u32> {
    children(parent, word).first().copied()
}

async fn kill(victim: u32) {
    let pid = rustix::process::Pid::from_raw(victim.try_into().unwrap()).unwrap();
    // It may have ended by itself.
    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
    // Its parent may not have looked yet.
    let has_ended = || fs::read_to_string(format!("/proc/{victim}/stat")).map_or(true, |stat| stat.contains(") Z "));
    wait::until("its end", async || has_ended().then_some(())).await;
}

#[tokio::test]
async fn where_what_waits_is_killed_runs_go_on() {
    let platform = Platform::start().await;
    let python = json!({ "language": "python", "source": "print(1)" });
    let node = json!({ "language": "node", "source": "console.log(1)" });
    for (hello, killed) in [(&python, Some("/usr/bin/python3")), (&node, Some("/usr/bin/node")), (&node, None)] {
        let warm = async || {
            let answer = run(&platform, hello).await.json();
            (answer["usage"]["start"] == "pool").then_some(answer)
        };
        wait::until("a run of those that wait", warm).await;
        let nursery = child(platform.pid(), "nursery").unwrap();
        kill(killed.map_or(nursery, |interpreter| child(nursery, interpreter).unwrap())).await;
        for _ in 0..3 {
            let answer = run(&platform, hello).await.json();
            assert_eq!((&answer["status"], &answer["stdout"]), (&json!("ok"), &json!("1\n")), "{answer}");
        }
    }
}

#[tokio::test]
async fn a_file_is_run_by_the_command_line() {
    let platform = Platform::start().await;
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let program = write("exits.py", "import sys; print(sys.argv[1:]); print('no', file=sys.stderr); sys.exit(7)");
    let ran = platform.cli(&["run", &program, "--", "-x", "y"]).await;
    assert_eq!((ran.exit, ran.stdout.as_str(), ran.stderr.as_str()), (7, "['-x', 'y']\n", "no\n"));
    let broken = platform.cli(&["run", &write("broken.cpp", "int main() { return x; }")]).await;
    assert!(broken.exit == 122 && broken.stderr.contains("was not declared in this scope"), "{}", broken.stderr);
    let nameless = platform.cli(&["run", &write("./Makefile", "")]).await;
    assert!(nameless.exit == 125 && nameless.stderr.contains("--language"), "{}", nameless.stderr);

    let (beside, out) = (write("beside.py", "x = 'there'"), folder.path().join("out"));
    let leaves = write("leaves.py", "import beside; open('left.txt', 'w').write(beside.x); open('.other', 'w')");
    let options = ["--with", &beside, "--output", "*.txt", "--output-dir", out.to_str().unwrap()];
    let left = platform.cli(&[&["run"], &options[..], &[&leaves]].concat()).await.ok();
    assert!(left.stderr.ends_with("left.txt (5 B)\n"), "{}", left.stderr);
    assert_eq!(fs::read_to_string(out.join("left.txt")).unwrap(), "there");
    assert_eq!(fs::read_dir(&out).unwrap().count(), 1);
    let slow = write("slow.py", "import time; time.sleep(99)");
    let slow = platform.cli(&["run", "--limit", "wall_ms=300", &slow]).await.ends_with(124);
    assert!(slow.stderr.starts_with("skylift: it ran longer than 300 ms"), "{}", slow.stderr);
}

#[tokio::test]
async fn a_file_that_runs_is_heard_and_talked_to_and_ended_by_who_began_it() {
    let platform = Platform::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("echo.py");
    fs::write(
        &path,
        "import sys\nprint('there', flush=True)\nfor line in sys.stdin: print('heard', line, end='', flush=True)",
    )
    .unwrap();
    let path = path.to_str().unwrap();

    let mut talking = platform.talk_cli(&["run", path]);
    let (mut says, mut hears) = (talking.stdin.take().unwrap(), BufReader::new(talking.stdout.take().unwrap()).lines());
    assert_eq!(hears.next_line().await.unwrap().as_deref(), Some("there"), "before anything is said");
    for word in ["one", "two"] {
        says.write_all(format!("{word}\n").as_bytes()).await.unwrap();
        assert_eq!(hears.next_line().await.unwrap(), Some(format!("heard {word}")));
    }
    drop(says);
    assert_eq!((hears.next_line().await.unwrap(), talking.wait().await.unwrap().code()), (None, Some(0)));

    // Much goes both ways at once, and is whole.
    let mut talking = platform.talk_cli(&["run", path]);
    let lines: String = (0..60_000).map(|n| format!("{n}\n")).collect();
    let mut says = talking.stdin.take().unwrap();
    let (said, heard) = tokio::join!(async move { says.write_all(lines.as_bytes()).await }, talking.wait_with_output());
    said.unwrap();
    let heard = String::from_utf8(heard.unwrap().stdout).unwrap();
    let whole = heard.lines().skip(1).enumerate().all(|(n, line)| line == format!("heard {n}"));
    assert!(whole && heard.lines().count() == 60_001, "{} lines", heard.lines().count());

    let mut talking = platform.talk_cli(&["run", path]);
    let mut hears = BufReader::new(talking.stdout.take().unwrap()).lines();
    assert_eq!(hears.next_line().await.unwrap().as_deref(), Some("there"));
    let pid = rustix::process::Pid::from_raw(i32::try_from(talking.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(talking.wait().await.unwrap().code(), Some(130));
}

async fn with_key(platform: &Platform, key: &str, request: Request) -> Response {
    platform.send(request.host("localhost").header("x-api-key", key)).await
}

async fn key(platform: &Platform, wanted: &Value) -> (String, String) {
    let made = platform.api(Request::post("/v1/keys").json(wanted)).await;
    assert_eq!(made.status, 201, "{}", made.brief());
    let text = |name: &str| made.json()[name].as_str().unwrap().to_owned();
    (text("id"), text("key"))
}

fn hello() -> Request {
    Request::post("/run").json(&json!({ "language": "bash", "source": "echo hello" }))
}

#[tokio::test]
async fn a_key_does_what_it_is_for_until_it_ends_and_is_kept_nowhere() {
    let platform = Platform::start().await;
    let (id, secret) = key(&platform, &json!({ "name": "judge", "scopes": ["runs"] })).await;
    assert_eq!(with_key(&platform, &secret, hello()).await.json()["stdout"], "hello\n");
    assert_eq!(with_key(&platform, &secret, Request::get("/v1/languages")).await.status, 200);
    for (method, path) in
        [("GET", "/v1/apps"), ("POST", "/v1/keys"), ("GET", "/v1/keys"), ("GET", "/v1/status"), ("POST", "/v1/gc")]
    {
        let request = || Request::new(method, path).json(&json!({ "name": "more", "scopes": ["everything"] }));
        with_key(&platform, &secret, request()).await.is_error(403, "forbidden");
        with_key(&platform, &secret, request().header("idempotency-key", path)).await.is_error(403, "forbidden");
    }
    let listed = platform.api(Request::get("/v1/keys")).await;
    assert_eq!(listed.json()["keys"][0]["id"], json!(id));
    assert!(!listed.text().contains(&secret) && !platform.log().contains(&secret));
    let rows = fs::read(platform.data().join("skylift.db")).unwrap_or_default();
    let log = fs::read(platform.data().join("skylift.db-wal")).unwrap_or_default();
    assert!(![rows, log].concat().windows(secret.len()).any(|bytes| bytes == secret.as_bytes()));

    let removed = platform.api(Request::new("DELETE", &format!("/v1/keys/{id}"))).await;
    assert_eq!(removed.status, 204);
    with_key(&platform, &secret, hello()).await.is_error(401, "unauthorized");
    platform.api(Request::new("DELETE", &format!("/v1/keys/{id}"))).await.is_error(404, "not_found");
    let (_, short) = key(&platform, &json!({ "name": "short", "scopes": ["runs"], "expires_in_s": 1 })).await;
    wait::until("its end", async || (with_key(&platform, &short, hello()).await.status == 401).then_some(())).await;
    for wrong in [
        json!({ "name": "", "scopes": ["runs"] }),
        json!({ "name": "x", "scopes": [] }),
        json!({ "name": "x", "scopes": ["runs"], "rate": { "runs": 0 } }),
        json!({ "name": "x", "scopes": ["everything"], "at_once": 1 }),
    ] {
        platform.api(Request::post("/v1/keys").json(&wrong)).await.is_error(422, "invalid");
    }
}

#[tokio::test]
async fn a_key_runs_as_often_and_as_many_at_once_as_it_may() {
    let platform = Platform::start().await;
    let seldom = json!({ "name": "seldom", "scopes": ["runs"], "rate": { "runs": 2, "per_s": 3600 } });
    let (_, seldom) = key(&platform, &seldom).await;
    for _ in 0..2 {
        assert_eq!(with_key(&platform, &seldom, hello()).await.status, 200);
    }
    let refused = with_key(&platform, &seldom, hello()).await;
    refused.is_error(429, "rate_limited");
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1..=1800).contains(&after), "{after}");
    assert_eq!((refused.header("ratelimit-limit"), refused.header("ratelimit-remaining")), ("2", "0"));
    // Several inputs are several runs.
    let several =
        Request::post("/run").json(&json!({ "language": "bash", "source": "true", "stdins": ["", "", "", "", ""] }));
    let (_, three) =
        key(&platform, &json!({ "name": "3", "scopes": ["runs"], "rate": { "runs": 3, "per_s": 3600 } })).await;
    assert_eq!(with_key(&platform, &three, several).await.status, 200);
    let refused = with_key(&platform, &three, hello()).await;
    refused.is_error(429, "rate_limited");
    let after: u64 = refused.header("retry-after").parse().unwrap();
    assert!((2401..=3600).contains(&after), "two are owed, and one has to be there: {after}");

    let (_, single) = key(&platform, &json!({ "name": "single", "scopes": ["runs"], "at_once": 1 })).await;
    let long = async || {
        let request = || Request::post("/run").json(&json!({ "language": "bash", "source": "sleep 1.5" }));
        // A short one may have been first.
        wait::until("its turn", async || {
            let answer = with_key(&platform, &single, request()).await;
            (answer.status != 429).then_some(answer)
        })
        .await
    };
    let meanwhile = async {
        wait::until("a refusal", async || {
            let answer = with_key(&platform, &single, hello()).await;
            (answer.status == 429).then_some(())
        })
        .await;
    };
    let (long, ()) = tokio::join!(long(), meanwhile);
    assert_eq!(long.json()["status"], "ok");
    assert_eq!(with_key(&platform, &single, hello()).await.status, 200);
    assert_eq!(platform.api(hello()).await.status, 200, "the owner's token has no limits");
}

//! The interface of Judge0: what its clients send is answered as they know it.

use serde_json::{Value, json};
use skylift_tests::{Platform, Request, Response, wait};

use crate::callbacks::Listens;

/// A client of Judge0: one token, and the host that it was told.
struct Judge<'p> {
    platform: &'p Platform,
    token: String,
}

impl Judge<'_> {
    async fn send(&self, request: Request) -> Response {
        self.platform.send(request.host("judge0.localhost").header("x-auth-token", &self.token)).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.send(Request::get(path)).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    }

    async fn post(&self, path: &str, body: &Value) -> Response {
        self.send(Request::post(path).json(body)).await
    }

    /// Its whole object, with the end awaited.
    async fn run(&self, body: &Value) -> Value {
        let answer = self.post("/submissions/?wait=true&fields=*", body).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        answer.json()
    }

    /// A submission that is asked for until it has ended.
    async fn ended(&self, token: &str) -> Value {
        wait::until("its end", async || {
            let told = self.get(&format!("/submissions/{token}?base64_encoded=true")).await;
            (told["status"]["id"].as_u64() > Some(2)).then_some(told)
        })
        .await
    }
}

async fn judge<'p>(platform: &'p Platform, name: &str) -> Judge<'p> {
    let (_, token) = crate::key(platform, &json!({ "name": name, "scopes": ["runs"] })).await;
    Judge { platform, token }
}

fn python(source: &str, more: &Value) -> Value {
    let mut request = json!({ "language_id": 71, "source_code": source });
    request.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    request
}

#[tokio::test]
async fn a_submission_is_judged_as_judge0_judges() {
    let platform = Platform::start().await;
    let judge = judge(&platform, "judge").await;
    let hello = python("print(input())", &json!({ "stdin": "hello", "expected_output": "hello  \n\n" }));
    let told = judge.run(&hello).await;
    assert_eq!(told["status"], json!({ "id": 3, "description": "Accepted" }), "{told}");
    assert_eq!(
        (&told["stdout"], &told["stderr"], &told["compile_output"]),
        (&json!("hello\n"), &Value::Null, &Value::Null)
    );
    assert_eq!(
        (&told["exit_code"], &told["stdin"], &told["cpu_time_limit"]),
        (&json!(0), &json!("hello"), &json!("5.0"))
    );
    let time = told["time"].as_str().unwrap();
    assert!(time.len() >= 5 && time.parse::<f64>().is_ok() && told["memory"].as_u64() > Some(1000), "{told}");

    for (source, more, id, message) in [
        ("print(1)", json!({ "expected_output": "2" }), 4, Value::Null),
        ("while True: pass", json!({ "cpu_time_limit": 0.3, "cpu_extra_time": 0 }), 5, json!("Time limit exceeded")),
        ("import time; time.sleep(9)", json!({ "wall_time_limit": 1 }), 5, json!("Time limit exceeded (wall clock)")),
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", json!({}), 7, json!("Caught fatal signal 11")),
        ("import os; os.abort()", json!({}), 10, json!("Caught fatal signal 6")),
        ("raise SystemExit(3)", json!({}), 11, json!("Exited with error status 3")),
        (
            "print('x' * 9999)",
            json!({ "max_file_size": 1 }),
            8,
            json!("Caught fatal signal 25 (output limit exceeded)"),
        ),
    ] {
        let told = judge.run(&python(source, &more)).await;
        assert_eq!((&told["status"]["id"], &told["message"]), (&json!(id), &message), "{source}: {told}");
    }
    let args = json!({ "command_line_arguments": "a 'b c' $(id)", "redirect_stderr_to_stdout": true });
    let told = judge.run(&python("import sys; print(sys.argv[1:]); print('no', file=sys.stderr)", &args)).await;
    assert_eq!((&told["stdout"], &told["stderr"]), (&json!("['a', 'b c', '(id)']\nno\n"), &Value::Null));

    let broken = judge.run(&json!({ "language_id": 54, "source_code": "int main() { return x; }" })).await;
    assert_eq!(broken["status"]["id"], 6, "{broken}");
    assert!(broken["compile_output"].as_str().unwrap().contains("was not declared in this scope"), "{broken}");

    // What is no text is told in base 64 alone.
    let bytes = python("import sys; sys.stdout.buffer.write(b'\\xff')", &json!({}));
    let refused = judge.post("/submissions?wait=true", &bytes).await;
    assert_eq!(refused.status, 201);
    let token = refused.json()["token"].as_str().unwrap().to_owned();
    let refused = judge.send(Request::get(&format!("/submissions/{token}"))).await;
    assert_eq!((refused.status, refused.json()["error"].as_str().unwrap().contains("UTF-8")), (400, true));
    let told = judge.get(&format!("/submissions/{token}?base64_encoded=true&fields=stdout,status_id")).await;
    assert_eq!(told, json!({ "stdout": "/w==\n", "status_id": 3 }));
}

#[tokio::test]
async fn tokens_batches_pages_and_callbacks_are_theirs_and_a_key_sees_its_own() {
    let listens = Listens::start(&["200 OK"]).await;
    let config = format!("[callbacks]\nallow = ['127.0.0.1:{}']\n[judge0]\nqueue_max = 3", listens.port);
    let platform = Platform::configured(&config).await;
    let (judge, other) = (judge(&platform, "one").await, judge(&platform, "other").await);
    let refused = platform.send(Request::post("/submissions").host("judge0.localhost").body(vec![b'x'; 9 << 20])).await;
    assert_eq!(refused.status, 401, "before the body");
    let error = refused.json()["error"].as_str().unwrap().to_owned();
    assert!(error.ends_with("as `X-Auth-Token`"), "{error}");
    assert_eq!(judge.send(Request::new("DELETE", "/submissions/x-0")).await.json()["error"], "delete not allowed");

    let url = format!("http://127.0.0.1:{}/judged", listens.port);
    let made = judge
        .post(
            "/submissions?base64_encoded=true",
            &json!({ "language_id": "71", "callback_url": url,
        "source_code": "cHJpbnQoJ8OkJyk=", "expected_output": "w6Q=" }),
        )
        .await;
    assert_eq!(made.status, 201, "{}", made.text());
    let token = made.json()["token"].as_str().unwrap().to_owned();
    let ended = judge.ended(&token).await;
    assert_eq!((&ended["stdout"], &ended["status"]["id"]), (&json!("w6QK\n"), &json!(3)));
    let told = listens.until_told(1).await;
    assert_eq!((told[0].line.as_str(), told[0].json()), ("PUT /judged HTTP/1.1", ended));

    let batch = json!({ "submissions": [python("print(1)", &json!({})), { "language_id": 150 }, python("print(2)", &json!({}))] });
    let made = judge.post("/submissions/batch", &batch).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let made = made.json();
    assert_eq!(made[1]["language_id"], json!(["language with id 150 doesn't exist"]));
    let tokens: Vec<&str> = [&made[0], &made[2]].iter().map(|one| one["token"].as_str().unwrap()).collect();
    for token in &tokens {
        judge.ended(token).await;
    }
    let path = format!("/submissions/batch?tokens={},x-none,{}&fields=stdout", tokens[0], tokens[1]);
    let told = judge.get(&path).await;
    assert_eq!(told, json!({ "submissions": [{ "stdout": "1\n" }, null, { "stdout": "2\n" }] }));
    let none = judge.post("/submissions/batch", &json!({ "submissions": [{ "language_id": 150 }] })).await;
    assert_eq!(none.status, 422);
    let full = json!({ "submissions": vec![python("", &json!({})); 4] });
    let full = judge.post("/submissions/batch", &full).await;
    assert_eq!((full.status, full.json()), (503, json!({ "error": "queue is full" })));
    let wrong = judge
        .post("/submissions", &json!({ "language_id": 71, "additional_files": "UEsDBA==", "source_code": "x" }))
        .await;
    assert_eq!(
        (wrong.status, wrong.json()),
        (422, json!({ "additional_files": ["setting additional files is not allowed"] }))
    );

    let page = judge.get("/submissions?per_page=2&page=2&fields=token").await;
    assert_eq!(page["submissions"], json!([{ "token": token }]));
    assert_eq!(
        page["meta"],
        json!({ "current_page": 2, "next_page": null, "prev_page": 1, "total_pages": 2, "total_count": 3 })
    );
    assert_eq!(other.get("/submissions").await["meta"]["total_count"], 0);
    assert_eq!(other.send(Request::get(&format!("/submissions/{token}"))).await.status, 404);
    let run = crate::with_key(&platform, &judge.token, Request::get(&format!("/v1/runs/{token}"))).await.json();
    assert_eq!(
        (&run["state"], &run["callback"]["state"]),
        (&json!("done"), &json!("delivered")),
        "it is a run as every other"
    );

    let named = judge.get("/languages").await;
    let python = named.as_array().unwrap().iter().find(|one| one["id"] == 71).unwrap();
    assert!(python["name"].as_str().unwrap().starts_with("Python (3."), "{named}");
    assert_eq!(judge.get("/languages/71").await["name"], python["name"]);
    assert_eq!(judge.get("/statuses").await.as_array().unwrap().len(), 14);
    assert_eq!(judge.get("/config_info").await["max_queue_size"], 3);
    assert!(judge.get("/workers").await[0]["available"].as_u64() > Some(0));
    for path in ["/languages/all", "/system_info", "/about"] {
        judge.get(path).await;
    }
    assert_eq!(judge.send(Request::get("/version")).await.text(), "1.13.1");
    assert_eq!(judge.send(Request::get("/v1/apps")).await.status, 404);
}

//! `skylift run FILE`, where runs are run elsewhere: what is sent, what is told, which code it ends with.

use http::Method;
use serde_json::{Value, json};

use crate::program::{Ended, User};

/// A run that ended so, as a server tells it.
fn ended(status: &str, exit_code: Option<i32>) -> Value {
    let signal = exit_code.filter(|code| *code > 128).map(|code| code - 128);
    json!({ "id": "x-000000000zzzzzzz", "language": "python", "version": "3", "state": "done", "status": status, "exit_code": exit_code,
        "signal": signal, "stdout": "aGk=", "stderr": "", "stdout_truncated": false, "stderr_truncated": false, "encoding": "base64",
        "usage": null, "attempts": 1, "created_at": "2026-01-02T03:04:05Z",
        "limits": { "wall_ms": 10, "cpu_ms": 11, "memory_bytes": 12, "pids": 13, "output_bytes": 14, "disk_bytes": 15, "nofile": 16 } })
}

/// A user with a file of code, whose runs end so.
fn user(run: Value) -> User {
    let user = User::new();
    user.write("hello.py", "print('hi')");
    user.fake.state().script.run = run;
    user
}

/// What was sent last.
fn sent(user: &User) -> Value {
    user.fake.seen(Method::POST, "/v1/runs").last().unwrap().json()
}

#[track_caller]
fn check(ended: &Ended, code: i32, said: &str) {
    assert_eq!(ended.code, Some(code), "{ended:#?}");
    assert!(ended.stderr.contains(said), "{said:?} in {}", ended.stderr);
}

#[test]
fn a_verdict_passes_on_the_programs_code_and_a_limit_has_its_own() {
    for (status, exit_code, code, said) in [
        ("ok", Some(0), 0, ""),
        ("exit_nonzero", Some(7), 7, ""),
        ("signal", Some(137), 137, "SIGKILL ended it"),
        ("time_limit", Some(137), 124, "longer than 10 ms"),
        ("cpu_limit", Some(137), 123, "longer than 11 ms"),
        ("memory_limit", Some(137), 123, "more than 12 bytes"),
        ("output_limit", Some(0), 123, "more than 14 bytes"),
        ("compile_error", Some(1), 122, "it did not compile"),
        ("internal", None, 125, "could not run it"),
    ] {
        let user = user(ended(status, exit_code));
        let ran = user.run(&["run", "hello.py"]);
        check(&ran, code, said);
        assert_eq!(ran.stdout, "hi", "{status}");
        assert_eq!(user.run(&["run", "--json", "hello.py"]).code, Some(code), "{status}");
    }
}

#[test]
fn what_is_no_verdict_ends_with_a_code_of_its_own() {
    let user = user(ended("ok", Some(0)));
    check(&user.run(&["run", "--token", "wrong", "hello.py"]), 125, "token is not known");
    check(&user.run(&["run", "--url", "http://127.0.0.1:1", "hello.py"]), 125, "no Skylift server answers");
    check(&user.run(&["run", "nowhere.py"]), 125, "No such file");
    check(&user.run(&["run", "--frob", "hello.py"]), 125, "--frob");
    check(&user.run(&["run", "--output", "*", "hello.py"]), 125, "--output-dir");
    check(&user.run(&["run", "--ai", "app", "--", "ls"]), 125, "`--ai` is for files of code");
    check(&user.run(&["run", "app", "--json"]), 125, "`--json` is no command");
    check(&user.run(&["run", "app", "--", "ls"]), 125, "no such app");
    assert!(user.fake.seen(Method::POST, "/v1/runs").is_empty(), "nothing was run");
    let told = user.run(&["run", "--json", "--frob", "hello.py"]);
    let error: Value = serde_json::from_str(&told.stdout).unwrap();
    assert_eq!((told.code, &error["error"]["code"]), (Some(125), &json!("usage")));
    assert_eq!(user.run(&["--frob", "run", "hello.py"]).code, Some(64), "control: that is no option of `run`");
}

#[test]
fn beyond_a_limit_of_use_it_is_told_when_to_come_back() {
    let user = user(Value::Null);
    user.fake.state().script.busy = Some(("/v1/runs", 9, 429, "7200"));
    let refused = user.run(&["run", "--json", "hello.py"]);
    check(&refused, 125, "try again in 2 h 0 min, at ");
    let error: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!((&error["error"]["code"], &error["error"]["retry_after_s"]), (&json!("rate_limited"), &json!(7200)));
}

#[test]
fn all_behind_the_file_is_the_programs_and_what_looks_like_an_option_is_told() {
    let user = user(ended("ok", Some(0)));
    let stray = user.run(&["run", "hello.py", "--limits", "3", "--json"]);
    check(&stray, 0, "note: `--limits` was given to hello.py");
    assert_eq!((sent(&user)["args"].clone(), stray.stderr.lines().count()), (json!(["--limits", "3", "--json"]), 1));
    let meant = user.run(&["run", "hello.py", "--", "--limits", "3", "--"]);
    assert_eq!((meant.code, &*meant.stderr), (Some(0), ""));
    assert_eq!(sent(&user)["args"], json!(["--limits", "3", "--"]));
    let plain = user.run(&["run", "hello.py", "x", "--json"]);
    assert_eq!((plain.code, &*plain.stderr, sent(&user)["args"].clone()), (Some(0), "", json!(["x", "--json"])));
}

#[test]
fn options_are_sent_by_the_names_of_the_api() {
    let user = user(ended("ok", Some(0)));
    for name in ["src/main.py", "src/util.py", "data/a/in.csv"] {
        user.write(name, "x");
    }
    user.write("in.txt", "typed");
    let options = [
        ["--limit", "wall_ms=3000"],
        ["--limit", "pids=7"],
        ["--with", "src"],
        ["--with", "data"],
        ["--stdin", "in.txt"],
        ["--env", "A=1=2"],
        ["--env", "HOME"],
        ["--output", "*.png"],
        ["--output-dir", "."],
        ["--packages", "data"],
    ];
    user.run(&[&["run", "--ai"], options.as_flattened(), &["src/main.py", "x"]].concat()).result();
    let sent = sent(&user);
    let names: Vec<&str> =
        sent["files"].as_array().unwrap().iter().map(|file| file["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["src/main.py", "src/util.py", "data/a/in.csv"], "the code first and once");
    assert_eq!((&sent["limits"]["wall_ms"], &sent["limits"]["pids"]), (&json!(3000), &json!(7)));
    assert_eq!(sent["env"], json!({ "A": "1=2", "HOME": user.home.path() }));
    let rest = ["language", "stdin", "outputs", "packages", "ai", "args"].map(|name| sent[name].clone());
    assert_eq!(rest, [json!("py"), json!("typed"), json!(["*.png"]), json!("data"), json!(true), json!(["x"])]);
    check(&user.run(&["run", "--limit", "wal_ms=3", "hello.py"]), 125, "did you mean `wall_ms`?");
}

#[test]
fn code_may_come_from_standard_input_and_reads_nothing_then() {
    let user = user(ended("ok", Some(0)));
    assert_eq!(user.run_with_input(&["run", "--language", "python", "-", "x"], "print(1)").result(), "hi");
    let sent = sent(&user);
    assert_eq!(
        (&sent["files"], &sent["stdin"]),
        (&json!([{ "content": "cHJpbnQoMSk=", "encoding": "base64" }]), &json!(""))
    );
    check(&user.run(&["run", "-", "--language", "python"]), 125, "skylift run --language python -");
    check(&user.run(&["run", "--language", "python", "--stdin", "-", "-"]), 125, "not both");
}

#[test]
fn json_is_text_where_it_is_text() {
    let mut run = ended("ok", Some(0));
    let told = user(run.clone()).run(&["run", "--json", "hello.py"]).json();
    assert_eq!((&told["stdout"], &told["encoding"]), (&json!("hi"), &json!("utf8")));
    run["stderr"] = json!("/w==");
    let told = user(run).run(&["run", "--json", "hello.py"]).json();
    assert_eq!(
        (&told["stdout"], &told["stderr"], &told["encoding"]),
        (&json!("aGk="), &json!("/w=="), &json!("base64"))
    );
}

#[test]
fn what_is_left_is_brought_back_and_a_server_cannot_choose_where_to() {
    let mut run = ended("ok", Some(0));
    let left = |name: &str| json!({ "name": name, "content": "eA==", "encoding": "base64", "run": 0 });
    run["files"] = json!([left("a/plot.png")]);
    let honest = user(run.clone());
    let options = ["run", "--output", "**", "--output-dir", "out", "hello.py"];
    check(&honest.run(&options), 0, "out/a/plot.png (1 B)");
    assert_eq!(std::fs::read(honest.home.path().join("out/a/plot.png")).unwrap(), b"x");

    run["files"] = json!([left("../hello.py")]);
    let lied_to = user(run);
    check(&lied_to.run(&options), 125, "hello.py");
    assert_eq!(std::fs::read(lied_to.home.path().join("hello.py")).unwrap(), b"print('hi')");
}

#[test]
fn a_language_that_there_is_not_is_told_which_there_are() {
    let user = user(Value::Null);
    user.write("notes.txt", "");
    user.write("Makefile", "");
    check(&user.run(&["run", "./Makefile"]), 125, "there are python (py)");
    let refusal = r#"{"error":{"code":"invalid","message":"no","hint":"x"}}"#.to_owned();
    user.fake.state().script.says = Some(("/v1/runs", 422, refusal));
    check(&user.run(&["run", "--language", "pyhton", "hello.py"]), 125, "did you mean `python`? there are python (py)");
    check(&user.run(&["run", "notes.txt"]), 125, "no language here has files that end in `.txt`");
    check(&user.run(&["run", "hello.py"]), 125, "error: no\nhint: x");
}

#[test]
fn what_is_said_begins_on_a_line_of_its_own() {
    let mut run = ended("time_limit", Some(137));
    run["stderr"] = json!("ZQ==");
    let user = user(run);
    let apart = user.run(&["run", "hello.py"]);
    assert!(apart.stderr.starts_with("e\nskylift: it ran longer"), "{}", apart.stderr);
    assert_eq!(apart.stdout, "hi", "nothing is added to what is kept");
}

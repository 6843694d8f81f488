//! Exit codes: scripts branch on them.

use std::process::Stdio;

use crate::program::{User, end};

const DEPLOYMENT: &str = "d-000000000zzzzzzz";

#[track_caller]
fn check(user: &User, arguments: &[&str], code: i32, said: &str) {
    let ended = user.run(arguments);
    assert_eq!(ended.code, Some(code), "{arguments:?}: {ended:#?}");
    assert!(ended.stderr.contains(said), "{said:?} in {}", ended.stderr);
    assert_eq!(ended.stdout, "", "{arguments:?}");
}

#[test]
fn each_kind_of_trouble_has_its_code() {
    let user = User::new();
    user.fake.create_app("hello");
    user.write("page.html", "x");
    user.write("empty/.env", "x");
    check(&user, &["open", "nothing"], 3, "error: there is no such app\nhint: do it otherwise");
    check(&user, &["cancel", DEPLOYMENT], 3, "no such deployment");
    check(&user, &["deploy", "nowhere"], 3, "does not exist");
    check(&user, &["apps", "--token", "wrong"], 4, "token is not known");
    check(&user, &["rollback", "hello"], 5, "nothing was live before");
    check(&user, &["deploy", "page.html"], 5, "no archive");
    check(&user, &["deploy", "empty", "--app", "hello"], 5, "nothing to deploy");
    check(&user, &["apps", "--url", "http://127.0.0.1:1"], 6, "no Skylift server answers at http://127.0.0.1:1");
    check(&user, &["frobnicate"], 64, "unrecognized");
    check(&user, &["open", "Not A Name"], 64, "lower-case letter first");
    check(&user, &["apps", "--url", "nonsense"], 64, "http://");
    check(&user, &["rm", "hello"], 64, "--yes");
    check(&user, &["env", "set", "hello", "novalue"], 64, "NAME=VALUE");
    user.fake.state().script.says = Some(("/v1/status", 200, "<html>".to_owned()));
    check(&user, &["status"], 70, "not of Skylift's API");
}

#[test]
fn errors_are_a_document_too_where_json_is_asked_for() {
    let user = User::new();
    let ended = user.run(&["open", "nothing", "--json"]);
    assert_eq!(ended.code, Some(3));
    let error: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let body = serde_json::json!({ "code": "not_found", "message": "there is no such app", "hint": "do it otherwise" });
    assert_eq!(error, serde_json::json!({ "error": body }));
}

#[test]
fn a_command_line_that_cannot_be_understood_is_a_document_too() {
    let user = User::new();
    user.fake.create_app("hello");
    for arguments in [
        &["frobnicate", "--json"][..],
        &["--json"],
        &["--json", "open"],
        &["open", "Not A Name", "--json"],
        &["apps", "--json", "--frob"],
        &["rm", "hello", "--json"],
        &["up", "--json", "--config", "nowhere.toml"],
    ] {
        let ended = user.run(arguments);
        assert_eq!(ended.code, Some(64), "{arguments:?}: {ended:?}");
        let error: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap_or_else(|_| panic!("{ended:?}"));
        assert_eq!(error["error"]["code"], "usage", "{arguments:?}");
        for part in ["message", "hint"] {
            assert!(error["error"][part].as_str().is_some_and(|text| !text.is_empty()), "{arguments:?}: {error}");
        }
    }
    assert_eq!(user.run(&["frobnicate", "--", "--json"]).stdout, "", "control: behind `--` it is no flag");
}

#[test]
fn a_token_that_is_refused_is_told_where_to_give_another() {
    let user = User::new();
    let ended = user.run(&["apps", "--token", "wrong"]);
    for way in ["--token", "SKYLIFT_TOKEN", "skylift login URL"] {
        assert!(ended.stderr.contains(way), "{way} in {}", ended.stderr);
    }
}

#[test]
fn help_and_version_are_results() {
    let user = User::new();
    assert!(user.run(&["--help"]).result().contains("deploy"));
    assert!(user.run(&["--version"]).result().starts_with("skylift "));
    assert!(user.run(&["deploy", "--help"]).result().contains("--no-wait"));
}

#[test]
fn a_reader_that_goes_away_ends_the_command_quietly() {
    let user = User::new();
    user.fake.create_app("hello");
    user.fake.state().script.log = vec!["x".repeat(1000); 1000];
    let mut child = user.command(&["logs", "hello"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let ended = end(child);
    assert_eq!((ended.code, &*ended.stderr), (Some(0), ""));
}

#[test]
fn a_full_disk_is_not_taken_for_success() {
    let user = User::new();
    user.fake.create_app("hello");
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let ended = end(user.command(&["apps"]).stdout(full).spawn().unwrap());
    assert_eq!(ended.code, Some(70), "{ended:?}");
}

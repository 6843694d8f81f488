//! `skylift deploy`.

use std::io::{BufRead, BufReader};
use std::os::unix::ffi::OsStrExt;

use http::Method;
use rustix::process::{Pid, Signal, kill_process};
use skylift_model::DeploymentState;
use skylift_model::wire::Failure;

use crate::fake::Lost;
use crate::program::{User, end};

const APP_URL: &str = "http://my-site.localhost:8080\n";

#[test]
fn the_address_is_alone_on_stdout() {
    let user = User::new();
    user.write("My Site/index.html", "<h1>one</h1>");
    user.write("My Site/.env", "KEY=secret");
    user.fake.state().script.log = vec!["built\u{1b}[2J it".to_owned()];

    let ended = user.run(&["deploy", "My Site"]);

    assert_eq!(ended.result(), APP_URL);
    for said in [
        "app: my-site (named after the source",
        "created the app my-site",
        "1 file, 12 B; 1 file skipped",
        "sending 1 file, 12 B",
        "d-0000000010000000 queued\n",
        "building: as scripted",
        "build | built[2J it\n",
        "is live",
    ] {
        assert!(ended.stderr.contains(said), "{said:?} in {}", ended.stderr);
    }
    assert_eq!(ended.stderr.matches("queued").count(), 1, "{}", ended.stderr);
    let at = |text: &str| ended.stderr.find(text).unwrap();
    assert!(at("building: ") < at("build | built") && at("build | built") < at("is live"), "{}", ended.stderr);
}

#[test]
fn a_second_deploy_sends_only_the_missing_file() {
    let user = User::new();
    user.fake.create_app("my-site");
    for number in 0..30 {
        user.write(format!("site/{number}"), &number.to_string());
    }
    user.run(&["deploy", "site", "--app", "my-site"]).result();
    user.write("site/7", "changed");
    let ended = user.run(&["deploy", "site", "--app", "my-site"]);

    assert_eq!(ended.result(), APP_URL);
    assert!(ended.stderr.contains("sending 1 file, 7 B"), "{}", ended.stderr);
    assert_eq!(user.fake.seen(Method::POST, "/v1/uploads/*/blobs").len(), 1);
    assert_eq!(user.fake.seen(Method::PUT, "/v1/uploads/*/blobs/*").len(), 1);
    assert!(user.home.path().join(".cache/skylift/hashes").read_dir().unwrap().next().is_some());

    let third = user.run(&["deploy", "site", "--app", "my-site"]);
    assert!(third.stderr.contains("nothing to send"), "{}", third.stderr);
}

#[test]
fn a_failed_deployment_says_step_message_hint_and_log() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    user.fake.state().script.ends = Some(DeploymentState::Failed);
    user.fake.state().script.log = (1..=30).map(|number| format!("line {number}")).collect();
    let failure = Failure {
        step: "build".to_owned(),
        message: "`vite build` failed".to_owned(),
        exit_code: Some(2),
        hint: Some("read the log".to_owned()),
    };
    user.fake.state().script.failure = Some(failure);

    let ended = user.run(&["deploy", "my-site"]);

    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.ends_with("failed in step `build`: `vite build` failed (exit code 2)\nhint: read the log\n"));
    assert!((11..=30).all(|number| ended.stderr.contains(&format!("| line {number}\n"))), "{}", ended.stderr);

    let json = user.run(&["deploy", "my-site", "--json"]);
    let deployment: serde_json::Value = serde_json::from_str(&json.stdout).unwrap();
    assert_eq!((json.code, &deployment["failure"]["exit_code"]), (Some(1), &2.into()));
}

#[test]
fn a_failed_detection_names_the_ignored_folder_that_may_explain_it() {
    let user = User::new();
    user.write("my-site/readme.txt", "x");
    user.write("my-site/dist/index.html", "x");
    user.write("my-site/.gitignore", "*.log\ndist/\n");
    user.fake.create_app("my-site");
    user.fake.state().script.ends = Some(DeploymentState::Failed);
    let message = "no kind of project was recognised in the source".to_owned();
    user.fake.state().script.failure =
        Some(Failure { step: "detect".to_owned(), message, exit_code: None, hint: None });
    let ended = user.run(&["deploy", "my-site"]);
    assert!(ended.stderr.ends_with("write `!/dist/` in .skyliftignore\n"), "{}", ended.stderr);
    assert!(ended.stderr.contains("hint: `dist/` is ignored by .gitignore:2"), "{}", ended.stderr);

    user.write("none/dist/index.html", "x");
    user.write("none/.gitignore", ".gitignore\ndist/\n");
    let none = user.run(&["deploy", "none"]);
    assert_eq!(none.code, Some(5));
    assert!(none.stderr.contains("nothing to deploy") && none.stderr.contains("`!/dist/`"), "{}", none.stderr);
}

#[test]
fn where_there_is_nothing_to_deploy_no_app_is_made_and_one_that_is_there_is_told_so_by_its_deployment() {
    let user = User::new();
    user.write("notes/notes.txt", "x");
    let refused = user.run(&["deploy", "notes"]);
    assert_eq!((refused.code, &*refused.stdout), (Some(5), ""), "{refused:?}");
    assert!(refused.stderr.contains("notes: no kind of project was recognised"), "{}", refused.stderr);
    assert!(refused.stderr.contains("hint: looked for index.html"), "{}", refused.stderr);
    user.write("empty/.env", "x");
    assert_eq!(user.run(&["deploy", "empty"]).code, Some(5));
    assert!(user.fake.state().apps.is_empty(), "neither made an app");
    user.fake.create_app("notes");
    assert_eq!(user.run(&["deploy", "notes", "--no-wait"]).code, Some(0), "the server has the last word");
}

#[test]
fn a_project_folder_that_is_not_there_is_said_to_be_missing() {
    let user = User::new();
    user.write("shop/index.html", "x");
    user.run(&["deploy", "shop"]).result();
    for arguments in [&["deploy", "shop", "--dir", "wep"][..], &["detect", "shop", "--dir", "wep"]] {
        let missing = user.run(arguments);
        assert_eq!((missing.code, &*missing.stdout), (Some(3), ""), "{missing:?}");
        assert!(
            missing.stderr.starts_with("error: the folder `wep` that --dir names does not exist in shop\n"),
            "{missing:?}"
        );
    }
}

#[test]
fn the_log_tail_is_shown_where_following_it_failed() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    user.fake.state().script.ends = Some(DeploymentState::Failed);
    user.fake.state().script.log = (1..=30).map(|number| format!("line {number}")).collect();
    user.fake.state().script.drops = Some(("/logs?follow=true", 99));
    let ended = user.run(&["deploy", "my-site"]);
    let shown: Vec<_> = ended.stderr.lines().filter(|line| line.contains("| line")).collect();
    assert_eq!(shown.len(), 20, "{}", ended.stderr);
    assert!(shown[19].ends_with("| line 30"));
}

/// Deploys to an app that is made for it, with the requests for the deployment going wrong; whether the app is there
/// afterwards, and what was said.
fn app_after(script: impl FnOnce(&mut crate::fake::Script)) -> (bool, String) {
    let user = User::new();
    user.write("my-site/index.html", "x");
    script(&mut user.fake.state().script);
    let ended = user.run(&["deploy", "my-site", "--no-wait"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(6), ""), "{ended:?}");
    (user.fake.state().apps.contains_key(&"my-site".parse().unwrap()), ended.stderr)
}

#[test]
fn an_app_stays_where_only_the_answer_to_its_first_deployment_was_lost() {
    let (is_there, said) = app_after(|script| script.loses = Some(("/my-site/deployments", 9, Lost::Answer)));
    assert!(is_there && !said.contains("removed"), "{said}");
}

#[test]
fn an_app_made_for_a_deployment_that_was_never_accepted_goes_again() {
    let (is_there, said) = app_after(|script| script.loses = Some(("/my-site/deployments", 9, Lost::Request)));
    assert!(!is_there && said.contains("removed the app my-site again"), "{said}");
}

#[test]
fn what_waits_is_said_once() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    user.fake.state().script.says_queued = true;
    let ended = user.run(&["deploy", "my-site"]);
    let lines: Vec<_> = ended.stderr.lines().filter(|line| line.contains("queued")).collect();
    assert_eq!(lines.len(), 1, "{}", ended.stderr);
}

#[test]
fn a_folder_never_takes_the_place_of_another_that_is_named_alike_unasked() {
    let user = User::new();
    user.write("2024-site/index.html", "old");
    user.write("site/index.html", "new");
    user.run(&["deploy", "2024-site"]).result();
    let sent = user.fake.state().deployments.len();
    let again = user.run(&["deploy", "2024-site/"]);
    assert!(again.stderr.contains("app: site (as before"), "{again:?}");

    let other = user.run(&["deploy", "site"]);
    assert_eq!((other.code, &*other.stdout), (Some(5), ""), "{other:?}");
    assert!(other.stderr.contains("the app site exists already, and not from here"), "{}", other.stderr);
    assert!(other.stderr.contains("--app site"), "{}", other.stderr);
    assert_eq!(user.fake.state().deployments.len(), sent + 1, "nothing of it was sent");

    user.run(&["deploy", "site", "--app", "site-two"]).result();
    let third = user.run(&["deploy", "site"]);
    assert!(third.stderr.contains("app: site-two (as before"), "what was chosen once is kept: {}", third.stderr);
    user.run(&["deploy", "site", "--app", "site"]).result();
}

#[test]
fn overtaken_is_not_live() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    user.fake.state().script.ends = Some(DeploymentState::Superseded);
    let ended = user.run(&["deploy", "my-site"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(1), ""));
    assert!(ended.stderr.contains("overtaken by a newer deployment of my-site"), "{}", ended.stderr);
}

#[test]
fn json_is_the_deployment_as_one_document() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    let deployment = user.run(&["--json", "deploy", "my-site"]).json();
    assert_eq!(deployment["state"], "live");
    assert_eq!(deployment["app_url"], APP_URL.trim());
}

#[test]
fn without_waiting_the_id_is_the_result() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    user.fake.state().script.ends = Some(DeploymentState::Queued);
    let ended = user.run(&["deploy", "my-site", "--no-wait"]);
    assert!(ended.result().starts_with("d-") && ended.stdout.lines().count() == 1, "{ended:?}");
}

#[test]
fn git_sources_carry_branch_folder_and_token() {
    let user = User::new();
    user.write("token", "hunter2\n");
    user.write("key", "-----BEGIN\nx\n");
    let address = "https://example.com/a/my-site.git";
    let more = ["--branch", "b", "--dir", "sub", "--git-token-file", "token"];
    assert_eq!(user.run(&[&["deploy", address], &more[..]].concat()).result(), APP_URL);
    user.run(&["deploy", "git@example.com:a/my-site.git", "--deploy-key", "key", "--app", "my-site"]).result();

    let asked = user.fake.seen(Method::POST, "/v1/apps/my-site/deployments");
    let git = serde_json::json!({ "url": address, "branch": "b", "token": "hunter2" });
    assert_eq!(asked[0].json(), serde_json::json!({ "git": git, "dir": "sub" }));
    assert_eq!(asked[1].json()["git"]["deploy_key"], "-----BEGIN\nx\n");

    user.write("my-site/index.html", "x");
    assert_eq!(user.run(&["deploy", "my-site", "--branch", "b"]).code, Some(64));
}

#[test]
fn archives_are_sent_as_they_are() {
    let user = User::new();
    user.write("my-site.tar.zst", "zst");
    assert_eq!(user.run(&["deploy", "my-site.tar.zst", "--dir", "a b"]).result(), APP_URL);
    let asked = &user.fake.seen(Method::POST, "/v1/apps/my-site/deployments")[0];
    assert_eq!((asked.header("content-type"), &asked.body[..]), (Some("application/zstd"), &b"zst"[..]));
    assert!(asked.path.ends_with("?dir=a%20b"));
}

#[test]
fn names_that_are_not_utf_8_are_an_error_that_shows_them() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    user.write(std::ffi::OsStr::from_bytes(b"my-site/caf\xe9"), "x");
    let ended = user.run(&["deploy", "my-site"]);
    assert_eq!((ended.code, &*ended.stdout), (Some(5), ""));
    assert!(ended.stderr.contains("caf\\xE9") && ended.stderr.contains("UTF-8"), "{}", ended.stderr);
}

#[test]
fn interrupted_while_waiting_it_says_how_to_go_on() {
    let user = User::new();
    user.write("my-site/index.html", "x");
    user.fake.state().script.ends = Some(DeploymentState::Queued);
    let mut child = user.command(&["deploy", "my-site"]).spawn().unwrap();
    let mut stderr = BufReader::new(child.stderr.take().unwrap()).lines();
    // Said once the program listens for signals.
    stderr.find(|line| line.as_ref().unwrap().contains("deployments before it")).unwrap().unwrap();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let rest: Vec<String> = stderr.map(Result::unwrap).collect();
    assert!(rest.iter().any(|line| line.contains("skylift cancel d-")), "{rest:?}");
    assert_eq!(end(child).code, Some(7));
}

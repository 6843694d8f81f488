//! Every other command, for people and as JSON.

use http::Method;
use skylift_model::DeploymentState;

use crate::program::User;

/// A user with one app and one deployment, whose id comes back too.
fn deployed() -> (User, String) {
    let user = User::new();
    user.write("hello/page.html", "x");
    user.fake.state().script.log = vec!["one\u{1b}]0;title\u{7}".to_owned(), "two".to_owned(), "three".to_owned()];
    let id = user.run(&["deploy", "hello", "--json"]).json()["id"].as_str().unwrap().to_owned();
    (user, id)
}

#[test]
fn apps_and_deployments_are_listed_under_the_names_in_peoples_fingers() {
    let (user, id) = deployed();
    for name in ["apps", "ls"] {
        let listed = user.run(&[name]);
        assert!(listed.result().starts_with("APP") && listed.stdout.contains("http://hello.localhost:8080"));
        assert_eq!(user.run(&[name, "--json"]).json()["apps"][0]["name"], "hello");
    }
    for arguments in [&["deployments", "hello"][..], &["releases"][..]] {
        let listed = user.run(arguments);
        assert!(listed.result().contains(&id) && listed.stdout.contains("live"), "{listed:?}");
    }
    assert_eq!(user.run(&["releases", "--json"]).json()["deployments"][0]["id"], *id);
}

#[test]
fn logs_are_shown_cleaned_cut_and_followed() {
    let (user, id) = deployed();
    assert_eq!(user.run(&["logs", "hello"]).result(), "   build | one]0;title\n   build | two\n   build | three\n");
    assert_eq!(user.run(&["logs", "hello", "--tail", "1"]).result(), "   build | three\n");
    assert_eq!(user.run(&["logs", &id, "--tail", "1"]).result(), "   build | three\n");
    assert_eq!(user.run(&["logs", &id, "--build", "d-000000000zzzzzzz"]).code, Some(5));
    let lines = user.run(&["logs", "hello", "--build", &id, "--json"]).json();
    assert_eq!(lines["lines"].as_array().unwrap().len(), 3);

    user.fake.state().script.breaks = Some(("follow=true", 1, 2));
    let followed = user.run(&["logs", "hello", "-f", "--json"]);
    let seqs: Vec<u64> = followed
        .result()
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 2, 3]);
    assert_eq!(user.run(&["logs", "hello", "--build", "d-000000000zzzzzzz"]).code, Some(3));
}

#[test]
fn rollback_and_cancel_say_what_became_of_it() {
    let (user, id) = deployed();
    assert_eq!(user.run(&["rollback", "hello"]).result(), "http://hello.localhost:8080\n");
    user.run(&["rollback", "hello", &id]).result();
    let asked = user.fake.seen(Method::POST, "/v1/apps/hello/rollback");
    assert_eq!((asked[0].json(), asked[1].json()), (serde_json::json!({}), serde_json::json!({ "deployment": id })));

    assert_eq!(user.run(&["cancel", &id]).code, Some(5));
    user.fake.state().deployments[0].state = DeploymentState::Building;
    assert_eq!(user.run(&["cancel", &id]).result(), format!("{id} cancelled\n"));
    assert_eq!(user.run(&["cancel", "hello"]).code, Some(3), "nothing is under way");
    user.fake.state().deployments[0].state = DeploymentState::Queued;
    assert_eq!(user.run(&["cancel", "hello"]).result(), format!("{id} cancelled\n"));
}

#[test]
fn env_values_go_in_by_argument_or_stdin_and_never_come_out() {
    let (user, _) = deployed();
    let set = user.run_with_input(&["env", "set", "hello", "A=1=2", "KEY=-"], "from\nstdin\n");
    assert!(set.result().contains("KEY") && !set.stdout.contains("stdin") && !set.stderr.contains("stdin"));
    assert_eq!(user.fake.state().env["KEY"], "from\nstdin");
    assert_eq!(user.fake.state().env["A"], "1=2");
    user.run(&["env", "unset", "hello", "A"]).result();
    let list = user.run(&["env", "ls", "hello", "--json"]).json();
    assert_eq!(list["variables"].as_array().unwrap().len(), 1);
    assert_eq!(list["variables"][0]["name"], "KEY");
}

#[test]
fn files_are_listed_and_printed_as_they_are() {
    let (user, id) = deployed();
    assert!(user.run(&["files", &id, "--source"]).result().contains("page.html"));
    assert_eq!(user.fake.seen(Method::GET, "/v1/deployments/*/output").len(), 1);
    assert_eq!(user.run(&["files", &id, "--json"]).json()["files"][0]["mode"], "100644");
    assert_eq!(
        user.run(&["files", &id, "page.html"]).result(),
        "<h1>\u{1b}[2J\n",
        "bytes, where no terminal reads them"
    );
    assert_eq!(user.run(&["files", &id, "../x"]).code, Some(64));
    assert_eq!(user.run(&["files", "hello"]).code, Some(3), "nothing of it is live");
    user.fake.state().apps.values_mut().next().unwrap().live = Some(id.parse().unwrap());
    assert_eq!(user.run(&["files", "hello", "--json"]).json(), user.run(&["files", &id, "--json"]).json());
    assert_eq!(user.run(&["files", "d-no-id"]).code, Some(64));
}

#[test]
fn the_platform_is_shown_cleaned_and_its_jobs_replayed() {
    let (user, _) = deployed();
    let status = user.run(&["status"]);
    for shown in ["healthy, version 9.9.9, up 1 min 1 s", "missing: cgroups: no limits", "build  1"] {
        assert!(status.result().contains(shown), "{shown} in {}", status.stdout);
    }
    assert_eq!(user.run(&["status", "--json"]).json()["version"], "9.9.9");
    assert!(user.run(&["gc"]).result().contains("2.0 KiB freed"));
    let jobs = user.run(&["jobs", "--dead", "--json"]).json();
    let id = jobs["jobs"][0]["id"].as_str().unwrap();
    assert!(user.fake.state().seen.last().unwrap().path.ends_with("?state=dead"));
    user.run(&["jobs", "replay", id]).result();
    assert_eq!(user.fake.seen(Method::POST, "/v1/jobs/*/replay").len(), 1);
}

#[test]
fn an_app_is_removed_where_that_was_meant() {
    let (user, _) = deployed();
    assert_eq!(user.run_with_input(&["rm", "hello"], "hello\n").code, Some(64), "a pipe is nobody who can be asked");
    assert_eq!(user.run(&["rm", "hello", "--yes", "--json"]).json()["removed"], "hello");
    assert!(user.fake.state().apps.is_empty());
}

#[test]
fn open_prints_the_address_where_there_is_no_browser() {
    let (user, _) = deployed();
    let opened = user.run(&["open", "hello"]);
    assert_eq!(opened.result(), "http://hello.localhost:8080\n");
    assert!(opened.stderr.contains("no browser"));
}

#[test]
fn completions_and_manual_pages_come_from_the_definition() {
    let user = User::new();
    for shell in ["bash", "zsh", "fish"] {
        assert!(user.run(&["completions", shell]).result().contains("no-wait"), "{shell}");
    }
    assert!(user.run(&["man"]).result().contains(".TH"));
    assert!(user.run(&["--help"]).result().contains("openapi"));
    assert_eq!(user.run(&["openapi"]).json()["info"]["title"], "Skylift");
    user.run(&["man", "pages"]).result();
    let page = std::fs::read_to_string(user.home.path().join("pages/skylift-env-set.1")).unwrap();
    assert!(page.contains("NAME=VALUE"));
}

#[test]
fn detection_sees_what_a_deploy_would_send_and_names_what_is_ignored() {
    let user = User::new();
    user.write("built/dist/index.html", "x");
    user.write("built/.gitignore", "dist\n");
    let none = user.run(&["detect", "built"]);
    assert_eq!(none.code, Some(5), "{none:?}");
    assert!(none.stderr.contains("hint: `dist/` is ignored by .gitignore:1"), "{}", none.stderr);

    user.write("built/page.html", "y");
    let other = user.run(&["detect", "built"]);
    assert!(other.result().contains("page.html") && other.stderr.starts_with("note: `dist/`"), "{other:?}");

    user.write("built/.skyliftignore", "!/dist/\n");
    let brought_back = user.run(&["detect", "built"]);
    assert!(brought_back.result().contains("dist/index.html") && brought_back.stderr.is_empty(), "{brought_back:?}");
}

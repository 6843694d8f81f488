//! Starting and stopping.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use skylift_model::DeploymentState;
use skylift_tests::cli::run;
use skylift_tests::{Platform, Request, process, projects, site, skip, wait};
use tempfile::TempDir;

fn mode(path: &std::path::Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[tokio::test]
async fn the_first_start_makes_secrets_that_only_the_owner_reads() {
    let platform = Platform::start().await;
    assert_eq!(mode(platform.data()), 0o700);
    assert_eq!(mode(&platform.data().join("owner-token")), 0o600);
    assert_eq!(mode(&platform.data().join("master-key")), 0o600);
    assert!(platform.token().len() >= 64, "a token that nobody guesses");
    assert_ne!(platform.token(), Platform::start().await.token(), "no two platforms share one");
}

/// The control, an executable in which they can, is in `crates/run/tests/hostile/table.rs`.
#[test]
fn no_defence_can_be_left_out_of_the_executable() {
    let bytes = fs::read(skylift_tests::executable::path()).unwrap();
    let has = |word: &str| bytes.windows(word.len()).any(|part| part == word.as_bytes());
    assert!(has("group_prefix"), "what a sandbox is told is found by its names");
    assert!(!has("OwnDescriptors"));
}

#[tokio::test]
async fn it_says_ready_with_its_address_once_it_serves() {
    let platform = Platform::start().await;
    assert_eq!(platform.ready, format!("ready http://localhost:{}", platform.port()));
    assert!(platform.send(Request::get("/healthz").host("localhost")).await.brief().starts_with("200 ok"));
    assert_eq!(platform.send(Request::get("/readyz").host("localhost")).await.brief(), "200 ready");
}

#[tokio::test]
async fn a_data_folder_that_was_open_to_others_is_closed() {
    let home = TempDir::new().unwrap();
    let data = home.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let platform = Platform::in_folder(home, data, "").await;
    assert_eq!(mode(platform.data()), 0o700);
}

#[tokio::test]
async fn a_second_process_on_the_same_data_folder_is_refused_with_the_reason() {
    let mut platform = Platform::start().await;
    let second = platform.cli(&["up", "--listen", "127.0.0.1:0"]).await;
    assert!(second.exit == 5 && second.stdout.is_empty(), "{second:?}");
    let nowhere = run(&["up", "--data", "/proc/none"]).await.ends_with(64);
    assert!(nowhere.stderr.contains("no data folder can be made there"), "{}", nowhere.stderr);
    assert!(second.stderr.contains(&format!("in use by process {}", platform.pid())), "{}", second.stderr);
    assert!(platform.is_running());
    platform.stop().await;
    platform.up().await;
}

#[tokio::test]
async fn told_to_stop_it_ends_well_and_in_time() {
    let mut platform = Platform::start().await;
    let status = platform.stop().await;
    assert!(status.success(), "{status}");
}

#[tokio::test]
async fn a_restart_keeps_secrets_and_apps() {
    let mut platform = Platform::start().await;
    platform.app("kept").await;
    let token = platform.token();
    platform.restart().await;
    assert_eq!(platform.token(), token);
    assert_eq!(platform.client().apps().await.unwrap().len(), 1);
}

#[tokio::test]
async fn a_replaced_token_file_replaces_the_token() {
    let mut platform = Platform::start().await;
    let old = platform.token();
    fs::write(platform.data().join("owner-token"), "another-token-of-more-than-32-characters").unwrap();
    platform.restart().await;
    let with = |token: &str| Request::get("/v1/apps").host("localhost").token(token);
    assert_eq!(platform.send(with(&platform.token())).await.status, 200);
    platform.send(with(&old)).await.is_error(401, "unauthorized");
}

#[tokio::test]
async fn every_mistake_in_the_settings_is_told_before_anything_is_bound() {
    let home = TempDir::new().unwrap();
    let config = home.path().join("config.toml");
    let data = home.path().join("data");
    let up = ["up", "--data", data.to_str().unwrap(), "--config", config.to_str().unwrap()];

    fs::write(&config, "[build]\nmemroy_bytes = 1\n").unwrap();
    let unknown = run(&up).await.ends_with(64);
    assert!(unknown.stderr.contains("memroy_bytes") && unknown.stderr.contains("line 2"), "{}", unknown.stderr);

    fs::write(&config, "listen = 1\n[keep]\ndeployments = 'ten'\n[biuld]\nx = 1\n[upload]\nfile_bytes_max = []\n")
        .unwrap();
    let several = run(&up).await.ends_with(64);
    for place in ["line 1", "line 3", "line 4", "line 7"] {
        assert!(several.stderr.contains(place), "{place} in {}", several.stderr);
    }

    fs::write(&config, "public_url = 'x'\n[keep]\ndeployments = 0\n[build]\nmemory_bytes = 1\n").unwrap();
    let several = run(&up).await.ends_with(64);
    for key in ["public_url", "deployments", "memory_bytes"] {
        assert!(several.stderr.contains(key), "{key} in {}", several.stderr);
    }
    assert!(several.stdout.is_empty() && !data.exists(), "nothing was begun");
}

#[tokio::test]
async fn an_address_that_is_taken_is_told() {
    let platform = Platform::start().await;
    let home = TempDir::new().unwrap();
    let listen = platform.address().to_string();
    let second = run(&["up", "--data", home.path().to_str().unwrap(), "--listen", &listen]).await;
    assert_ne!(second.exit, 0);
    assert!(second.stderr.contains(&listen), "{}", second.stderr);
}

/// An npm that does not answer before the file `go` exists beside it. Says in `asked` that it was.
fn slow_npm() -> TempDir {
    let folder = TempDir::new().unwrap();
    let npm = folder.path().join("npm");
    fs::write(&npm, "#!/bin/sh\n: > \"${0%npm}asked\"\nuntil [ -e \"${0%npm}go\" ]; do sleep 0.1; done\n").unwrap();
    fs::set_permissions(&npm, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

#[tokio::test]
async fn npm_is_asked_by_the_first_build_that_runs_a_command_and_a_slow_one_holds_up_nothing_else() {
    let name = "npm_is_asked_by_the_first_build_that_runs_a_command_and_a_slow_one_holds_up_nothing_else";
    if !skip::unless_node(name) {
        return;
    }
    let tools = slow_npm();
    let npm = tools.path().join("npm").display().to_string();
    let path = format!("{}:{}", tools.path().display(), std::env::var("PATH").unwrap());
    let mut platform = Platform::start().await;
    platform.set_environment("PATH", &path);
    platform.crash().await;
    platform.app("plain").await.deploy(&site("a plain site")).await;
    assert!(!tools.path().join("asked").exists(), "nobody needs it so far");

    let is_asked =
        async || (tools.path().join("asked").exists() && !process::with_marker(&npm).is_empty()).then_some(());
    let build = platform.app("patient").await.begin(&projects::node(&projects::page("built"))).await;
    wait::until("npm is asked", is_asked).await;
    platform.kill().await;
    let is_gone = async || process::with_marker(&npm).is_empty().then_some(());
    wait::until("npm ended with the platform that asked it", is_gone).await;

    platform.up().await;
    wait::until("npm is asked again", is_asked).await;
    platform.existing("plain").deploy(&site("at once")).await;
    let app = platform.existing("patient");
    app.reaches(&build.id, DeploymentState::Building).await;
    fs::write(tools.path().join("go"), "").unwrap();
    assert_eq!(app.settled(&build.id).await.state, DeploymentState::Live);
}

#[tokio::test]
async fn roles_that_do_not_exist_and_roles_without_shared_stores_are_refused() {
    let unknown = run(&["serve", "--roles", "edge,bild"]).await.ends_with(64);
    assert!(unknown.stderr.contains("`bild` is not a role") && unknown.stderr.contains("upload"), "{unknown:?}");
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let alone = run(&["serve", "--roles", "edge,api", "--data", &data]).await.ends_with(64);
    for needed in ["[store] url", "[blob.s3]", "[bus] url", "skylift up"] {
        assert!(alone.stderr.contains(needed), "{alone:?}");
    }
    assert!(!folder.path().join("data").exists(), "nothing was begun");
}

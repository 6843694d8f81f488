//! A hostile app in an instance as it really runs (threats 107 to 109): it finds nothing, reaches nothing and leaves nothing behind that
//! the platform follows.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use serde_json::{Value, json};
use skylift_model::InstanceState;
use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use skylift_tests::http::Request;
use skylift_tests::{Platform, skip, wait};

use super::instances;

const PROGRAM: &str = include_str!("hostile.py");

fn hostile() -> Folder {
    Folder::new().file("Procfile", "web: exec /usr/bin/python3 hostile.py\n").file("hostile.py", PROGRAM)
}

async fn reports(app: &App<'_>, path: &str, probe: &Value) -> Vec<String> {
    let answer = app.send(Request::post(path).json(probe)).await;
    assert_eq!(answer.status, 200, "{}", answer.brief());
    serde_json::from_value(answer.json()).unwrap()
}

#[tokio::test]
async fn a_hostile_app_finds_nothing_and_reaches_nothing() {
    let name = "a_hostile_app_finds_nothing_and_reaches_nothing";
    if !skip::unless_root(name) || !skip::unless_program(name, "/usr/bin/python3") || !skip::unless_own_stores(name) {
        return;
    }
    let mut platform = Platform::prepared("");
    platform.set_environment("PLATFORM_SECRET", "platform-secret-7f3a");
    platform.up().await;
    let neighbour = platform.app("neighbour").await;
    neighbour.set_env("NEIGHBOUR_SECRET", "neighbour-secret-91bc").await;
    neighbour.deploy(&hostile().file("kept.txt", "neighbour-file-44d0")).await;
    let app = platform.app("evil").await;
    app.deploy(&hostile()).await;

    let file = |name: &str| platform.data().join(name).display().to_string();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let secrets = BTreeMap::from([
        ("owner token", platform.token()),
        ("master key", fs::read_to_string(platform.data().join("master-key")).unwrap()),
        ("platform", "platform-secret-7f3a".to_owned()),
        ("neighbour", "neighbour-secret-91bc".to_owned()),
        ("neighbour's file", "neighbour-file-44d0".to_owned()),
        ("passwords", "root:".to_owned()),
        ("data folder", platform.data().display().to_string()),
    ]);
    let probe = json!({ "secrets": secrets, "host": host.trim(),
        "files": [file("owner-token"), file("master-key"), "/etc/shadow"] });

    // With the defence off: the same probe on this host, as whoever runs the tests.
    let source = hostile();
    let mut probing = Command::new("/usr/bin/python3");
    probing.args(["hostile.py", &probe.to_string()]).current_dir(source.path());
    let ran = tokio::task::spawn_blocking(move || probing.output()).await.unwrap().unwrap();
    let report: Vec<String> = serde_json::from_slice(&ran.stdout).unwrap_or_default();
    for expected in [
        "owner token in owner-token",
        "master key in master-key",
        "platform in environ",
        "neighbour in environ",
        "data folder in cmdline",
        "the host's name",
        "call mount",
        "call ptrace",
        "setting sys/kernel/core_pattern",
        "write to /etc",
        "processes of others",
        "a signal to all",
    ] {
        let stderr = String::from_utf8_lossy(&ran.stderr);
        assert!(report.iter().any(|line| line == expected), "control: {expected} in\n{report:?}\n{stderr}");
    }
    assert_eq!(reports(&app, "/probe", &probe).await, ["nothing"]);
}

/// What a program leaves in its folder is measured, owned anew and removed by root.
#[tokio::test]
async fn links_that_a_program_leaves_are_followed_by_nobody() {
    let name = "links_that_a_program_leaves_are_followed_by_nobody";
    if !skip::unless_root(name) || !skip::unless_program(name, "/usr/bin/python3") || !skip::unless_own_stores(name) {
        return;
    }
    let platform = Platform::start().await;
    let app = platform.app("evil").await;
    app.deploy(&hostile()).await;
    let victims = Folder::new().file("folder/file", "kept").file("file", "kept");
    let path = |name: &str| victims.path().join(name).display().to_string();
    let probe = json!({ "victims": [path("folder"), path("file"), platform.data().join("owner-token")] });
    let before = state(&victims);
    let made = reports(&app, "/traps", &probe).await;
    assert_eq!(made.len(), 12, "links of its own are made: {made:?}");

    let instance = instances(&app).await.remove(0).id;
    let folder = platform.data().join("instances/instances").join(instance.as_str());
    assert!(folder.join("upper/link-0").is_symlink(), "control: the platform has them in a folder of its own");
    app.deploy(&hostile().file("version", "2")).await;
    let is_gone = async || (!folder.exists()).then_some(());
    wait::until("the old instance's folder to go", is_gone).await;
    let all = instances(&app).await;
    assert!(all.iter().any(|other| other.id != instance && other.state == InstanceState::Ready), "{all:?}");
    assert_eq!(state(&victims), before);
    assert!(!platform.token().is_empty(), "the owner's token is still there");
}

/// Whose the files are, and what they hold.
fn state(victims: &Folder) -> Vec<(u32, u32, u32, String)> {
    let of = |name: &str| {
        let path = victims.path().join(name);
        let found = fs::metadata(&path).unwrap();
        (found.uid(), found.gid(), found.mode(), fs::read_to_string(&path).unwrap_or_default())
    };
    ["folder", "folder/file", "file"].map(of).into()
}

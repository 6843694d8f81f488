//! `make demo-board`, with small numbers; with the large ones in the soak.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::path::Path;

use skylift_peers::Dynamo;
use skylift_tests::{executable, process, skip};
use tempfile::TempDir;
use tokio::process::Command;

use super::repository;

/// The folder that holds `peers/`, where the demo looks for its DynamoDB-compatible server.
fn target() -> String {
    let own = std::env::current_exe().unwrap();
    let target = own.ancestors().find(|folder| folder.join("peers").is_dir()).unwrap();
    target.to_str().unwrap().to_owned()
}

fn is_empty(folder: &Path) -> bool {
    folder.read_dir().unwrap().next().is_none()
}

#[tokio::test]
async fn the_demo_stores_what_was_posted_fails_nothing_and_leaves_nothing() {
    let test = "the_demo_stores_what_was_posted_fails_nothing_and_leaves_nothing";
    let is_able = skip::unless_root(test) && skip::unless_python_packages(test) && skip::unless_one_network(test);
    if !is_able || Dynamo::dynalite().await.is_none() {
        return;
    }
    let temporary = TempDir::with_prefix("skylift-demo-").unwrap();
    let mut command = Command::new(repository().join("scripts/demo-board.sh"));
    command.arg(executable::path()).env("CARGO_TARGET_DIR", target()).env("TMPDIR", temporary.path());
    if std::env::var_os("SKYLIFT_SOAK").is_none() {
        command.envs([("DEMO_SECONDS", "8"), ("DEMO_INSTANCES", "3"), ("DEMO_RATE", "30"), ("DEMO_HOLD", "2")]);
    }
    let ran = command.kill_on_drop(true).output().await.unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{said}");
    let posted = said.lines().find_map(|line| line.strip_prefix("posted ")?.split_once(',')).unwrap_or_default();
    assert!(posted.0.parse::<u32>().is_ok_and(|count| count > 50), "{said}");
    assert_eq!(posted.1, format!(" stored {}, failed 0", posted.0), "{said}");
    for done in ["DELETE /v1/instances/i-", "kill -9 i-"] {
        assert!(said.contains(done), "{done}: {said}");
    }
    let marker = temporary.path().to_str().unwrap();
    assert!(is_empty(temporary.path()) && process::with_marker(marker).is_empty(), "{said}");
}

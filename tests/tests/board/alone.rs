//! The board's own tests, which are in Python, on servers by different people.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use skylift_peers::Dynamo;
use tokio::process::Command;

use super::source;

async fn keeps_to_its_tests(server: Option<Dynamo>) {
    let (Some(server), Some(python)) = (server, Dynamo::python()) else { return };
    let mut command = Command::new(python);
    command.args(["-m", "unittest", "discover", "-s", "tests"]).current_dir(source()).kill_on_drop(true);
    command.envs(server.variables()).env("PYTHONDONTWRITEBYTECODE", "1");
    let ran = command.output().await.unwrap();
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && said.contains("\nOK"), "{said}");
    let count = said.lines().find_map(|line| line.strip_prefix("Ran ")?.split(' ').next()?.parse::<u32>().ok());
    assert!(count.is_some_and(|count| count > 10), "{said}");
}

#[tokio::test]
async fn the_board_keeps_to_its_tests_on_dynalite() {
    keeps_to_its_tests(Dynamo::dynalite().await).await;
}

#[tokio::test]
async fn the_board_keeps_to_its_tests_on_moto() {
    keeps_to_its_tests(Dynamo::moto().await).await;
}

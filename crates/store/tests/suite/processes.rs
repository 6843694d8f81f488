//! What runs beside what answers requests: release commands and workers, as rows.

use skylift_model::plan::Plan;
use skylift_model::program::RELEASE;
use skylift_model::site::SiteSettings;
use skylift_model::{DeploymentId, Digest, InstanceId, Timestamp};
use skylift_store::{Changes, End, Fleet, JobKind, NewBeside, Once};

use crate::bench::{Bench, app};

/// A deployment with a release command and a worker is built.
async fn build(bench: &mut Bench) -> DeploymentId {
    build_with(bench, serde_json::json!({})).await
}

/// The same with this of an `app.json`.
async fn build_with(bench: &mut Bench, app_json: serde_json::Value) -> DeploymentId {
    let id = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    let now = bench.tick();
    bench.store.begin_build(lease.clone(), now).await.unwrap();
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "kind": "procfile", "root": "", "install_root": "", "output": "", "site": SiteSettings::default(), "decisions": [],
        "start": "w", "release": "r", "others": { "worker": "o" }, "app_json": app_json
    }))
    .unwrap();
    bench.store.set_plan(lease.clone(), plan).await.unwrap();
    bench.store.finish_build(lease, Digest::of(b"program"), now).await.unwrap();
    id
}

async fn go_live(bench: &mut Bench) {
    let lease = bench.lease(JobKind::Deploy).await.unwrap();
    let now = bench.tick();
    bench.store.go_live(lease, now).await.unwrap();
}

async fn fleet(bench: &Bench) -> Fleet {
    bench.store.fleet(app(), Timestamp::from_millis(0)).await.unwrap()
}

/// An instance of another process than `web` is there, and ready.
async fn start(bench: &mut Bench, deployment: &DeploymentId, process: &str) -> InstanceId {
    let now = bench.tick();
    let new = NewBeside { deployment: deployment.clone(), process: process.to_owned(), node: "n".to_owned() };
    let changes = Changes { start_beside: vec![new], ..Changes::default() };
    let made = bench.store.change_instances(fleet(bench).await, changes, now).await.unwrap();
    assert!(made.is_some(), "planned for what is there");
    let id = fleet(bench).await.beside.instances.last().unwrap().id.clone();
    assert!(bench.store.instance_ready(id.clone(), now).await.unwrap());
    id
}

async fn end(bench: &mut Bench, id: InstanceId, code: i32) {
    let reason = (code != 0).then(|| format!("exited with code {code}"));
    let now = bench.tick();
    bench.store.instance_ended(id, End { reason, exit_code: Some(code) }, now).await.unwrap();
}

pub(crate) async fn a_release_is_due_until_one_has_ended_well(mut bench: Bench) {
    let deployment = build(&mut bench).await;
    assert!(fleet(&bench).await.beside.release_is_due);
    let first = start(&mut bench, &deployment, RELEASE).await;
    end(&mut bench, first, 4).await;
    let seen = fleet(&bench).await;
    let [(process, crash)] = seen.beside.crashes.as_slice() else { panic!("{seen:?}") };
    assert_eq!((process.as_str(), crash.reason.as_str()), (RELEASE, "exited with code 4"));
    assert!(seen.beside.release_is_due && seen.crashes.is_empty(), "nothing that answers requests has crashed");
    let second = start(&mut bench, &deployment, RELEASE).await;
    end(&mut bench, second, 0).await;
    assert!(!fleet(&bench).await.beside.release_is_due);
    assert!(bench.store.deployment(deployment).await.unwrap().released);
}

pub(crate) async fn workers_are_counted_and_never_routed_to(mut bench: Bench) {
    let deployment = build(&mut bench).await;
    go_live(&mut bench).await;
    assert_eq!(bench.store.processes(app()).await.unwrap(), [("worker".to_owned(), 1)].into());
    let now = bench.tick();
    let count = |process: &str| bench.store.set_process_count(app(), process.to_owned(), 3, Once::default(), now);
    count("worker").await.unwrap();
    assert_eq!(count("clock").await.unwrap_err().to_string(), "there is no process `clock` of app `shop`");
    assert_eq!(fleet(&bench).await.beside.wanted, [("worker".to_owned(), 3)].into());

    let before = bench.store.app_routes(app()).await.unwrap().unwrap();
    start(&mut bench, &deployment, "worker").await;
    let after = bench.store.app_routes(app()).await.unwrap().unwrap();
    assert_eq!((after.generation, after.instances.len()), (before.generation, 0));
    assert_eq!(bench.store.scaled().await.unwrap().pop().unwrap().ready, 0, "nor do they count for the load");

    bench.deploy_and_go_live().await;
    let now = bench.tick();
    let refused = bench.store.set_process_count(app(), "worker".to_owned(), 1, Once::default(), now).await.unwrap_err();
    assert!(refused.to_string().contains("is a site"), "{refused}");
}

pub(crate) async fn what_app_json_counts_holds_until_its_owner_says_otherwise(mut bench: Bench) {
    build_with(&mut bench, serde_json::json!({ "counts": { "worker": 2, "gone": 5 } })).await;
    go_live(&mut bench).await;
    assert_eq!(bench.store.processes(app()).await.unwrap(), [("worker".to_owned(), 2)].into());
    let now = bench.tick();
    bench.store.set_process_count(app(), "worker".to_owned(), 1, Once::default(), now).await.unwrap();
    assert_eq!(fleet(&bench).await.beside.wanted, [("worker".to_owned(), 1)].into());
}

pub(crate) async fn a_restart_and_a_command_need_something_that_runs(mut bench: Bench) {
    let now = bench.tick();
    let refused = bench.store.restart(app(), Once::default(), now).await.unwrap_err();
    assert_eq!(refused.to_string(), "nothing that runs is live of app `shop`");
    let deployment = build(&mut bench).await;
    go_live(&mut bench).await;
    let crashed = start(&mut bench, &deployment, "worker").await;
    end(&mut bench, crashed, 1).await;
    assert_eq!(fleet(&bench).await.beside.crashes.len(), 1);
    let now = bench.tick();
    bench.store.restart(app(), Once::default(), now).await.unwrap();
    let seen = fleet(&bench).await;
    assert_eq!((seen.restarted_at, seen.beside.crashes.len()), (now, 0), "what crashed before it counts no more");

    let command = vec!["ls".to_owned(), "a b".to_owned()];
    let now = bench.tick();
    let done = bench.store.run_once(app(), command.clone(), Once::default(), now).await.unwrap();
    let row = done.made().unwrap();
    assert_eq!((row.command, row.node.as_str(), row.deployment), (Some(command), "n", deployment));
    end(&mut bench, row.id, 9).await;
    assert_eq!(fleet(&bench).await.beside.crashes.len(), 0, "its end is no crash of a process");
}

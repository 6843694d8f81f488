//! Rollouts as rows: shares that are routed, ends that are one change, and who ends them.

use skylift_model::plan::Plan;
use skylift_model::rollout::{RolloutState, Strategy};
use skylift_model::route::{AppRoutes, RoutedShare};
use skylift_model::site::SiteSettings;
use skylift_model::{DeploymentId, DeploymentState, Digest, Timestamp};
use skylift_store::{ByHand, Changes, Fleet, JobKind, Lease, Once, Steer, StoreError};

use crate::bench::{Bench, app};

/// A deployment that runs is built and says how it is to be rolled out.
async fn build(bench: &mut Bench, rollout: &str) -> DeploymentId {
    let id = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    let now = bench.tick();
    bench.store.begin_build(lease.clone(), now).await.unwrap();
    let rollout: serde_json::Value = serde_json::from_str(rollout).unwrap();
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "kind": "procfile", "root": "", "install_root": "", "output": "", "site": SiteSettings::default(), "decisions": [],
        "start": "w", "rollout": rollout
    }))
    .unwrap();
    bench.store.set_plan(lease.clone(), plan).await.unwrap();
    bench.store.finish_build(lease, Digest::of(b"program"), now).await.unwrap();
    id
}

/// It is taken up by whoever deploys.
async fn begin(bench: &mut Bench) -> Lease {
    let lease = bench.lease(JobKind::Deploy).await.unwrap();
    let now = bench.tick();
    bench.store.begin_rollout(lease.clone(), now).await.unwrap();
    lease
}

async fn go_live(bench: &mut Bench, lease: Lease) {
    let now = bench.tick();
    bench.store.go_live(lease, now).await.unwrap();
}

async fn fleet(bench: &Bench) -> Fleet {
    bench.store.fleet(app(), Timestamp::from_millis(0)).await.unwrap()
}

/// An instance of a deployment is there, and ready.
async fn start(bench: &mut Bench, deployment: &DeploymentId) {
    let now = bench.tick();
    let changes = Changes { start: vec![(deployment.clone(), "n".to_owned())], ..Changes::default() };
    assert!(bench.store.change_instances(fleet(bench).await, changes, now).await.unwrap().is_some());
    let id = fleet(bench).await.instances.last().unwrap().id.clone();
    assert!(bench.store.instance_ready(id, now).await.unwrap());
}

/// Version 1 is live with an instance, version 2 has begun and has one, too.
async fn begun(bench: &mut Bench, rollout: &str) -> (DeploymentId, DeploymentId, Lease) {
    let first = build(bench, "{}").await;
    let lease = begin(bench).await;
    start(bench, &first).await;
    go_live(bench, lease).await;
    let second = build(bench, rollout).await;
    let lease = begin(bench).await;
    start(bench, &second).await;
    (first, second, lease)
}

async fn routes(bench: &Bench) -> AppRoutes {
    bench.store.app_routes(app()).await.unwrap().unwrap()
}

/// Of each instance that is routed: whose it is, whether the app's address leads to it, whether it gets nothing new.
async fn routed(bench: &Bench) -> Vec<(DeploymentId, bool, bool)> {
    let of = routes(bench).await.instances;
    of.into_iter().map(|one| (one.deployment, one.serving, one.draining)).collect()
}

async fn give(bench: &mut Bench, lease: &Lease, share: u16) -> bool {
    let now = bench.tick();
    let seen = fleet(bench).await.rollout.unwrap();
    bench.store.give_share(lease.clone(), seen, share, now).await.unwrap()
}

async fn steer(bench: &mut Bench, steer: Steer) -> Result<RolloutState, StoreError> {
    let now = bench.tick();
    let done = bench.store.steer_rollout(app(), steer, Once::default(), now).await?;
    Ok(done.made().unwrap().row.state)
}

pub(crate) async fn a_share_is_routed_and_an_abort_is_one_change(mut bench: Bench) {
    let (first, second, lease) = begun(&mut bench, r#"{ "strategy": "canary" }"#).await;
    let before = routes(&bench).await;
    assert_eq!(before.share, None);
    assert_eq!(routed(&bench).await, [(first.clone(), true, false), (second.clone(), false, false)], "nobody meets it");

    let seen = fleet(&bench).await.rollout.unwrap();
    assert!(give(&mut bench, &lease, 1000).await);
    let after = routes(&bench).await;
    assert_eq!(after.share, Some(RoutedShare { deployment: second.clone(), hundredths: 1000 }));
    assert!(after.generation > before.generation);
    assert_eq!(routed(&bench).await, [(first.clone(), true, false), (second.clone(), true, false)]);
    let now = bench.tick();
    assert!(!bench.store.give_share(lease.clone(), seen, 5000, now).await.unwrap(), "it is another step by now");
    start(&mut bench, &second).await;
    assert_eq!(routed(&bench).await.last(), Some(&(second.clone(), true, false)), "what comes later serves at once");

    assert_eq!(steer(&mut bench, Steer::Abort).await.unwrap(), RolloutState::Aborted);
    assert_eq!(routes(&bench).await.share, None);
    let closed = (second.clone(), true, true);
    assert_eq!(routed(&bench).await, [(first.clone(), true, false), closed.clone(), closed]);
    let failed = bench.store.deployment(second).await.unwrap();
    assert_eq!(failed.state, DeploymentState::Failed);
    assert_eq!(failed.failure.unwrap().message, "rollout aborted by its owner");
    let now = bench.tick();
    assert!(matches!(bench.store.go_live(lease, now).await, Err(StoreError::Fenced)));
    assert_eq!(bench.live().await, Some(first));
    assert!(steer(&mut bench, Steer::Abort).await.unwrap_err().to_string().contains("no rollout"));
}

pub(crate) async fn going_live_side_by_side_closes_the_old_ones_in_the_same_change(mut bench: Bench) {
    let (first, second, lease) = begun(&mut bench, r#"{ "strategy": "blue_green" }"#).await;
    assert_eq!(fleet(&bench).await.rollout.unwrap().strategy, Strategy::BlueGreen);
    assert_eq!(routed(&bench).await, [(first.clone(), true, false), (second.clone(), false, false)]);
    go_live(&mut bench, lease).await;
    assert_eq!(routed(&bench).await, [(first, true, true), (second.clone(), true, false)]);
    start(&mut bench, &second).await;
    assert!(routed(&bench).await.last().unwrap().1);
    assert!(fleet(&bench).await.rollout.is_none());
    assert_eq!(bench.store.rollout(app()).await.unwrap().row.state, RolloutState::Live);
}

pub(crate) async fn of_a_stopped_app_no_version_stands_beside_another(mut bench: Bench) {
    let first = build(&mut bench, "{}").await;
    let lease = begin(&mut bench).await;
    start(&mut bench, &first).await;
    go_live(&mut bench, lease).await;
    let now = bench.tick();
    bench.store.scale_by_hand(app(), ByHand::Stop, Once::default(), now).await.unwrap();
    build(&mut bench, r#"{ "strategy": "canary" }"#).await;
    begin(&mut bench).await;
    assert_eq!(fleet(&bench).await.rollout.unwrap().strategy, Strategy::Rolling);
}

pub(crate) async fn an_attempt_that_was_lost_goes_on_with_its_step(mut bench: Bench) {
    let (_, _, lease) = begun(&mut bench, r#"{ "strategy": "canary" }"#).await;
    assert!(give(&mut bench, &lease, 1000).await);
    steer(&mut bench, Steer::Pause).await.unwrap();
    assert!(matches!(steer(&mut bench, Steer::Resume).await, Ok(RolloutState::Going)));
    let before = fleet(&bench).await.rollout.unwrap();
    let now = bench.tick();
    bench.store.begin_rollout(lease, now).await.unwrap();
    let after = fleet(&bench).await.rollout.unwrap();
    assert_eq!((after.step, after.share, after.began_at), (before.step, before.share, before.began_at));
    assert_eq!(after.step_at, Some(now), "which begins anew");
    assert_eq!(steer(&mut bench, Steer::Promote).await.unwrap(), RolloutState::Promoted);
    let refused = steer(&mut bench, Steer::Pause).await.unwrap_err();
    assert_eq!(refused.to_string(), "the rollout of app `shop` is promoted");
}

pub(crate) async fn a_newer_deployment_takes_the_place_of_what_may_last(mut bench: Bench) {
    let (_, second, _) = begun(&mut bench, r#"{ "strategy": "canary" }"#).await;
    let third = bench.deploy().await;
    let told = bench.store.deployment(second.clone()).await.unwrap().failure.unwrap().message;
    assert_eq!(told, format!("rollout aborted: superseded by {third}, a newer deployment of shop"));
    assert!(bench.log(&second).await.contains(&told));
    assert!(bench.lease(JobKind::Build).await.is_some(), "its lane is free");
}

pub(crate) async fn a_newer_deployment_waits_for_what_just_rolls(mut bench: Bench) {
    let (_, second, lease) = begun(&mut bench, "{}").await;
    let third = bench.deploy().await;
    assert_eq!(bench.state(&second).await, DeploymentState::Deploying);
    steer(&mut bench, Steer::Pause).await.unwrap();
    bench.deploy().await;
    assert_eq!(bench.state(&second).await, DeploymentState::Failed, "unless it is held");
    assert_eq!(bench.state(&third).await, DeploymentState::Superseded);
    let now = bench.tick();
    assert!(matches!(bench.store.go_live(lease, now).await, Err(StoreError::Fenced)));
    assert!(routed(&bench).await.iter().all(|(_, _, draining)| !draining), "its planner takes its instances back");
}

pub(crate) async fn a_rollback_ends_what_is_under_way_and_goes_no_further_back_unasked(mut bench: Bench) {
    let (first, second, _) = begun(&mut bench, r#"{ "strategy": "canary" }"#).await;
    assert_eq!(bench.roll_back(None).await.unwrap(), first);
    assert_eq!((bench.live().await, bench.state(&first).await), (Some(first.clone()), DeploymentState::Live));
    assert_eq!(bench.state(&second).await, DeploymentState::Failed);
    assert!(bench.roll_back(None).await.is_err(), "nothing was live before");

    let third = build(&mut bench, "{}").await;
    let lease = begin(&mut bench).await;
    go_live(&mut bench, lease).await;
    let fourth = build(&mut bench, r#"{ "strategy": "canary" }"#).await;
    begin(&mut bench).await;
    assert!(bench.roll_back(Some(&third)).await.is_err(), "it is live");
    assert_eq!(bench.state(&fourth).await, DeploymentState::Deploying, "and nothing was done");
    assert_eq!(bench.roll_back(Some(&first)).await.unwrap(), first);
    assert_eq!(bench.state(&fourth).await, DeploymentState::Failed);
}

pub(crate) async fn where_nothing_runs_every_strategy_just_starts(mut bench: Bench) {
    let first = build(&mut bench, r#"{ "strategy": "canary" }"#).await;
    let lease = begin(&mut bench).await;
    start(&mut bench, &first).await;
    assert_eq!(fleet(&bench).await.rollout.unwrap().strategy, Strategy::Rolling);
    assert_eq!(routed(&bench).await, [(first, true, false)]);
    go_live(&mut bench, lease).await;
}

/// What replaced another is on trial until it is taken back, which it is once, and what is live by somebody's own word is not.
pub(crate) async fn what_went_live_is_taken_back_once_and_says_why(mut bench: Bench) {
    let (first, second, lease) = begun(&mut bench, "{}").await;
    assert_eq!(fleet(&bench).await.trial, None, "what is live replaced nothing");
    go_live(&mut bench, lease).await;
    let trial = fleet(&bench).await.trial.unwrap();
    assert_eq!((&trial.deployment, &trial.old, trial.state), (&second, &Some(first.clone()), RolloutState::Live));
    let why = "taken back 9 s after it had gone live: it does not last";
    let now = bench.tick();
    let back = bench.store.take_live_back(trial.clone(), why.to_owned(), now).await.unwrap().unwrap();
    assert_eq!((&back.deployment.id, bench.live().await), (&first, Some(first.clone())));
    let told = bench.store.deployment(second.clone()).await.unwrap();
    assert_eq!((told.state, told.failure.unwrap().message.as_str()), (DeploymentState::Previous, why));
    let events = bench.store.events(second.clone(), 0).await.unwrap();
    assert_eq!(events.last().unwrap().message, why);
    assert!(bench.log(&second).await.iter().any(|line| line.contains(why)));
    assert_eq!(bench.store.rollout(app()).await.unwrap().row.reason.as_deref(), Some(why));
    let again = bench.store.take_live_back(trial.clone(), why.to_owned(), now).await.unwrap();
    assert!(again.is_none(), "another is live by now");
    // Its owner makes it live all the same: that is no trial, nor is the way back from there.
    assert_eq!(bench.roll_back(Some(&second)).await.unwrap(), second);
    assert_eq!(fleet(&bench).await.trial, None);
    assert!(bench.store.take_live_back(trial, why.to_owned(), now).await.unwrap().is_none(), "it is as seen no more");
    assert_eq!(bench.roll_back(None).await.unwrap(), first);
    assert_eq!(fleet(&bench).await.trial, None);
}

/// Nothing is taken back from below somebody who is on the way.
pub(crate) async fn what_is_on_trial_stays_while_another_is_on_the_way(mut bench: Bench) {
    let (_, second, lease) = begun(&mut bench, "{}").await;
    go_live(&mut bench, lease).await;
    let trial = fleet(&bench).await.trial.unwrap();
    build(&mut bench, "{}").await;
    begin(&mut bench).await;
    assert_eq!(fleet(&bench).await.trial, None);
    let now = bench.tick();
    assert!(bench.store.take_live_back(trial, "why".to_owned(), now).await.unwrap().is_none());
    assert_eq!(bench.live().await, Some(second));
}

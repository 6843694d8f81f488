//! What is live, and going back.

use skylift_model::{DeploymentState, Digest};
use skylift_store::JobKind;

use crate::bench::{Bench, app};

pub(crate) async fn repeated_rollbacks_go_further_back_and_an_explicit_one_goes_anywhere(mut bench: Bench) {
    let a = bench.deploy_and_go_live().await;
    let b = bench.deploy_and_go_live().await;
    let c = bench.deploy_and_go_live().await;
    assert_eq!(bench.roll_back(None).await.unwrap(), b);
    assert_eq!(bench.roll_back(None).await.unwrap(), a);
    let end = bench.roll_back(None).await.unwrap_err();
    assert_eq!(end.to_string(), "app `shop` has nothing to roll back to");
    assert_eq!(bench.roll_back(Some(&c)).await.unwrap(), c);
    assert_eq!(bench.live().await, Some(c.clone()));
    assert_eq!(bench.roll_back(None).await.unwrap(), a, "what was live before the explicit one");
    assert_eq!(bench.state(&c).await, DeploymentState::Previous);
    let routes = bench.store.app_routes(app()).await.unwrap().unwrap();
    let replaced = |id| routes.deployments.iter().find(|deployment| deployment.id == id).unwrap().replaced;
    assert!(replaced(a.clone()).is_none() && replaced(b.clone()).is_some(), "{routes:?}");
    assert!(replaced(c) > replaced(b), "the last time counts: {routes:?}");
    assert_eq!((routes.live, routes.generation, routes.deployments.len()), (Some(a), 7, 3));
}

pub(crate) async fn a_rollback_brings_its_environment_back(mut bench: Bench) {
    assert_eq!(bench.set_env(0, b"one").await.unwrap(), 1);
    bench.deploy_and_go_live().await;
    assert_eq!(bench.set_env(1, b"two").await.unwrap(), 2);
    bench.deploy_and_go_live().await;
    bench.roll_back(None).await.unwrap();
    let env = bench.store.env(app()).await.unwrap();
    assert_eq!((env.version, env.sealed.as_deref()), (1, Some(b"one".as_slice())));
    assert!(bench.set_env(2, b"stale").await.is_err());
    assert_eq!(bench.set_env(1, b"three").await.unwrap(), 3, "versions are never reused");
}

pub(crate) async fn a_build_adds_to_the_environment_that_its_app_still_has(mut bench: Bench) {
    bench.set_env(0, b"one").await.unwrap();
    let id = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    let now = bench.tick();
    bench.store.begin_build(lease.clone(), now).await.unwrap();
    bench.set_env(1, b"two").await.unwrap();
    let give =
        |from: u64, sealed: Option<&[u8]>| bench.store.give_env(lease.clone(), from, sealed.map(<[u8]>::to_vec), now);
    assert!(give(1, Some(b"stale")).await.is_err(), "the owner's change is not lost");
    give(2, Some(b"two and a secret")).await.unwrap();
    assert_eq!(bench.store.env(app()).await.unwrap().version, 3);
    assert_eq!(bench.store.deployment(id.clone()).await.unwrap().env_version, 3);
    bench.set_env(3, b"four").await.unwrap();
    give(4, None).await.unwrap();
    assert_eq!(bench.store.deployment(id).await.unwrap().env_version, 4, "what is there already is taken");
    let newer = bench.store.newer_envs(app(), 2).await.unwrap();
    assert_eq!(newer, [b"four".to_vec(), b"two and a secret".to_vec()]);

    bench.store.finish_build(lease.clone(), Digest::of(b"x"), now).await.unwrap();
    let late = bench.store.give_env(lease, 4, None, now).await;
    assert!(late.is_err(), "whoever has no lease changes nothing");
}

pub(crate) async fn what_was_answered_is_there_after_reopening(mut bench: Bench) {
    let id = bench.deploy_and_go_live().await;
    let reopened = bench.home.open().await;
    assert_eq!(reopened.app(app()).await.unwrap().live, Some(id.clone()));
    let events = reopened.events(id, 0).await.unwrap();
    let states: Vec<_> = events.iter().map(|event| event.state.as_str()).collect();
    assert_eq!(states, ["queued", "building", "deploying", "live"]);
}

/// What is read ahead within a transaction must not outlive a change in it, nor a part that was undone.
pub(crate) async fn a_rollback_sees_what_the_same_commit_changed_before(mut bench: Bench) {
    let a = bench.deploy_and_go_live().await;
    let b = bench.deploy_and_go_live().await;
    let now = bench.tick();
    // All of them wait for one commit, in this order: the second one fails and is undone, and the third goes on from the first.
    let go = |target: Option<&skylift_model::DeploymentId>| {
        let (store, target) = (bench.store.clone(), target.cloned());
        async move { store.roll_back(app(), target, skylift_store::Once::default(), now).await }
    };
    let (first, second, third) = tokio::join!(go(Some(&a)), go(Some(&a)), go(Some(&b)));
    let generation = |done: Result<skylift_store::Done<skylift_store::WentLive>, skylift_store::StoreError>| {
        done.unwrap().made().unwrap().generation
    };
    assert!(second.is_err(), "it is live already");
    assert_eq!((generation(first), generation(third)), (3, 4));
    assert_eq!(bench.live().await, Some(b.clone()));
    let routes = bench.store.app_routes(app()).await.unwrap().unwrap();
    assert_eq!((routes.live, routes.generation), (Some(b), 4));
}

//! Leases: taken, lost, given up, withdrawn.

use std::time::Duration;

use skylift_model::{DeploymentState, Digest};
use skylift_store::{Conflict, JobKind, Once, StoreError};

use crate::bench::{Bench, LEASE, failure};

pub(crate) async fn a_lost_lease_commits_nothing(mut bench: Bench) {
    let id = bench.deploy().await;
    let slow = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(slow.clone(), bench.now).await.unwrap();
    bench.now = bench.now.plus(LEASE * 2);
    assert!(bench.store.reap(bench.now).await.unwrap().is_empty());
    bench.now = bench.now.plus(Duration::from_secs(10));
    let quick = bench.lease(JobKind::Build).await.unwrap();
    assert_eq!((quick.fence, quick.attempt), (slow.fence + 1, 2));
    let now = bench.tick();
    let late = bench.store.finish_build(slow.clone(), Digest::of(b"late"), now).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    assert!(matches!(bench.store.renew(slow, now, LEASE).await, Err(StoreError::Fenced)));
    bench.store.finish_build(quick, Digest::of(b"good"), now).await.unwrap();
    assert_eq!(bench.store.deployment(id).await.unwrap().artifact, Some(Digest::of(b"good")));
}

pub(crate) async fn what_died_with_the_process_before_is_tried_again_at_once_and_not_for_ever(mut bench: Bench) {
    bench.deploy().await;
    for attempt in 1..=3 {
        let lease = bench.lease(JobKind::Build).await.unwrap();
        assert_eq!(lease.attempt, attempt);
        assert!(bench.lease(JobKind::Build).await.is_none());
        assert_eq!(bench.store.reap_all(bench.now).await.unwrap().len(), usize::from(attempt == 3));
        if attempt == 2 {
            assert!(bench.lease(JobKind::Build).await.is_none(), "who starts again and again has time");
            bench.now = bench.now.plus(LEASE);
        }
    }
    assert!(bench.lease(JobKind::Build).await.is_none());
}

pub(crate) async fn what_a_worker_lost_among_others_is_not_tried_again_at_once(mut bench: Bench) {
    bench.deploy().await;
    bench.lease(JobKind::Build).await.unwrap();
    bench.now = bench.now.plus(LEASE * 2);
    bench.store.reap(bench.now).await.unwrap();
    assert!(bench.lease(JobKind::Build).await.is_none());
    bench.now = bench.now.plus(Duration::from_secs(1));
    assert_eq!(bench.lease(JobKind::Build).await.unwrap().attempt, 2);
}

pub(crate) async fn a_job_that_keeps_dying_is_given_up_and_can_be_replayed(mut bench: Bench) {
    let id = bench.deploy().await;
    for attempt in 1..=3 {
        bench.now = bench.now.plus(Duration::from_secs(60));
        let lease = bench.lease(JobKind::Build).await.unwrap();
        bench.store.begin_build(lease, bench.now).await.unwrap();
        bench.print(&id, "working").await;
        let dead = bench.store.reap_all(bench.now).await.unwrap();
        assert_eq!(dead.len(), usize::from(attempt == 3));
    }
    bench.store.fail_abandoned(id.clone(), failure(), bench.now).await.unwrap();
    assert_eq!(bench.state(&id).await, DeploymentState::Failed);
    bench.print(&id, "a last word of a process that is being killed").await;
    let lost = |attempt| format!("attempt {attempt} of 3: the builder was lost");
    let (second, third) = (lost(2), lost(3));
    let expected = ["working", &second, "working", &third, "working", "failed: exit 1"];
    assert_eq!(bench.log(&id).await, expected);
    let dead = bench.store.jobs(Some("dead".into())).await.unwrap();
    bench.store.replay(dead[0].id.clone(), Once::default(), bench.now).await.unwrap();
    assert_eq!(bench.build().await, id);
    assert_eq!(bench.state(&id).await, DeploymentState::Deploying);
}

pub(crate) async fn cancelling_ends_once_and_frees_the_queue(mut bench: Bench) {
    let id = bench.deploy().await;
    let lease = bench.lease(JobKind::Build).await.unwrap();
    bench.store.begin_build(lease.clone(), bench.now).await.unwrap();
    let now = bench.tick();
    bench.print(&id, "one").await;
    bench.store.cancel_deployment(id.clone(), Once::default(), now).await.unwrap();
    let again = bench.store.cancel_deployment(id.clone(), Once::default(), now).await.unwrap_err();
    let settled = Conflict::Settled { deployment: id.clone(), state: DeploymentState::Cancelled };
    assert!(matches!(again, StoreError::Conflict(why) if why == settled));
    bench.print(&id, "two").await;
    assert_eq!(bench.log(&id).await, ["one", "cancelled by the owner"]);
    let late = bench.store.finish_build(lease, Digest::of(b"x"), now).await;
    assert!(matches!(late, Err(StoreError::Fenced)));
    let next = bench.deploy_and_go_live().await;
    assert_eq!(bench.live().await, Some(next));
}

pub(crate) async fn an_attempt_that_could_not_be_made_does_not_count(mut bench: Bench) {
    bench.deploy().await;
    for _ in 0..5 {
        let lease = bench.lease(JobKind::Build).await.unwrap();
        assert_eq!(lease.attempt, 1);
        bench.store.postpone(lease.clone(), "away".to_owned(), bench.now).await.unwrap();
        assert!(matches!(bench.store.complete(lease).await, Err(StoreError::Fenced)), "its fence is of the past");
        assert!(bench.lease(JobKind::Build).await.is_none(), "not at once");
        bench.now = bench.now.plus(Duration::from_secs(61));
    }
    // The control: what failed counts, and the third is the last.
    for attempt in 1..=3 {
        let lease = bench.lease(JobKind::Build).await.unwrap();
        assert_eq!(lease.attempt, attempt);
        assert_eq!(bench.store.retry(lease, "broken".to_owned(), bench.now).await.unwrap(), attempt == 3);
        bench.now = bench.now.plus(Duration::from_secs(61));
    }
}

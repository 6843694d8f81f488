//! How many instances there should be: by hand, by whoever scales, within bounds.

use skylift_model::plan::Plan;
use skylift_model::site::SiteSettings;
use skylift_model::wire::Scaling;
use skylift_model::{Digest, Timestamp};
use skylift_store::{ByHand, Changes, Done, JobKind, Once, Scaled, StoreError};

use crate::bench::{Bench, app};

/// A deployment that runs goes live.
pub(crate) async fn run_something(bench: &mut Bench) {
    bench.deploy().await;
    build_what_runs(bench).await;
    take_over(bench).await;
}

/// What is next to be built is something that runs.
pub(crate) async fn build_what_runs(bench: &mut Bench) {
    let lease = bench.lease(JobKind::Build).await.unwrap();
    let now = bench.tick();
    bench.store.begin_build(lease.clone(), now).await.unwrap();
    let plan: Plan = serde_json::from_value(serde_json::json!({
        "kind": "node-server", "root": "", "install_root": "", "output": "", "site": SiteSettings::default(), "decisions": []
    }))
    .unwrap();
    bench.store.set_plan(lease.clone(), plan).await.unwrap();
    bench.store.finish_build(lease, Digest::of(b"program"), now).await.unwrap();
}

/// What was built goes live.
pub(crate) async fn take_over(bench: &mut Bench) {
    let lease = bench.lease(JobKind::Deploy).await.unwrap();
    let now = bench.tick();
    bench.store.go_live(lease, now).await.unwrap();
}

async fn scaled(bench: &Bench) -> Scaled {
    bench.store.scaled().await.unwrap().pop().unwrap()
}

async fn by_hand(bench: &mut Bench, by_hand: ByHand) -> Result<Done<u32>, StoreError> {
    let now = bench.tick();
    bench.store.scale_by_hand(app(), by_hand, Once::default(), now).await
}

pub(crate) async fn a_decision_counts_only_from_the_number_it_was_made_from(mut bench: Bench) {
    assert_eq!(bench.store.scaled().await.unwrap(), [], "nothing that runs is live");
    run_something(&mut bench).await;
    let now = bench.tick();
    assert!(bench.store.scale(app(), (1, 3), "much to do".to_owned(), now).await.unwrap());
    assert!(!bench.store.scale(app(), (1, 2), "late".to_owned(), now).await.unwrap(), "it is 3 by now");
    assert_eq!(scaled(&bench).await.wanted, 3);
    by_hand(&mut bench, ByHand::Stop).await.unwrap();
    let now = bench.tick();
    assert!(!bench.store.scale(app(), (0, 1), "a request".to_owned(), now).await.unwrap(), "nothing wakes it");
    assert!(bench.store.app_routes(app()).await.unwrap().unwrap().stopped);
    by_hand(&mut bench, ByHand::Wanted(2)).await.unwrap();
    assert!(!bench.store.app_routes(app()).await.unwrap().unwrap().stopped);
    let steps = bench.store.scaling_steps(app()).await.unwrap();
    let told: Vec<_> = steps.iter().map(|step| (step.from, step.to, step.reason.as_str())).collect();
    assert_eq!(told, [(0, 2, "set by hand"), (3, 0, "set by hand"), (1, 3, "much to do")]);
}

pub(crate) async fn bounds_hold_by_hand_and_bring_inside_what_is_outside(mut bench: Bench) {
    run_something(&mut bench).await;
    let refused = by_hand(&mut bench, ByHand::Wanted(11)).await.unwrap_err();
    assert_eq!(refused.to_string(), "app `shop` is to have 1 to 10 instances, not 11");
    by_hand(&mut bench, ByHand::Wanted(10)).await.unwrap();
    let now = bench.tick();
    let few = Scaling { min: 0, max: 4, in_flight: Some(7), ..Scaling::default() };
    bench.store.set_scaling(app(), few.clone(), Once::default(), now).await.unwrap();
    let row = scaled(&bench).await;
    assert_eq!((row.wanted, row.scaling), (4, few));
    by_hand(&mut bench, ByHand::Stop).await.unwrap();
    let now = bench.tick();
    bench.store.set_scaling(app(), Scaling::default(), Once::default(), now).await.unwrap();
    assert_eq!(scaled(&bench).await.wanted, 0, "what is stopped stays so");
}

pub(crate) async fn whoever_scales_sees_what_answers_and_what_starts(mut bench: Bench) {
    run_something(&mut bench).await;
    let fleet = bench.store.fleet(app(), Timestamp::from_millis(0)).await.unwrap();
    let live = fleet.live.clone().unwrap();
    let start = vec![(live.clone(), "n".to_owned()), (live, "n".to_owned())];
    let now = bench.tick();
    bench.store.change_instances(fleet, Changes { start, ..Changes::default() }, now).await.unwrap().unwrap();
    let first = bench.store.instances(app()).await.unwrap().remove(0);
    let later = now.plus(std::time::Duration::from_millis(700));
    assert!(bench.store.instance_ready(first.id, later).await.unwrap());
    let row = scaled(&bench).await;
    assert_eq!((row.ready, row.starting, row.boot_ms), (1, 1, Some(700)));
}

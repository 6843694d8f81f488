//! A full node: what an app cannot do without takes the room of what another could do without, and nobody else gets it meanwhile.

use std::time::Duration;

use skylift_model::instance_type::Capacity;
use skylift_model::wire::Scaling;
use skylift_model::{AppName, InstanceId, InstanceState};
use skylift_store::{ByHand, Changed, Changes, End, Fleet, JobKind, NewDeployment, Once};

use crate::bench::{Bench, app, archive, create_app};
use crate::scaling::{build_what_runs, run_something, take_over};

const NODE: &str = "n";

fn other() -> AppName {
    "other".parse().unwrap()
}

async fn fleet(bench: &Bench, app: &AppName) -> Fleet {
    bench.store.fleet(app.clone(), bench.now).await.unwrap()
}

/// Starts so many instances of what is about to be live, else of what is.
async fn start(bench: &mut Bench, app: &AppName, count: usize) -> Changed {
    let (seen, now) = (fleet(bench, app).await, bench.tick());
    let of = seen.next.clone().or(seen.live.clone()).unwrap();
    let start = vec![(of, NODE.to_owned()); count];
    bench.store.change_instances(seen, Changes { start, ..Changes::default() }, now).await.unwrap().unwrap()
}

async fn in_state(bench: &Bench, app: &AppName, state: InstanceState) -> Vec<InstanceId> {
    let rows = fleet(bench, app).await.instances;
    rows.into_iter().filter(|row| row.state == state).map(|row| row.id).collect()
}

async fn ready(bench: &mut Bench, app: &AppName) {
    for id in in_state(bench, app, InstanceState::Starting).await {
        let now = bench.tick();
        assert!(bench.store.instance_ready(id, now).await.unwrap());
    }
}

async fn ended(bench: &mut Bench, ids: Vec<InstanceId>) {
    for id in ids {
        let now = bench.tick();
        bench.store.instance_ended(id, End::default(), now).await.unwrap();
    }
}

/// `shop` is wanted and has three ready instances, as many as the node takes; `other` is live and has none.
async fn full_node(bench: &mut Bench) {
    run_something(bench).await;
    let now = bench.tick();
    assert!(create_app(&bench.store, &other(), now).await);
    bench.store.create_deployment(NewDeployment { app: other(), ..archive() }, Once::default(), now).await.unwrap();
    build_what_runs(bench).await;
    take_over(bench).await;
    let now = bench.tick();
    let takes = bench.store.template(app(), now).await.unwrap().unwrap().template.instance.takes();
    let three = Capacity { memory_bytes: 3 * takes.memory_bytes, cpu_millicores: 100 * takes.cpu_millicores };
    bench.store.set_node(NODE.to_owned(), three, now).await.unwrap();
    bench.store.scale_by_hand(app(), ByHand::Wanted(3), Once::default(), now).await.unwrap();
    assert_eq!(start(bench, &app(), 3).await.unstarted, None);
    ready(bench, &app()).await;
}

pub(crate) async fn the_first_instance_of_one_takes_the_room_of_a_spare_one_of_another(mut bench: Bench) {
    full_node(&mut bench).await;
    let shops = in_state(&bench, &app(), InstanceState::Ready).await;
    let refused = start(&mut bench, &other(), 1).await;
    assert_eq!(refused.gave, [app()]);
    assert!(refused.unstarted.is_some_and(|missing| missing.is_passing), "its room is about to be free");
    let leaving = in_state(&bench, &app(), InstanceState::Draining).await;
    assert_eq!(leaving, shops[2..], "the youngest");
    assert_eq!(bench.store.app(app()).await.unwrap().instances, 2);
    let step = bench.store.scaling_steps(app()).await.unwrap().remove(0);
    assert_eq!((step.from, step.to, step.reason.as_str()), (3, 2, "the node is full, and `other` had too few"));

    let again = start(&mut bench, &other(), 1).await;
    assert!(again.gave.is_empty() && again.unstarted.is_some(), "one is enough: {again:?}");
    // Whoever gave it wants it back, and is first to ask.
    ended(&mut bench, leaving).await;
    let back = start(&mut bench, &app(), 1).await;
    assert!(back.gave.is_empty() && back.unstarted.is_some(), "it is kept for the one that waits: {back:?}");
    assert_eq!(start(&mut bench, &other(), 1).await, Changed { is_any: true, ..Changed::default() });
    // A second one it could do without.
    let more = start(&mut bench, &other(), 1).await;
    assert!(more.gave.is_empty() && more.unstarted.is_some_and(|missing| !missing.is_passing));
}

pub(crate) async fn who_asks_no_more_keeps_no_room(mut bench: Bench) {
    full_node(&mut bench).await;
    assert_eq!(start(&mut bench, &other(), 1).await.gave, [app()]);
    let leaving = in_state(&bench, &app(), InstanceState::Draining).await;
    ended(&mut bench, leaving).await;
    assert!(start(&mut bench, &app(), 1).await.unstarted.is_some());
    bench.now = bench.now.plus(Duration::from_secs(16));
    assert_eq!(start(&mut bench, &app(), 1).await.unstarted, None, "nobody has asked for a while");
}

pub(crate) async fn nobody_goes_below_its_least_nor_for_nothing(mut bench: Bench) {
    full_node(&mut bench).await;
    let now = bench.tick();
    let all = Scaling { min: 3, ..Scaling::default() };
    bench.store.set_scaling(app(), all, Once::default(), now).await.unwrap();
    let refused = start(&mut bench, &other(), 1).await;
    assert!(refused.gave.is_empty() && refused.unstarted.is_some_and(|missing| !missing.is_passing));
    // Two could go, and would not be enough.
    let now = bench.tick();
    bench.store.set_scaling(app(), Scaling::default(), Once::default(), now).await.unwrap();
    bench.store.choose_type(other(), Some("large".to_owned()), Once::default(), now).await.unwrap();
    let refused = start(&mut bench, &other(), 1).await;
    assert!(refused.gave.is_empty() && refused.unstarted.is_some_and(|missing| !missing.is_passing));
    assert_eq!(in_state(&bench, &app(), InstanceState::Ready).await.len(), 3);
}

pub(crate) async fn a_new_version_and_a_restart_take_the_place_of_old_instances(mut bench: Bench) {
    full_node(&mut bench).await;
    let now = bench.tick();
    bench.store.restart(app(), Once::default(), now).await.unwrap();
    assert_eq!(start(&mut bench, &app(), 1).await.gave, [app()], "the first one after a restart");
    let leaving = in_state(&bench, &app(), InstanceState::Draining).await;
    ended(&mut bench, leaving).await;
    assert_eq!(start(&mut bench, &app(), 1).await.unstarted, None);
    ready(&mut bench, &app()).await;
    let next = start(&mut bench, &app(), 1).await;
    assert!(next.gave == [app()] && next.unstarted.is_some_and(|missing| !missing.is_needed), "old ones make way");
    assert_eq!(bench.store.app(app()).await.unwrap().instances, 2, "and are wanted as before");
    let leaving = in_state(&bench, &app(), InstanceState::Draining).await;
    ended(&mut bench, leaving).await;
    assert_eq!(start(&mut bench, &app(), 1).await.unstarted, None);
    ready(&mut bench, &app()).await;

    bench.deploy().await;
    build_what_runs(&mut bench).await;
    let lease = bench.lease(JobKind::Deploy).await.unwrap();
    let now = bench.tick();
    bench.store.begin_rollout(lease, now).await.unwrap();
    let refused = start(&mut bench, &app(), 1).await;
    assert_eq!(refused.gave, [app()], "the first one of the next version");
    assert_eq!(bench.store.app(app()).await.unwrap().instances, 2);
}

/// Two that are restarted at once would else take the new ones from each other for ever.
pub(crate) async fn what_replaces_the_only_one_is_given_to_nobody(mut bench: Bench) {
    full_node(&mut bench).await;
    start(&mut bench, &other(), 1).await;
    let leaving = in_state(&bench, &app(), InstanceState::Draining).await;
    ended(&mut bench, leaving).await;
    assert_eq!(start(&mut bench, &other(), 1).await.unstarted, None);
    ready(&mut bench, &other()).await;
    let now = bench.tick();
    bench.store.restart(app(), Once::default(), now).await.unwrap();
    assert_eq!(start(&mut bench, &app(), 1).await.gave, [app()]);
    let leaving = in_state(&bench, &app(), InstanceState::Draining).await;
    ended(&mut bench, leaving).await;
    assert_eq!(start(&mut bench, &app(), 1).await.unstarted, None, "a new one beside the old one");

    let now = bench.tick();
    bench.store.restart(other(), Once::default(), now).await.unwrap();
    let refused = start(&mut bench, &other(), 1).await;
    assert!(refused.gave.is_empty() && refused.unstarted.is_some_and(|missing| missing.is_needed));
    let [old] = &in_state(&bench, &app(), InstanceState::Ready).await[..] else { panic!("one that answers") };
    assert_eq!(in_state(&bench, &app(), InstanceState::Starting).await.len(), 1, "beside {old}");
}

pub(crate) async fn what_does_not_answer_well_goes_first_and_counts_for_nothing(mut bench: Bench) {
    full_node(&mut bench).await;
    let oldest = in_state(&bench, &app(), InstanceState::Ready).await.remove(0);
    let now = bench.tick();
    bench.store.instance_checked(oldest.clone(), Some("it is sick".to_owned()), now).await.unwrap();
    assert_eq!(start(&mut bench, &other(), 1).await.gave, [app()]);
    assert_eq!(in_state(&bench, &app(), InstanceState::Draining).await, std::slice::from_ref(&oldest));
    ended(&mut bench, vec![oldest]).await;
    assert_eq!(start(&mut bench, &other(), 1).await.unstarted, None);
    ready(&mut bench, &other()).await;
    // Its only one is unhealthy: it needs another.
    let only = in_state(&bench, &other(), InstanceState::Ready).await.remove(0);
    let now = bench.tick();
    bench.store.instance_checked(only, Some("it is sick".to_owned()), now).await.unwrap();
    assert_eq!(start(&mut bench, &other(), 1).await.gave, [app()]);
}

pub(crate) async fn the_room_of_one_that_has_to_end_first_is_kept_for_the_next(mut bench: Bench) {
    full_node(&mut bench).await;
    // Another app waits for any room at all.
    let now = bench.tick();
    let all = Scaling { min: 2, ..Scaling::default() };
    bench.store.set_scaling(other(), all, Once::default(), now).await.unwrap();
    start(&mut bench, &other(), 1).await;
    let leaving = in_state(&bench, &app(), InstanceState::Draining).await;
    ended(&mut bench, leaving).await;
    assert_eq!(start(&mut bench, &other(), 1).await.unstarted, None);
    let mut seen = fleet(&bench, &app()).await;
    seen.one_writer = Some("data".parse().unwrap());
    let stop = seen.instances.iter().map(|row| row.id.clone()).collect();
    let now = bench.tick();
    bench.store.change_instances(seen, Changes { stop, ..Changes::default() }, now).await.unwrap().unwrap();
    let leaving = in_state(&bench, &app(), InstanceState::Stopping).await;
    ended(&mut bench, leaving).await;
    assert_eq!(start(&mut bench, &other(), 1).await.unstarted, None, "of two, one is kept");
    let refused = start(&mut bench, &other(), 1).await;
    assert!(refused.unstarted.is_some());
    assert_eq!(start(&mut bench, &app(), 1).await.unstarted, None);
}

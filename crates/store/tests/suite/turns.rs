//! Whose run is next where several keys wait, and what counts as an attempt.

use skylift_model::RunId;
use skylift_model::run::RunState;
use skylift_store::{NewRun, Once};

use crate::bench::Bench;
use crate::runs::{new, take, token};

/// Queues so many runs of a key; which they are.
async fn add(bench: &mut Bench, key: u64, count: usize) -> Vec<RunId> {
    let runs: Vec<NewRun> = (0..count).map(|_| NewRun { token: token(key), ..new(bench, 0) }).collect();
    let ids = runs.iter().map(|run| run.id.clone()).collect();
    bench.store.add_runs(runs, Once::default(), bench.now).await.unwrap();
    ids
}

/// Takes so many, one after the other.
async fn take_one_by_one(bench: &mut Bench, count: usize) -> Vec<RunId> {
    let mut taken = Vec::new();
    for _ in 0..count {
        taken.push(take(bench, 1).await.remove(0).id);
    }
    taken
}

fn of<'a>(taken: &'a [RunId], key: &[RunId]) -> Vec<&'a RunId> {
    taken.iter().filter(|id| key.contains(id)).collect()
}

pub(crate) async fn keys_take_turns_however_much_one_of_them_queues(mut bench: Bench) {
    let crowd = add(&mut bench, 1, 500).await;
    let mut begun = take(&mut bench, 20).await.into_iter().map(|taken| taken.id).collect::<Vec<_>>();
    let few = add(&mut bench, 2, 5).await;
    let next = take_one_by_one(&mut bench, 11).await;
    assert_eq!(of(&next, &few), few.iter().collect::<Vec<_>>(), "all of the few, in their order: {next:?}");
    begun.extend(next);
    // Who has nothing that waits has no credit and no debt.
    let (later, others) = (add(&mut bench, 2, 3).await, add(&mut bench, 3, 3).await);
    let next = take_one_by_one(&mut bench, 10).await;
    assert_eq!((of(&next, &later).len(), of(&next, &others).len()), (3, 3), "{next:?}");
    begun.extend(next);
    begun.extend(take(&mut bench, 500).await.into_iter().map(|taken| taken.id));
    assert_eq!(of(&begun, &crowd), crowd.iter().collect::<Vec<_>>(), "of one key what is older goes first");
    assert_eq!(begun.len(), 511);
}

pub(crate) async fn what_comes_back_is_next_and_gives_nobody_an_advantage(mut bench: Bench) {
    let crowd = add(&mut bench, 1, 100).await;
    let held = take(&mut bench, 3).await;
    take(&mut bench, 60).await;
    bench.store.give_back_runs(held, bench.now).await.unwrap();
    // It came back with the turn of what is next by now: whoever begins here does so beside the crowd, not before it.
    let newcomer = add(&mut bench, 2, 50).await;
    let next = take_one_by_one(&mut bench, 43).await;
    assert_eq!(of(&next, &crowd[..3]), crowd[..3].iter().collect::<Vec<_>>());
    assert!((18..=21).contains(&of(&next, &newcomer).len()), "{}", of(&next, &newcomer).len());
}

pub(crate) async fn what_was_not_begun_when_its_worker_died_was_not_tried(mut bench: Bench) {
    let ids = add(&mut bench, 1, 2).await;
    for times in 1..=10_u64 {
        let taken = take(&mut bench, 2).await;
        let (begun, waited): (Vec<_>, Vec<_>) = taken.into_iter().partition(|taken| taken.id == ids[0]);
        assert!(begun.iter().all(|taken| taken.attempt == times), "{begun:?}");
        assert!(waited.iter().all(|taken| taken.attempt == 1), "{waited:?}");
        bench.store.note_begun(begun).await.unwrap();
        let dead = bench.store.reap_all_runs(bench.now).await.unwrap();
        assert_eq!(dead, u64::from(times == 3 || times == 10), "{times}");
    }
    for (id, attempts) in ids.into_iter().zip([3, 0]) {
        let row = bench.store.run(id, None).await.unwrap();
        assert_eq!((row.state, row.attempts), (RunState::Dead, attempts), "what ends its worker each time is given up");
    }
}

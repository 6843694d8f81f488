//! One run after the other: who has it, for how long, and what counts.

use std::time::Duration;

use skylift_model::run::RunState;
use skylift_model::{RunId, Timestamp, TokenId};
use skylift_store::{Once, StoreError};

use crate::bench::{Bench, LEASE, ended, until};

pub(crate) async fn what_waits_is_taken_in_batches_once_and_as_it_is_due(bench: Bench) {
    let ids = bench.add_with(&bench.queue, &[0, 0, 5, -3, 0, 5]).await;
    let first = bench.take(&bench.queue, 4).await;
    let rest = bench.take(&bench.another(), 2).await;
    let taken: Vec<&RunId> = first.iter().chain(&rest).map(|taken| &taken.id).collect();
    assert_eq!(taken, [2, 5, 0, 1, 4, 3].map(|place: usize| &ids[place]));
    assert!(bench.queue.take("w", 9, LEASE).await.unwrap().is_empty(), "everything is taken");
    let settled = bench.queue.settle(first.iter().map(|taken| ended(taken, "")).collect()).await.unwrap();
    assert_eq!(settled, [true; 4]);
    let again = bench.queue.settle(first.iter().map(|taken| ended(taken, "twice")).collect()).await.unwrap();
    assert_eq!(again, [false; 4]);
}

pub(crate) async fn who_queues_much_holds_up_nobody_else(bench: Bench) {
    // As many as a slow service takes in reasonable time; the rows alone try more.
    let crowd = bench.add(60).await;
    let held = bench.take_for(&bench.queue, 4, LEASE * 30).await;
    let orders = (0..5).map(|_| bench.order(0)).collect();
    let few = bench.another().add(&TokenId::new(Timestamp::from_millis(1), 2), orders, Once::default()).await;
    let few = few.unwrap().made().unwrap();
    let mut next = Vec::new();
    while next.len() < 11 {
        let wanted = (next.len() + 3).min(11) - next.len();
        next.extend(bench.take_for(&bench.another(), wanted, LEASE * 30).await);
    }
    let begun: Vec<&RunId> = next.iter().map(|taken| &taken.id).filter(|id| few.contains(id)).collect();
    assert_eq!(begun, few.iter().collect::<Vec<_>>());
    let rest = bench.take_for(&bench.queue, 50, LEASE * 30).await;
    let all = held.iter().chain(&next).chain(&rest).map(|taken| &taken.id).filter(|id| crowd.contains(id));
    assert_eq!(all.collect::<Vec<_>>(), crowd.iter().collect::<Vec<_>>(), "of one key what is older goes first");
}

pub(crate) async fn a_lease_that_runs_out_leads_to_another_and_the_first_commits_nothing(bench: Bench) {
    let id = bench.add(1).await.remove(0);
    let slow = bench.take(&bench.queue, 1).await.remove(0);
    bench.queue.note_begun(vec![slow.clone()]).await.unwrap();
    let other = bench.another();
    assert!(other.take("x", 9, LEASE).await.unwrap().is_empty(), "it is held");
    let mut taken = Vec::new();
    until(async || {
        bench.look_after().await;
        taken = other.take("x", 9, LEASE).await.unwrap();
        !taken.is_empty()
    })
    .await;
    let quick = taken.remove(0);
    assert_eq!((&quick.id, quick.attempt, quick.fence > slow.fence), (&id, 2, true));
    assert_eq!(bench.queue.renew("w", vec![slow.clone()], LEASE).await.unwrap(), [false]);
    assert!(matches!(bench.queue.fail(slow.clone(), "late".to_owned()).await, Err(StoreError::Fenced)));
    assert_eq!(bench.queue.settle(vec![ended(&slow, "late")]).await.unwrap(), [false]);
    assert_eq!(other.settle(vec![ended(&quick, "good")]).await.unwrap(), [true]);
    assert_eq!(bench.queue.settle(vec![ended(&slow, "late")]).await.unwrap(), [false]);
    let row = bench.queue.store.run(id, None).await.unwrap();
    assert_eq!((row.state, row.attempts, row.ending), (RunState::Done, 2, ended(&quick, "good").1.ending.into()));
}

pub(crate) async fn who_renews_keeps_what_it_has(bench: Bench) {
    bench.add(1).await;
    let taken = bench.take(&bench.queue, 1).await;
    let other = bench.another();
    let began = std::time::Instant::now();
    until(async || {
        assert_eq!(bench.queue.renew("w", taken.clone(), LEASE).await.unwrap(), [true]);
        bench.look_after().await;
        assert!(other.take("x", 9, LEASE).await.unwrap().is_empty(), "it is held");
        began.elapsed() > LEASE * 2
    })
    .await;
    assert_eq!(bench.queue.settle(vec![ended(&taken[0], "")]).await.unwrap(), [true]);
}

pub(crate) async fn what_is_given_back_is_there_for_others_at_once_and_was_not_tried(bench: Bench) {
    bench.add(3).await;
    let other = bench.another();
    for _ in 0..3 {
        let taken = bench.take(&bench.queue, 3).await;
        assert!(taken.iter().all(|taken| taken.attempt == 1));
        bench.queue.give_back(taken.clone()).await.unwrap();
        assert_eq!(bench.queue.settle(vec![ended(&taken[0], "late")]).await.unwrap(), [false]);
        let taken = bench.take(&other, 3).await;
        other.give_back(taken).await.unwrap();
    }
}

pub(crate) async fn what_fails_comes_again_is_given_up_and_can_be_sent_again(bench: Bench) {
    let id = bench.add(1).await.remove(0);
    for attempt in 1..=3 {
        let taken = bench.take(&bench.queue, 1).await.remove(0);
        assert_eq!(taken.attempt, attempt);
        let before = bench.queue.clock.now();
        assert_eq!(bench.queue.fail(taken, "no sandbox".to_owned()).await.unwrap(), attempt == 3);
        // Where that alone took longer, it may be time already.
        if bench.queue.clock.now().since(before) < Duration::from_millis(500) {
            assert!(bench.queue.take("w", 9, LEASE).await.unwrap().is_empty(), "not at once");
        }
    }
    assert_eq!(bench.queue.store.run(id.clone(), None).await.unwrap().state, RunState::Dead);
    bench.queue.redrive(id, None, Once::default()).await.unwrap();
    let taken = bench.take(&bench.queue, 1).await.remove(0);
    assert_eq!(taken.attempt, 1);
    assert_eq!(bench.queue.settle(vec![ended(&taken, "")]).await.unwrap(), [true]);
}

pub(crate) async fn what_was_cancelled_reaches_nobody(bench: Bench) {
    let ids = bench.add(3).await;
    for id in &ids[..2] {
        bench.queue.cancel(id.clone(), None, Once::default()).await.unwrap();
    }
    let taken = bench.take(&bench.queue, 1).await.remove(0);
    assert_eq!(taken.id, ids[2]);
    assert!(bench.queue.take("w", 9, LEASE).await.unwrap().is_empty());
    bench.queue.cancel(taken.id.clone(), None, Once::default()).await.unwrap();
    assert_eq!(bench.queue.settle(vec![ended(&taken, "late")]).await.unwrap(), [false]);
}

pub(crate) async fn what_is_counted_is_the_same_everywhere(bench: Bench) {
    bench.add(12).await;
    until(async || bench.queue.depth().await.unwrap().visible == 12).await;
    let taken = bench.take_for(&bench.queue, 5, LEASE * 30).await;
    let counted = bench.queue.depth().await.unwrap();
    assert_eq!((counted.visible, counted.in_flight, counted.delayed), (7, 5, 0));
    assert_eq!(counted.visible, bench.waits().await, "the rows say the same");
    assert_eq!(counted, bench.another().depth().await.unwrap());
    bench.queue.settle(taken.iter().map(|taken| ended(taken, "")).collect()).await.unwrap();
    until(async || bench.queue.depth().await.unwrap().in_flight == 0).await;
    assert_eq!(bench.queue.depth().await.unwrap().visible, bench.waits().await);
}

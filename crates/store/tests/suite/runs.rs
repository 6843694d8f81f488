//! Runs: taken by priority and turn, settled once by whoever holds them, lost, cancelled, given up, forgotten.

use std::time::Duration;

use skylift_model::run::{RunState, RunStatus};
use skylift_model::{Digest, RunId, TokenId};
use skylift_store::{Backlog, CallbackState, Document, Ended, NewRun, Once, StoreError, TakenRun};

use crate::bench::{Bench, LEASE};

pub(crate) fn new(bench: &mut Bench, priority: i32) -> NewRun {
    let (now, number) = (bench.tick(), 7);
    NewRun {
        id: RunId::new(now, number),
        token: token(1),
        language: "python".to_owned(),
        priority,
        job: Document::Inline(format!("{{\"at\":{}}}", now.as_millis())),
        sha256: Digest::of(b"job"),
        ttl: Duration::from_secs(60),
        via: None,
        callback: None,
    }
}

pub(crate) fn token(number: u64) -> TokenId {
    TokenId::new(skylift_model::Timestamp::from_millis(1), number)
}

async fn add(bench: &mut Bench, priority: i32) -> RunId {
    let run = new(bench, priority);
    let id = run.id.clone();
    bench.store.add_runs(vec![run], Once::default(), bench.now).await.unwrap();
    id
}

pub(crate) async fn take(bench: &mut Bench, most: u32) -> Vec<TakenRun> {
    let now = bench.tick();
    bench.store.take_runs("w".to_owned(), most, now, LEASE).await.unwrap()
}

fn ended(taken: &TakenRun, text: &str) -> (TakenRun, Ended) {
    let ending = Document::Inline(text.to_owned());
    (taken.clone(), Ended { id: taken.id.clone(), status: RunStatus::Ok, ending })
}

async fn settle(bench: &mut Bench, ended: (TakenRun, Ended)) -> bool {
    let now = bench.tick();
    bench.store.settle_runs(vec![ended], now).await.unwrap() == [true]
}

async fn state(bench: &Bench, id: &RunId) -> RunState {
    bench.store.run(id.clone(), None).await.unwrap().state
}

pub(crate) async fn what_is_more_urgent_goes_first_then_what_is_older(mut bench: Bench) {
    let (first, second, urgent) = (add(&mut bench, 0).await, add(&mut bench, 0).await, add(&mut bench, 5).await);
    assert!(bench.store.runs_wait(bench.now).await.unwrap());
    let taken = take(&mut bench, 2).await;
    assert_eq!(taken.iter().map(|taken| &taken.id).collect::<Vec<_>>(), [&urgent, &first]);
    assert_eq!((taken[0].attempt, taken[0].job.clone()), (1, bench.store.run(urgent, None).await.unwrap().job));
    assert_eq!(take(&mut bench, 9).await[0].id, second);
    assert!(take(&mut bench, 9).await.is_empty());
    assert!(!bench.store.runs_wait(bench.now).await.unwrap());
}

pub(crate) async fn a_run_settles_once_and_only_by_whoever_holds_it(mut bench: Bench) {
    let id = add(&mut bench, 0).await;
    let slow = take(&mut bench, 1).await.remove(0);
    bench.store.note_begun(vec![slow.clone()]).await.unwrap();
    bench.now = bench.now.plus(LEASE * 2);
    assert_eq!(bench.store.reap_runs(bench.now).await.unwrap(), 0);
    assert!(take(&mut bench, 1).await.is_empty(), "the next attempt waits a little");
    bench.now = bench.now.plus(Duration::from_secs(2));
    let quick = take(&mut bench, 1).await.remove(0);
    assert_eq!((quick.attempt, quick.fence > slow.fence), (2, true));
    let held = bench.store.renew_runs(vec![slow.clone(), quick.clone()], bench.now, LEASE).await.unwrap();
    assert_eq!(held, [false, true]);
    assert!(!settle(&mut bench, ended(&slow, "late")).await);
    assert!(settle(&mut bench, ended(&quick, "good")).await);
    assert!(!settle(&mut bench, ended(&quick, "twice")).await);
    let row = bench.store.run(id.clone(), None).await.unwrap();
    assert_eq!((row.state, row.attempts), (RunState::Done, 2));
    assert_eq!((row.status.as_deref(), row.ending), (Some("ok"), Some(Document::Inline("good".to_owned()))));
    assert_eq!(bench.store.settled_runs(vec![id]).await.unwrap().len(), 1);
}

pub(crate) async fn a_run_that_is_cancelled_stays_so_whoever_has_it(mut bench: Bench) {
    let (waits, runs) = (add(&mut bench, 0).await, add(&mut bench, 1).await);
    let taken = take(&mut bench, 1).await.remove(0);
    assert_eq!(taken.id, runs);
    for id in [&waits, &runs, &runs] {
        let now = bench.tick();
        let strange = bench.store.cancel_run(id.clone(), Some(token(2)), Once::default(), now).await;
        assert!(matches!(strange, Err(StoreError::NotFound(_))), "another key's");
        bench.store.cancel_run(id.clone(), Some(token(1)), Once::default(), now).await.unwrap();
        assert_eq!(state(&bench, id).await, RunState::Cancelled);
    }
    assert!(take(&mut bench, 9).await.is_empty());
    assert!(!settle(&mut bench, ended(&taken, "late")).await);
    assert_eq!(bench.store.renew_runs(vec![taken], bench.now, LEASE).await.unwrap(), [false]);
    let done = add(&mut bench, 0).await;
    let taken = take(&mut bench, 1).await.remove(0);
    assert!(settle(&mut bench, ended(&taken, "")).await);
    let late = bench.store.cancel_run(done, None, Once::default(), bench.now).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))));
}

pub(crate) async fn a_run_that_keeps_failing_is_given_up_and_can_be_sent_again(mut bench: Bench) {
    let id = add(&mut bench, 0).await;
    for attempt in 1..=3_u64 {
        bench.now = bench.now.plus(Duration::from_secs(10));
        let taken = take(&mut bench, 1).await.remove(0);
        assert_eq!(taken.attempt, attempt);
        let is_dead = bench.store.fail_run(taken.clone(), "no sandbox".to_owned(), bench.now).await.unwrap();
        assert_eq!(is_dead, attempt == 3);
        assert!(matches!(bench.store.fail_run(taken, String::new(), bench.now).await, Err(StoreError::Fenced)));
        assert!(take(&mut bench, 1).await.is_empty());
    }
    let row = bench.store.run(id.clone(), None).await.unwrap();
    assert_eq!((row.state, row.error.as_deref()), (RunState::Dead, Some("no sandbox")));
    bench.store.redrive_run(id.clone(), None, Once::default(), bench.now).await.unwrap();
    let twice = bench.store.redrive_run(id.clone(), None, Once::default(), bench.now).await;
    assert!(matches!(twice, Err(StoreError::Conflict(_))));
    let taken = take(&mut bench, 1).await.remove(0);
    assert_eq!(taken.attempt, 1);
    assert!(settle(&mut bench, ended(&taken, "")).await);
}

pub(crate) async fn what_is_given_back_was_not_tried(mut bench: Bench) {
    add(&mut bench, 0).await;
    for _ in 0..5 {
        let taken = take(&mut bench, 1).await.remove(0);
        assert_eq!(taken.attempt, 1);
        bench.store.give_back_runs(vec![taken.clone()], bench.now).await.unwrap();
        assert!(!settle(&mut bench, ended(&taken, "late")).await, "whoever gave it back has it no more");
    }
    let taken = take(&mut bench, 1).await;
    bench.store.note_begun(taken).await.unwrap();
    assert_eq!(bench.store.reap_all_runs(bench.now).await.unwrap(), 0);
    assert_eq!(take(&mut bench, 1).await[0].attempt, 2, "a worker that died did try");
}

pub(crate) async fn what_waits_is_counted_and_what_is_over_is_forgotten_in_time(mut bench: Bench) {
    for _ in 0..4 {
        add(&mut bench, 0).await;
    }
    let oldest = bench.store.runs(None, None, None, 9).await.unwrap().pop().unwrap();
    let taken = take(&mut bench, 2).await;
    bench.store.fail_run(taken[0].clone(), "x".to_owned(), bench.now).await.unwrap();
    let counted = bench.store.backlog(bench.now).await.unwrap();
    let expected = Backlog { visible: 2, delayed: 1, running: 1, dead: 0, oldest: Some(oldest.created_at) };
    assert_eq!(counted, expected);
    assert!(settle(&mut bench, ended(&taken[1], "")).await);
    bench.store.forget_runs(bench.now.plus(Duration::from_secs(59))).await.unwrap();
    assert_eq!(state(&bench, &taken[1].id).await, RunState::Done);
    bench.store.forget_runs(bench.now.plus(Duration::from_secs(61))).await.unwrap();
    assert!(bench.store.run(taken[1].id.clone(), None).await.is_err());
    assert_eq!(bench.store.runs(Some(token(1)), None, None, 9).await.unwrap().len(), 3, "what waits is not forgotten");
    assert!(bench.store.runs(Some(token(2)), None, None, 9).await.unwrap().is_empty());
}

pub(crate) async fn what_is_over_already_is_kept_and_a_blob_is_named_for_as_long(mut bench: Bench) {
    let run = NewRun { job: Document::Blob(Digest::of(b"job")), ..new(&mut bench, 0) };
    let (_, over) = ended(
        &TakenRun {
            id: run.id.clone(),
            fence: 0,
            attempt: 0,
            token: token(1),
            job: run.job.clone(),
            created_at: bench.now,
            is_bounded: false,
        },
        "",
    );
    let over = Ended { ending: Document::Blob(Digest::of(b"ending")), ..over };
    let asked_at = bench.now;
    bench.now = bench.now.plus(Duration::from_secs(3));
    bench.store.keep_run(run.clone(), over, (asked_at, bench.now)).await.unwrap();
    let row = bench.store.run(run.id, Some(token(1))).await.unwrap();
    assert_eq!((row.created_at, row.finished_at), (asked_at, Some(bench.now)));
    assert_eq!((row.state, row.attempts, row.job), (RunState::Done, 1, Document::Blob(Digest::of(b"job"))));
    assert_eq!(bench.store.references().await.unwrap().runs, [Digest::of(b"job"), Digest::of(b"ending")]);
    bench.store.forget_runs(bench.now.plus(Duration::from_secs(61))).await.unwrap();
    assert!(bench.store.references().await.unwrap().runs.is_empty());
}

pub(crate) async fn a_callback_is_due_once_the_run_has_settled_and_taken_by_one(mut bench: Bench) {
    let url = "https://example.org/told".to_owned();
    let mut ids = Vec::new();
    for _ in 0..3 {
        let run = NewRun { callback: Some(url.clone()), via: Some("judge0"), ..new(&mut bench, 0) };
        ids.push(run.id.clone());
        bench.store.add_runs(vec![run], Once::default(), bench.now).await.unwrap();
    }
    add(&mut bench, 0).await;
    assert_eq!(bench.store.next_callback(bench.now).await.unwrap(), None, "nothing has settled");
    let taken = take(&mut bench, 9).await;
    for taken in [&taken[0], &taken[3]] {
        assert!(settle(&mut bench, ended(taken, "")).await);
    }
    bench.store.cancel_run(ids[1].clone(), None, Once::default(), bench.now).await.unwrap();
    for _ in 0..3 {
        let _ = bench.store.fail_run(taken[2].clone(), "no sandbox".to_owned(), bench.now).await;
        bench.now = bench.now.plus(Duration::from_secs(10));
        if let Some(again) = take(&mut bench, 9).await.pop() {
            bench.store.fail_run(again, "no sandbox".to_owned(), bench.now).await.unwrap();
        }
    }
    assert_eq!(state(&bench, &ids[2]).await, RunState::Dead);
    assert!(bench.store.next_callback(bench.now).await.unwrap().unwrap() <= bench.now);

    let mut due = bench.store.take_callbacks(9, bench.now, LEASE).await.unwrap();
    assert!(bench.store.take_callbacks(9, bench.now, LEASE).await.unwrap().is_empty(), "they are in hand");
    due.sort_by(|one, other| one.run.id.cmp(&other.run.id));
    assert_eq!(due.iter().map(|one| &one.run.id).collect::<Vec<_>>(), ids.iter().collect::<Vec<_>>());
    assert_eq!((due[0].url.as_str(), due[0].attempt, due[0].run.via.as_deref()), (url.as_str(), 1, Some("judge0")));
    assert!(bench.store.callback_told(&due[0]).await.unwrap());
    let later = bench.now.plus(Duration::from_secs(20));
    assert!(bench.store.callback_failed(&due[1], "answered 500".to_owned(), Some(later)).await.unwrap());
    // Whoever had the third one is gone: another has it after its time, and what the first says late counts for nothing.
    bench.now = bench.now.plus(LEASE.max(Duration::from_secs(20)) + Duration::from_secs(1));
    let again = bench.store.take_callbacks(9, bench.now, LEASE).await.unwrap();
    assert_eq!(again.iter().map(|one| one.attempt).collect::<Vec<_>>(), [2, 2]);
    assert!(!bench.store.callback_told(&due[2]).await.unwrap());
    // A clock that is set back does not keep them waiting for as long.
    let before = bench.now.minus(Duration::from_secs(100 * 3600));
    assert_eq!(bench.store.next_callback(before).await.unwrap(), Some(before));
    for callback in &again {
        assert!(bench.store.callback_failed(callback, "refused".to_owned(), None).await.unwrap());
    }
    assert_eq!(bench.store.next_callback(bench.now).await.unwrap(), None);
    let told = async |id: &RunId| bench.store.run(id.clone(), None).await.unwrap().callback.unwrap();
    assert_eq!((told(&ids[0]).await.state, told(&ids[0]).await.error), (CallbackState::Told, None));
    let failed = told(&ids[2]).await;
    assert_eq!((failed.state, failed.attempts, failed.error.as_deref()), (CallbackState::Failed, 2, Some("refused")));
}

pub(crate) async fn a_run_is_not_forgotten_before_it_was_told(mut bench: Bench) {
    let run = NewRun { callback: Some("https://example.org/".to_owned()), ..new(&mut bench, 0) };
    let id = run.id.clone();
    bench.store.add_runs(vec![run], Once::default(), bench.now).await.unwrap();
    assert!(!bench.store.are_more_runs_queued(1).await.unwrap() && bench.store.are_more_runs_queued(0).await.unwrap());
    let taken = take(&mut bench, 1).await.remove(0);
    assert!(!bench.store.forget_run(id.clone(), None).await.unwrap(), "it has not settled");
    assert!(settle(&mut bench, ended(&taken, "")).await);
    let over = bench.now.plus(Duration::from_secs(61));
    bench.store.forget_runs(over).await.unwrap();
    let due = bench.store.take_callbacks(1, over, LEASE).await.unwrap().remove(0);
    bench.store.callback_told(&due).await.unwrap();
    bench.store.forget_runs(over).await.unwrap();
    assert!(bench.store.run(id, None).await.is_err());

    let other = add(&mut bench, 0).await;
    bench.store.cancel_run(other.clone(), None, Once::default(), bench.now).await.unwrap();
    assert!(!bench.store.forget_run(other.clone(), Some(token(2))).await.unwrap(), "another key's");
    assert!(bench.store.forget_run(other, Some(token(1))).await.unwrap());
}

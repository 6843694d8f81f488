//! Runs of keys that may have so many at a time, or so much processor time in a day.

use std::time::Duration;

use skylift_model::key::{Grant, Quota, Scope};
use skylift_model::run::RunStatus;
use skylift_model::wire::RunsUsed;
use skylift_model::{Digest, RunId, TokenId};
use skylift_store::{Document, Ended, KeyChange, NewKey, NewRun, Once, Standing, TakenRun, day_after};

use crate::bench::{Bench, LEASE};
use crate::runs::{new, take};

async fn key(bench: &mut Bench, name: &str, at_once: Option<u32>, quota: Option<Quota>) -> TokenId {
    let grant = Grant { at_once, quota, ..Grant::for_scopes(vec![Scope::Runs]) };
    let new = NewKey { name: name.to_owned(), sha256: Digest::of(name.as_bytes()), grant, expires_at: None };
    let now = bench.tick();
    bench.store.add_key(new, Once::default(), now).await.unwrap().made().unwrap().id
}

async fn add(bench: &mut Bench, key: &TokenId, count: usize) -> Vec<RunId> {
    let runs: Vec<NewRun> = (0..count).map(|_| NewRun { token: key.clone(), ..new(bench, 0) }).collect();
    let ids = runs.iter().map(|run| run.id.clone()).collect();
    bench.store.add_runs(runs, Once::default(), bench.now).await.unwrap();
    ids
}

fn ids(taken: &[TakenRun]) -> Vec<RunId> {
    taken.iter().map(|taken| taken.id.clone()).collect()
}

async fn settle(bench: &mut Bench, taken: TakenRun) {
    let ending = Document::Inline(String::new());
    let ended = Ended { id: taken.id.clone(), status: RunStatus::Ok, ending };
    let now = bench.tick();
    assert_eq!(bench.store.settle_runs(vec![(taken, ended)], now).await.unwrap(), [true]);
}

pub(crate) async fn a_key_has_as_many_runs_under_way_as_it_may_and_holds_up_nobody(mut bench: Bench) {
    let bounded = key(&mut bench, "bounded", Some(2), None).await;
    let (free, other) = (key(&mut bench, "free", None, None).await, key(&mut bench, "other", Some(1), None).await);
    let crowd = add(&mut bench, &bounded, 100).await;
    let few = add(&mut bench, &free, 5).await;
    let one = add(&mut bench, &other, 3).await;
    let mut taken = take(&mut bench, 20).await;
    // By their turns, as far as their keys may.
    let expected = [&crowd[0], &few[0], &one[0], &crowd[1], &few[1], &few[2], &few[3], &few[4]];
    assert_eq!(ids(&taken).iter().collect::<Vec<_>>(), expected);
    let bounds: Vec<bool> = taken.iter().map(|taken| taken.is_bounded).collect();
    assert_eq!(bounds, [true, false, true, true, false, false, false, false]);
    assert!(take(&mut bench, 20).await.is_empty());
    // Nobody who came would have anything to do.
    let backlog = bench.store.backlog(bench.now).await.unwrap();
    assert_eq!((backlog.visible, backlog.delayed, backlog.running), (0, 100, 8));
    settle(&mut bench, taken.remove(0)).await;
    assert_eq!(bench.store.backlog(bench.now).await.unwrap().visible, 1);
    let next = take(&mut bench, 20).await;
    assert_eq!((ids(&next), next[0].attempt), (vec![crowd[2].clone()], 1));
    // One that is put back had its place, and it is the next one's: its own.
    bench.store.give_back_runs(next, bench.now).await.unwrap();
    assert_eq!(ids(&take(&mut bench, 1).await), [crowd[2].clone()]);
    // With another bound from now on; without, as many as there is room for.
    for (at_once, more) in [(Some(5), 3), (Some(1), 0), (None, 20)] {
        let change = KeyChange { at_once: Some(at_once), ..KeyChange::default() };
        let now = bench.tick();
        bench.store.change_key(bounded.clone(), change, Once::default(), now).await.unwrap();
        assert_eq!(take(&mut bench, 20).await.len(), more, "{at_once:?}");
    }
}

/// What is taken, some at a time, beside a key that has so many runs held back, all of them more urgent: whose each is, and which of theirs.
async fn taken_beside(bench: &mut Bench, held_back: usize) -> Vec<(&'static str, usize)> {
    let crowd = key(bench, &format!("crowd of {held_back}"), Some(1), None).await;
    let mut names = vec![("crowd", crowd.clone())];
    for (name, at_once) in [("free", None), ("two", Some(2)), ("eight", Some(8))] {
        names.push((name, key(bench, &format!("{name} beside {held_back}"), at_once, None).await));
    }
    let mut all: Vec<(&str, Vec<RunId>)> = Vec::new();
    for (name, count, priority) in
        [("crowd", held_back, 9), ("free", 12, 0), ("two", 5, 0), ("eight", 6, 3), ("free", 2, 3), ("eight", 6, 0)]
    {
        let token = names.iter().find(|(other, _)| *other == name).unwrap().1.clone();
        let runs: Vec<NewRun> = (0..count).map(|_| NewRun { token: token.clone(), ..new(bench, priority) }).collect();
        all.push((name, runs.iter().map(|run| run.id.clone()).collect()));
        bench.store.add_runs(runs, Once::default(), bench.now).await.unwrap();
    }
    let mut order = Vec::new();
    let mut last = None;
    loop {
        let mut taken = take(bench, 7).await;
        if taken.is_empty() {
            // One more of the crowd, or of who has two at a time, may begin.
            let Some(ends) = last.take() else { break };
            settle(bench, ends).await;
            taken = take(bench, 7).await;
        }
        for one in taken {
            let of = all.iter().position(|(_, ids)| ids.contains(&one.id)).unwrap();
            order.push((all[of].0, of * 1000 + all[of].1.iter().position(|id| *id == one.id).unwrap()));
            last = last.or_else(|| (all[of].0 != "free").then_some(one));
        }
        if order.len() > 40 {
            break;
        }
    }
    // Nothing of it is left for the next.
    for (_, token) in names {
        bench.store.revoke_key(token, Once::default(), bench.now).await.unwrap();
    }
    order
}

pub(crate) async fn however_many_runs_a_key_holds_back_the_others_come_in_their_order(mut bench: Bench) {
    let few = taken_beside(&mut bench, 20).await;
    let many = taken_beside(&mut bench, 1_500).await;
    assert!(few.len() > 30 && few.iter().filter(|(name, _)| *name == "crowd").count() > 3, "{few:?}");
    assert_eq!(few, many);
}

pub(crate) async fn a_message_that_may_take_no_run_comes_again_a_little_later(mut bench: Bench) {
    let bounded = key(&mut bench, "bounded", Some(1), None).await;
    let queued = add(&mut bench, &bounded, 3).await;
    let now = bench.tick();
    let became = bench.store.take_runs_by_messages("w".to_owned(), queued.clone(), now, LEASE).await.unwrap();
    assert_eq!(
        became.taken.iter().map(|(message, taken)| (*message, &taken.id)).collect::<Vec<_>>(),
        [(0, &queued[0])]
    );
    assert_eq!(became.left.len(), 2);
    for (_, standing) in became.left {
        assert!(matches!(standing, Standing::Later(then) if then > now && then <= now.plus(Duration::from_secs(10))));
    }
}

pub(crate) async fn a_key_whose_day_is_used_up_rests_until_the_next(mut bench: Bench) {
    let quota = Quota { runs_per_day: None, cpu_s_per_day: Some(2) };
    let bounded = key(&mut bench, "bounded", None, Some(quota)).await;
    let free = key(&mut bench, "free", None, None).await;
    add(&mut bench, &bounded, 10).await;
    assert_eq!(take(&mut bench, 3).await.len(), 3, "as long as there is some left");
    let used = |cpu_us| RunsUsed { runs: 0, cpu_us };
    for (cpu_us, taken) in [(1_999_999, 3), (1, 0)] {
        let now = bench.tick();
        bench.store.add_run_usage(vec![(bounded.clone(), now, used(cpu_us))], now).await.unwrap();
        assert_eq!(take(&mut bench, 3).await.len(), taken);
    }
    let others = add(&mut bench, &free, 1).await;
    assert_eq!(ids(&take(&mut bench, 9).await), others);
    let backlog = bench.store.backlog(bench.now).await.unwrap();
    assert_eq!((backlog.visible, backlog.delayed), (0, 4));
    // With more for the day, and with less again.
    for (seconds, taken) in [(3, 1), (2, 0)] {
        let quota = Some(Some(Quota { runs_per_day: None, cpu_s_per_day: Some(seconds) }));
        let (change, now) = (KeyChange { quota, ..KeyChange::default() }, bench.tick());
        bench.store.change_key(bounded.clone(), change, Once::default(), now).await.unwrap();
        assert_eq!(take(&mut bench, 1).await.len(), taken, "{seconds}");
    }
    bench.now = day_after(bench.now);
    assert_eq!(take(&mut bench, 9).await.len(), 3, "a new day");
}

/// How many of the next ones are whose.
async fn shares(bench: &mut Bench, count: usize, keys: &[&TokenId]) -> Vec<usize> {
    let mut shares = vec![0; keys.len()];
    for _ in 0..count {
        let taken = take(bench, 1).await.remove(0);
        shares[keys.iter().position(|key| **key == taken.token).unwrap()] += 1;
        settle(bench, taken).await;
    }
    shares
}

pub(crate) async fn what_a_key_holds_back_changes_nobodys_turn(mut bench: Bench) {
    let bounded = key(&mut bench, "bounded", Some(1), None).await;
    let (old, new) = (key(&mut bench, "old", None, None).await, key(&mut bench, "new", None, None).await);
    add(&mut bench, &bounded, 2).await;
    assert_eq!(take(&mut bench, 1).await[0].token, bounded, "it runs for long, and holds its second one back");
    add(&mut bench, &old, 300).await;
    assert_eq!(shares(&mut bench, 100, &[&old]).await, [100]);
    // One of theirs is in work, as always where much waits.
    take(&mut bench, 1).await;
    add(&mut bench, &new, 100).await;
    let both = shares(&mut bench, 40, &[&old, &new]).await;
    assert!(both.iter().all(|share| (18..=22).contains(share)), "{both:?}");
}

pub(crate) async fn a_key_that_rested_has_no_credit_for_it(mut bench: Bench) {
    let quota = Quota { runs_per_day: None, cpu_s_per_day: Some(1) };
    let bounded = key(&mut bench, "bounded", None, Some(quota)).await;
    let other = key(&mut bench, "other", None, None).await;
    add(&mut bench, &bounded, 100).await;
    add(&mut bench, &other, 400).await;
    let now = bench.tick();
    let used = RunsUsed { runs: 0, cpu_us: 1_000_000 };
    bench.store.add_run_usage(vec![(bounded.clone(), now, used)], now).await.unwrap();
    assert_eq!(shares(&mut bench, 200, &[&other]).await, [200]);
    take(&mut bench, 1).await;
    bench.now = day_after(bench.now);
    let both = shares(&mut bench, 40, &[&bounded, &other]).await;
    assert!(both.iter().all(|share| (18..=22).contains(share)), "{both:?}");
}

pub(crate) async fn beside_a_key_that_rests_nobody_gets_its_old_turns(mut bench: Bench) {
    let quota = Quota { runs_per_day: None, cpu_s_per_day: Some(1) };
    let resting = key(&mut bench, "resting", None, Some(quota)).await;
    let (crowd, newcomer) = (key(&mut bench, "crowd", None, None).await, key(&mut bench, "newcomer", None, None).await);
    add(&mut bench, &resting, 5).await;
    let used = RunsUsed { runs: 0, cpu_us: 2_000_000 };
    bench.store.add_run_usage(vec![(resting.clone(), bench.now, used)], bench.now).await.unwrap();
    let many = add(&mut bench, &crowd, 100).await;
    for taken in take(&mut bench, 60).await {
        settle(&mut bench, taken).await;
    }
    // Nothing is in work at the moment, and those that rest are the first of those that wait.
    let few = add(&mut bench, &newcomer, 10).await;
    let next = ids(&take(&mut bench, 8).await);
    let of_crowd = next.iter().filter(|id| many.contains(id)).count();
    assert_eq!((next.len(), of_crowd), (8, 4), "they take turns: {next:?} {few:?}");
}

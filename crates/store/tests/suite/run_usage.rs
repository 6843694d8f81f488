//! How much keys may have on one day, runs of keys that were revoked, who leads, and what whoever scales sees.

use std::sync::Arc;
use std::time::Duration;

use skylift_model::key::Quota;
use skylift_model::run::RunState;
use skylift_model::wire::RunsUsed;
use skylift_model::{Digest, RunId, Timestamp, TokenId};
use skylift_store::{Document, Missing, NewRun, Once, StoreError, day_after};
use tokio::sync::Barrier;

use crate::ai_usage::key;
use crate::bench::{Bench, LEASE};

const WHAT: &str = "something";

fn runs_per_day(most: u32) -> Quota {
    Quota { runs_per_day: Some(most), cpu_s_per_day: None }
}

pub(crate) async fn a_quota_is_taken_by_one_however_many_ask_at_once_and_is_there_again_the_next_day(mut bench: Bench) {
    const MOST: u32 = 20;
    let token = key(&mut bench, "limited").await;
    let now = bench.tick();
    // Two processes, as far as rows can tell, and more of each than there is.
    let stores = [bench.store.clone(), bench.home.open().await];
    let mut asking = Vec::new();
    for store in (0..3 * MOST as usize).map(|number| stores[number % 2].clone()) {
        let token = token.clone();
        asking.push(tokio::spawn(async move { store.take_quota(token, 1, runs_per_day(MOST), now).await.unwrap() }));
    }
    let mut taken = 0;
    for asked in asking {
        taken += u32::from(asked.await.unwrap().is_ok());
    }
    assert_eq!(taken, MOST);
    // Who looks first and writes then takes more than there is: that it is one statement is what keeps it.
    let other = key(&mut bench, "looked at first").await;
    let barrier = Arc::new(Barrier::new(2));
    let looks = stores.clone().map(|store| {
        let (other, barrier) = (other.clone(), barrier.clone());
        tokio::spawn(async move {
            let is_free = store.runs_used(now).await.unwrap().get(&other).is_none_or(|used| used.runs < 1);
            barrier.wait().await;
            let one = RunsUsed { runs: u64::from(is_free), cpu_us: 0 };
            store.add_run_usage(vec![(other, now, one)], now).await.unwrap();
        })
    });
    for look in looks {
        look.await.unwrap();
    }
    assert_eq!(bench.store.runs_used(now).await.unwrap()[&other].runs, 2);

    let store = &bench.store;
    let ask = async |runs, quota, at| store.take_quota(token.clone(), runs, quota, at).await.unwrap();
    let used = |runs, cpu_us| Err(RunsUsed { runs, cpu_us });
    assert_eq!(ask(1, runs_per_day(MOST), now).await, used(20, 0));
    assert_eq!(ask(2, runs_per_day(MOST + 1), now).await, used(20, 0), "all of them or none");
    assert_eq!(ask(1, runs_per_day(MOST + 1), now).await, Ok(()));
    let tomorrow = day_after(now);
    assert_eq!(ask(MOST + 1, runs_per_day(MOST), tomorrow).await, used(0, 0));
    assert_eq!(ask(MOST, runs_per_day(MOST), tomorrow).await, Ok(()));
    let cpu = Quota { runs_per_day: None, cpu_s_per_day: Some(2) };
    for (more, answer) in [(1_999_999, Ok(())), (1, used(21, 2_000_000))] {
        store
            .add_run_usage(vec![(token.clone(), tomorrow, RunsUsed { runs: 0, cpu_us: more })], tomorrow)
            .await
            .unwrap();
        assert_eq!(ask(1, cpu, tomorrow).await, answer);
    }
}

fn new(token: &TokenId, now: Timestamp, number: u64) -> NewRun {
    NewRun {
        id: RunId::new(now, number),
        token: token.clone(),
        language: "python".into(),
        priority: 0,
        job: Document::Inline("{}".into()),
        sha256: Digest::of(b"{}"),
        ttl: Duration::from_secs(60),
        via: None,
        callback: None,
    }
}

pub(crate) async fn a_key_that_is_revoked_has_no_run_that_waits_or_works_and_gets_none(mut bench: Bench) {
    let (revoked, other) = (key(&mut bench, "revoked").await, key(&mut bench, "other").await);
    let now = bench.tick();
    let runs = vec![new(&revoked, now, 1), new(&revoked, now, 2), new(&other, now, 3)];
    let ids = bench.store.add_runs(runs, Once::default(), now).await.unwrap().made().unwrap();
    let taken = bench.store.take_runs("w".into(), 1, now, LEASE).await.unwrap();
    assert_eq!(taken[0].id, ids[0]);
    bench.store.revoke_key(revoked.clone(), Once::default(), now).await.unwrap();
    for id in &ids[..2] {
        let row = bench.store.run(id.clone(), None).await.unwrap();
        assert_eq!((row.state, row.error.as_deref()), (RunState::Cancelled, Some("its key was revoked")));
        assert!(row.expires_at.is_some());
    }
    // Whoever had it commits nothing and gives nothing back.
    assert_eq!(bench.store.renew_runs(taken.clone(), now, LEASE).await.unwrap(), [false]);
    bench.store.give_back_runs(taken, now).await.unwrap();
    let left = bench.store.take_runs("w".into(), 9, now, LEASE).await.unwrap();
    assert_eq!(left.iter().map(|run| &run.id).collect::<Vec<_>>(), [&ids[2]]);
    let late = bench.store.add_runs(vec![new(&revoked, now, 4)], Once::default(), now).await;
    assert!(matches!(late, Err(StoreError::NotFound(Missing::Key(key))) if key == revoked));
}

pub(crate) async fn one_leads_at_a_time_and_another_once_nobody_has_said_so_for_long(mut bench: Bench) {
    let now = bench.tick();
    let store = &bench.store;
    let lead = async |who: &str, told: Option<&str>, at| {
        store.lead(WHAT, who.into(), told.map(str::to_owned), at, LEASE).await.unwrap()
    };
    assert!(lead("a", Some("1"), now).await && lead("a", None, now).await);
    assert!(!lead("b", Some("2"), now.plus(LEASE - Duration::from_millis(1))).await);
    let leader = store.leader(WHAT, now).await.unwrap().unwrap();
    assert_eq!((leader.holder.as_str(), leader.told.as_deref(), leader.until), ("a", Some("1"), now.plus(LEASE)));
    let later = now.plus(LEASE);
    assert_eq!(store.leader(WHAT, later).await.unwrap(), None);
    assert!(lead("b", Some("2"), later).await && !lead("a", None, later).await);
    store.end_lead(WHAT, "a".into()).await.unwrap();
    assert_eq!(store.leader(WHAT, later).await.unwrap().unwrap().holder, "b");
    store.end_lead(WHAT, "b".into()).await.unwrap();
    assert!(lead("a", None, later).await);
    // A clock that was set back keeps nobody from it for longer than anybody leads.
    assert!(lead("b", None, later.minus(Duration::from_secs(3600))).await);
}

pub(crate) async fn whoever_scales_sees_what_waits_who_holds_what_and_what_was_queued(mut bench: Bench) {
    let token = key(&mut bench, "k").await;
    let before = bench.tick();
    bench.store.add_runs(vec![new(&token, before, 1)], Once::default(), before).await.unwrap();
    let since = bench.tick();
    let now = bench.tick();
    let runs = (2..=5).map(|number| new(&token, now, number)).collect();
    bench.store.add_runs(runs, Once::default(), now).await.unwrap();
    bench.store.take_runs("a".into(), 2, now, LEASE).await.unwrap();
    bench.store.take_runs("b".into(), 1, now, LEASE).await.unwrap();
    let seen = bench.store.runs_seen(since, now).await.unwrap();
    let held = [("a".to_owned(), 2), ("b".to_owned(), 1)].into_iter().collect();
    assert_eq!((seen.visible, seen.held, seen.queued), (2, held, 4));
    assert_eq!(bench.store.runs_visible(now).await.unwrap(), 2);
}

//! Jobs that this version does not understand: they wait or are put aside, and everything else goes on (threat 85).

use skylift_model::JobId;
use skylift_store::{Conflict, JobKind, Once, StoreError};

use crate::bench::{Bench, Home};

fn insert(bench: &Bench, id: &str, kind: &str, subject: &str, state: &str) {
    let Home::Sqlite(folder) = &bench.home else { unreachable!() };
    let rows = rusqlite::Connection::open(folder.path().join("skylift.db")).unwrap();
    let sql = "INSERT INTO jobs (id, kind, lane, subject, state, created_ms, visible_ms, attempts_max)
               VALUES (?1, ?2, ?1, ?3, ?4, 1, 1, 3)";
    rows.execute(sql, [id, kind, subject, state]).unwrap();
}

#[tokio::test]
async fn a_job_of_a_newer_version_waits_for_that_and_holds_nothing_up() {
    let mut bench = Bench::sqlite().await;
    let ids: Vec<JobId> = (0..2).map(|n| JobId::new(bench.now, n)).collect();
    insert(&bench, ids[0].as_str(), "teleport", "x", "ready");
    insert(&bench, ids[1].as_str(), "teleport", "y", "dead");
    let live = bench.deploy_and_go_live().await;
    assert_eq!(bench.live().await, Some(live));
    bench.store.reap(bench.now).await.unwrap();
    let jobs = bench.store.jobs(None).await.unwrap();
    let strange: Vec<_> = jobs.iter().filter(|job| job.kind.is_none()).collect();
    assert_eq!(strange.len(), 2, "they are shown");
    assert!(strange.iter().all(|job| job.kind_name == "teleport" && job.attempts == 0));
    let replayed = bench.store.replay(ids[1].clone(), Once::default(), bench.now).await;
    assert!(matches!(replayed, Err(StoreError::Conflict(Conflict::UnknownKind { .. }))), "{:?}", replayed.err());
}

#[tokio::test]
async fn a_job_about_ten_megabytes_of_nonsense_is_one_that_can_be_put_aside() {
    let mut bench = Bench::sqlite().await;
    let nonsense = "{\"\u{0}".repeat(10 << 18);
    insert(&bench, JobId::new(bench.now, 7).as_str(), "build", &nonsense, "ready");
    for attempt in 1..=3 {
        bench.now = bench.now.plus(std::time::Duration::from_secs(60));
        let lease = bench.lease(JobKind::Build).await.unwrap();
        assert_eq!((lease.subject.len(), lease.attempt), (nonsense.len(), attempt));
        let begun = bench.store.begin_build(lease.clone(), bench.now).await;
        assert!(begun.is_err());
        let is_dead = bench.store.retry(lease, "nonsense".to_owned(), bench.now).await.unwrap();
        assert_eq!(is_dead, attempt == 3);
    }
    let live = bench.deploy_and_go_live().await;
    assert_eq!(bench.live().await, Some(live), "the queue goes on");
}

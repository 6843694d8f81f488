//! A queue that loses what it was told, or is away.

use skylift_model::RunId;

use crate::bench::{Bench, Beside, LEASE, ended, until};

pub(crate) async fn what_the_queue_has_lost_is_found_by_its_rows(bench: Bench) {
    let ids = bench.add(20).await;
    until(async || bench.queue.depth().await.unwrap().visible == 20).await;
    let held = bench.take(&bench.queue, 5).await;
    match &bench.beside {
        // The rows have lost nothing.
        Beside::Nothing => {}
        Beside::Redis(redis) => assert!(redis.command("FLUSHALL").await.contains("OK")),
        #[cfg(feature = "sqs")]
        Beside::Sqs(sqs) => sqs.purge().await,
    }
    let mut taken = held;
    if !matches!(bench.beside, Beside::Nothing) {
        assert!(bench.queue.take("w", 20, LEASE).await.unwrap().is_empty(), "without a sweep it stays lost");
    }
    until(async || {
        bench.queue.sweep().await.unwrap();
        taken.extend(bench.queue.take("w", 20, LEASE * 30).await.unwrap());
        taken.len() == ids.len()
    })
    .await;
    let settled = bench.queue.settle(taken.iter().map(|taken| ended(taken, "")).collect()).await.unwrap();
    assert_eq!(settled.iter().filter(|settled| **settled).count(), ids.len());
    assert_eq!(bench.queue.sweep().await.unwrap(), 0, "what has settled is not announced");
}

pub(crate) async fn a_queue_that_is_away_is_done_without(mut bench: Bench) {
    bench.may_fail();
    match &mut bench.beside {
        Beside::Nothing => return,
        Beside::Redis(redis) => redis.kill(),
        #[cfg(feature = "sqs")]
        Beside::Sqs(sqs) => sqs.kill(),
    }
    // They are acknowledged, and whoever looks takes them by their rows.
    let early = bench.add(3).await;
    assert!(bench.queue.depth().await.is_err());
    let taken = bench.take(&bench.queue, 1).await;
    assert!(early.contains(&taken[0].id));
    assert_eq!(bench.queue.settle(vec![ended(&taken[0], "")]).await.unwrap(), [true]);
    match &mut bench.beside {
        Beside::Nothing => {}
        Beside::Redis(redis) => redis.run().await,
        #[cfg(feature = "sqs")]
        Beside::Sqs(sqs) => sqs.run().await,
    }
    // It comes back empty: of the two that wait it knows nothing until somebody looks.
    until(async || bench.queue.depth().await.is_ok()).await;
    let later = bench.add(1).await;
    let mut taken: Vec<RunId> = Vec::new();
    until(async || {
        let _ = bench.queue.sweep().await;
        taken.extend(bench.queue.take("w", 9, LEASE * 30).await.unwrap().into_iter().map(|taken| taken.id));
        taken.len() == 3
    })
    .await;
    assert!(later.iter().chain(&early).filter(|id| taken.contains(id)).count() == 3);
}

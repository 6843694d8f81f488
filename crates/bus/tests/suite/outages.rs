//! Redis frozen, killed, emptied, out of reach from the beginning.

use std::time::Duration;

use skylift_bus::{Allowance, Bus, BusSettings, Message, Received};
use skylift_model::Timestamp;
use skylift_peers::Redis;

use crate::{connected, next, next_message, settings, until_connected};

/// What a consumer that listens is sure of: after whatever happened, it is told to look, or hears what was said.
async fn is_woken_after_the_outage(says: &Bus, hears: &Bus, outage: impl AsyncFnOnce()) {
    let mut subscription = hears.subscribe();
    outage().await;
    says.publish(Message::JobReady);
    match next(&mut subscription).await {
        Received::Missed | Received::Message(Message::JobReady) => {}
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_redis_that_was_killed_and_is_back_empty_is_used_again() {
    let Some(mut redis) = Redis::start().await else { return };
    let (first, second) = (connected(&redis).await, connected(&redis).await);
    for _ in 0..3 {
        let mut subscription = second.subscribe();
        redis.kill();
        until_connected(&first, false).await;
        until_connected(&second, false).await;
        // Nobody waits, and this process hears itself.
        let mut own = first.subscribe();
        for _ in 0..5000 {
            first.publish(Message::JobReady);
        }
        assert_ne!(next(&mut own).await, Received::Closed);
        redis.run().await;
        until_connected(&first, true).await;
        until_connected(&second, true).await;
        // What was said before this death may still come first.
        while next(&mut subscription).await != Received::Missed {}
        is_woken_after_the_outage(&first, &second, async || {}).await;
    }
    // In the end they hear each other again, word for word.
    let mut subscription = second.subscribe();
    let generations = async {
        for generation in 0.. {
            first.publish(Message::RoutesApplied("shop".parse().unwrap(), generation, "e".to_owned()));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    // What woke it before may still be on its way.
    let hears = async {
        while !matches!(next_message(&mut subscription).await, Received::Message(Message::RoutesApplied(..))) {}
    };
    tokio::select! {
        () = generations => {}
        () = hears => {}
    }
    let mut metrics = String::new();
    first.render_metrics(&mut metrics);
    assert!(metrics.contains("\nskylift_bus_reconnects_total 4\n") && metrics.contains("\nskylift_bus_connected 1\n"));
}

#[tokio::test]
async fn a_redis_that_froze_is_noticed_although_its_connections_are_open() {
    let Some(redis) = Redis::start().await else { return };
    let (first, second) = (connected(&redis).await, connected(&redis).await);
    is_woken_after_the_outage(&first, &second, async || {
        redis.freeze();
        until_connected(&first, false).await;
        until_connected(&second, false).await;
    })
    .await;
    redis.thaw();
    until_connected(&first, true).await;
    until_connected(&second, true).await;
    is_woken_after_the_outage(&first, &second, async || {}).await;
}

#[tokio::test]
async fn while_redis_is_gone_everybody_looks_now_and_then() {
    let Some(mut redis) = Redis::start().await else { return };
    let bus = connected(&redis).await;
    redis.kill();
    until_connected(&bus, false).await;
    let mut subscription = bus.subscribe();
    for _ in 0..3 {
        assert_eq!(next(&mut subscription).await, Received::Missed);
    }
}

#[tokio::test]
async fn every_subscriber_is_told_once_of_a_gap() {
    let Some(redis) = Redis::start().await else { return };
    // Looks so rarely that the only reason is the gap.
    let settings = BusSettings { beat_ms: 5000, ..settings(&redis) };
    let bus = Bus::open(&settings).unwrap();
    until_connected(&bus, true).await;
    let mut subscriptions = [bus.subscribe(), bus.subscribe(), bus.subscribe()];
    redis.command("CLIENT KILL TYPE pubsub").await;
    for subscription in &mut subscriptions {
        assert_eq!(next(subscription).await, Received::Missed);
    }
    bus.publish(Message::JobReady);
    for subscription in &mut subscriptions {
        assert_eq!(next(subscription).await, Received::Message(Message::JobReady), "once is enough");
    }
}

#[tokio::test]
async fn a_bus_starts_before_its_redis() {
    let Some(mut redis) = Redis::start().await else { return };
    redis.kill();
    let bus = Bus::open(&settings(&redis)).unwrap();
    let mut subscription = bus.subscribe();
    bus.publish(Message::JobReady);
    assert_eq!(next_message(&mut subscription).await, Received::Message(Message::JobReady));
    redis.run().await;
    until_connected(&bus, true).await;
}

#[tokio::test]
async fn a_wrong_password_is_an_outage_and_settings_that_cannot_work_are_an_error() {
    let Some(redis) = Redis::with_password(Some("right")).await else { return };
    let wrong = BusSettings { url: redis.url().replace("right", "wrong"), ..settings(&redis) };
    let bus = Bus::open(&wrong).unwrap();
    let mut subscription = bus.subscribe();
    assert_eq!(next(&mut subscription).await, Received::Missed, "it looks now and then");
    assert!(!bus.is_connected());
    assert!(Bus::open(&BusSettings { url: "nowhere".to_owned(), ..settings(&redis) }).is_err());
    tokio::time::timeout(Duration::from_secs(60), bus.bucket("k", crate::buckets::ONE_AN_HOUR, 1, Default::default()))
        .await
        .unwrap();
}

/// With no memory left it takes no more buckets, or forgets those it has: messages go on, and nobody is refused for that.
#[tokio::test]
async fn a_redis_whose_memory_is_full_carries_messages_and_refuses_nobody() {
    let Some(redis) = Redis::start().await else { return };
    let (first, second) = (connected(&redis).await, connected(&redis).await);
    let now = Timestamp::from_millis(1_000_000);
    for policy in ["noeviction", "allkeys-random"] {
        assert!(redis.command(&format!("CONFIG SET maxmemory-policy {policy}")).await.contains("OK"));
        assert!(redis.command("CONFIG SET maxmemory 1").await.contains("OK"));
        let mut subscription = second.subscribe();
        first.publish(Message::JobReady);
        assert_eq!(next_message(&mut subscription).await, Received::Message(Message::JobReady), "{policy}");
        let one = async |key: String| first.bucket(&key, crate::buckets::ONE_AN_HOUR, 1, now).await;
        for number in 0..20 {
            assert_eq!(one(format!("{policy} {number}")).await, Allowance::Allowed, "{policy}: who is new is let in");
        }
        assert!(redis.command("CONFIG SET maxmemory 0").await.contains("OK"));
        // The control: with memory it counts again.
        assert_eq!(one(format!("{policy} after")).await, Allowance::Allowed);
        assert!(matches!(one(format!("{policy} after")).await, Allowance::RetryAfter(_)));
    }
}

/// Where scripts are not allowed, each process counts by itself, and what is said meanwhile is heard word for word.
#[tokio::test]
async fn a_redis_that_runs_no_scripts_carries_messages_and_each_counts_by_itself() {
    let Some(redis) = Redis::start().await else { return };
    let (first, second) = (connected(&redis).await, connected(&redis).await);
    assert!(redis.command("ACL SETUSER default -@scripting").await.contains("OK"));
    assert!(redis.command("EVAL x 0").await.contains("NOPERM"), "control");
    let mut subscription = second.subscribe();
    let now = Timestamp::from_millis(1_000_000);
    for generation in 0..20 {
        let key = format!("k{}", generation / 2);
        let allowed = first.bucket(&key, crate::buckets::ONE_AN_HOUR, 1, now).await;
        assert_eq!(allowed == Allowance::Allowed, generation % 2 == 0, "{generation}: {allowed:?}");
        let said = Message::RoutesApplied("shop".parse().unwrap(), generation, "e".to_owned());
        first.publish(said.clone());
        assert_eq!(next(&mut subscription).await, Received::Message(said));
    }
}

#[tokio::test]
async fn a_redis_whose_file_was_cut_is_used_again() {
    let Some(mut redis) = Redis::that_keeps().await else { return };
    let (first, second) = (connected(&redis).await, connected(&redis).await);
    let now = Timestamp::from_millis(1_000_000);
    for number in 0..20 {
        first.bucket(&format!("{number}"), crate::buckets::ONE_AN_HOUR, 1, now).await;
    }
    redis.kill();
    assert!(redis.cut_file() > 100, "control: it had written something");
    until_connected(&first, false).await;
    until_connected(&second, false).await;
    redis.run().await;
    until_connected(&first, true).await;
    until_connected(&second, true).await;
    is_woken_after_the_outage(&first, &second, async || {}).await;
    assert_eq!(first.bucket("new", crate::buckets::ONE_AN_HOUR, 1, now).await, Allowance::Allowed);
    assert!(
        matches!(first.bucket("0", crate::buckets::ONE_AN_HOUR, 1, now).await, Allowance::RetryAfter(_)),
        "it kept it"
    );
}

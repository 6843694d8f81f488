//! Messages, on both.

use skylift_bus::{Bus, BusSettings, Message, Received};
use skylift_model::{AppName, DeploymentId, Timestamp};
use skylift_peers::Redis;

use crate::{connected, next_message};

fn all() -> Vec<Message> {
    let id = DeploymentId::new(Timestamp::from_millis(5), 7);
    let app: AppName = "shop".parse().unwrap();
    vec![
        Message::JobReady,
        Message::LogGrew(id.clone()),
        Message::DeploymentChanged(id.clone()),
        Message::CancelAsked(id),
        Message::RoutesChanged(app.clone()),
        Message::RoutesApplied(app, 9, "e".to_owned()),
    ]
}

/// What one says all others hear, in order and once; so does whoever says it.
async fn is_heard_by_all(says: &Bus, hears: &[Bus]) {
    let mut subscriptions: Vec<_> = hears.iter().map(Bus::subscribe).collect();
    subscriptions.push(says.subscribe());
    for _ in 0..2 {
        for message in all() {
            says.publish(message);
        }
    }
    for subscription in &mut subscriptions {
        for message in all().into_iter().chain(all()) {
            assert_eq!(next_message(subscription).await, Received::Message(message));
        }
    }
    // Nothing was said twice: the next that is heard is the next that is said.
    says.publish(Message::JobReady);
    for subscription in &mut subscriptions {
        assert_eq!(next_message(subscription).await, Received::Message(Message::JobReady));
    }
}

#[tokio::test]
async fn everybody_in_a_process_hears_every_message_once() {
    let bus = Bus::in_process();
    is_heard_by_all(&bus, &[bus.clone(), bus.clone()]).await;
}

#[tokio::test]
async fn every_process_hears_every_message_once() {
    let Some(redis) = Redis::with_password(Some("pass:w0rd")).await else { return };
    let (first, second, third) = (connected(&redis).await, connected(&redis).await, connected(&redis).await);
    for _ in 0..2 {
        is_heard_by_all(&first, &[second.clone(), third.clone(), second.clone()]).await;
        is_heard_by_all(&second, &[first.clone(), third.clone()]).await;
    }
    // However many listen in a process, it has one connection for it.
    let subscribers: Vec<_> = (0..100).map(|_| first.subscribe()).collect();
    let heard_by = redis.command("PUBSUB NUMSUB skylift:bus").await;
    assert!(heard_by.contains(":3\r\n"), "{heard_by}");
    drop(subscribers);
}

#[tokio::test]
async fn tls_is_spoken_with_who_has_the_right_certificate_and_nobody_else() {
    let Some(redis) = Redis::with_tls().await else { return };
    let trusting = |host: &str| BusSettings {
        url: redis.tls_url(host),
        ca_file: Some(redis.certificate()),
        ..crate::settings(&redis)
    };
    let buses = ["localhost", "127.0.0.1"].map(|host| Bus::open(&trusting(host)).unwrap());
    for bus in &buses {
        crate::until_connected(bus, true).await;
    }
    is_heard_by_all(&buses[0], &[buses[1].clone()]).await;

    let distrusting = BusSettings { ca_file: None, ..trusting("localhost") };
    let bus = Bus::open(&distrusting).unwrap();
    // It was tried more than once by the time everybody is told to look.
    assert_eq!(crate::next(&mut bus.subscribe()).await, Received::Missed);
    assert!(!bus.is_connected());
}

#[tokio::test]
async fn own_messages_are_heard_at_once_without_redis() {
    let Some(redis) = Redis::start().await else { return };
    let bus = connected(&redis).await;
    redis.freeze();
    let mut subscription = bus.subscribe();
    bus.publish(Message::JobReady);
    // No other task has run in between: it was there already.
    let heard = subscription.next();
    tokio::select! {
        biased;
        received = heard => assert_eq!(received, Received::Message(Message::JobReady)),
        () = std::future::ready(()) => panic!("it went around by Redis"),
    }
}

#[tokio::test]
async fn what_a_newer_version_says_makes_everybody_look() {
    let Some(redis) = Redis::start().await else { return };
    let bus = connected(&redis).await;
    let mut subscription = bus.subscribe();
    for unknown in ["\"1 other-process apps-merged a b\"", "\"2 {}\"", "nonsense"] {
        redis.command(&format!("PUBLISH skylift:bus {unknown}")).await;
        assert_eq!(crate::next(&mut subscription).await, Received::Missed, "{unknown}");
    }
}

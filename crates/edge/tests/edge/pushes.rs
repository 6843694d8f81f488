//! Route changes that cannot be right, thousands of them, while clients ask: the last good table stays.

mod bad;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use skylift_bus::Message;
use skylift_model::Digest;
use skylift_model::route::{AppRoutes, RoutedDeployment};

use crate::dsl::{Dice, Server, Watch, count, id, name, server, site};
use bad::{Bad, KINDS};

/// How much later than an answer a client asks again.
const PACE: Duration = Duration::from_millis(2);
/// Every so many changes a good one must get through, and every so many the source contradicts itself about everything.
const GOOD_EVERY: usize = 50;
const ALL_EVERY: usize = 250;
/// How many deployments an app has that has far too many.
const OVERSIZED: u64 = 1_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn thousands_of_bad_route_changes_cost_nobody_an_answer() {
    let server = start().await;
    let mut bad = Bad::new(&server.blobs, server.source.routes(&name("shop")), Dice::seeded()).await;
    let watch = watch(&server);
    let (rounds, began) = (count(1_000, 10_000), Instant::now());
    let mut pushed = BTreeMap::<&str, usize>::new();
    for round in 1..=rounds {
        let kind = KINDS[round % KINDS.len()];
        push(&server, bad.routes(kind)).await;
        *pushed.entry(kind.name()).or_default() += 1;
        if round % GOOD_EVERY == 0 {
            let page = format!("witness {round}");
            server.deploy("witness", round as u64 + 1_000, site().file("index.html", &page)).await;
            assert_eq!(server.get("witness.localhost", "/").await.short(), format!("200 {page}"), "{pushed:?}");
        }
        if round % ALL_EVERY == 0 {
            contradict(&server, &mut bad).await;
        }
    }
    let took = began.elapsed();
    server.source.say_instead(&name("shop"), None);
    let seen = watch.end().await;
    eprintln!(
        "figure: {rounds} bad route changes, {} a second, {} answers meanwhile, {} wrong, p99 {:?}",
        rounds as u64 * 1000 / u64::try_from(took.as_millis()).unwrap().max(1),
        seen.good,
        seen.wrong.len(),
        seen.p99(),
    );
    assert!(seen.wrong.is_empty(), "{pushed:?}: {:?}", seen.wrong);
    assert!(seen.good > 100 && pushed.len() == KINDS.len().min(rounds), "{} {pushed:?}", seen.good);
    assert_eq!(server.applied.generation(&name("shop")), Some(7), "nothing was taken");

    server.deploy("shop", 90_000, site().file("index.html", "new")).await;
    assert_eq!(server.get("shop.localhost", "/").await.short(), "200 new", "what is good still gets through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_a_change_that_is_taken_is_seen_by_those_who_ask() {
    let server = start().await;
    // What the bad ones would do to the table, said in a way that the edge has to believe.
    let good = server.source.routes(&name("shop"));
    let other = site().file("index.html", "other").store(&server.blobs).await;
    let deployments = vec![RoutedDeployment::new(id(9), other)];
    let other_live = AppRoutes { generation: 9, live: Some(id(9)), deployments, ..good };
    let watch = watch(&server);
    server.source.set(other_live.clone());
    server.change(&other_live).await;
    watch.until_wrong().await;
    assert!(!watch.end().await.wrong.is_empty());
    assert_ne!(server.get("shop.localhost", "/").await.short(), "200 shop");
}

/// A shop at its seventh generation; one app beside it that changes, and one that does not.
async fn start() -> Server {
    let server = server()
        .app("shop", site().file("index.html", "shop"))
        .app("neighbour", site().file("index.html", "neighbour"))
        .app("witness", site().file("index.html", "witness"))
        .configure(|config| config.limits.manifest_bytes_max = bad::MANIFEST_BYTES_MAX)
        .start()
        .await;
    let routes = AppRoutes { generation: 7, ..server.source.routes(&name("shop")) };
    server.source.set(routes.clone());
    server.change(&routes).await;
    server
}

fn watch(server: &Server) -> Watch {
    let own = format!("{}.localhost", id(1));
    let wanted = [("shop.localhost", "shop"), (own.as_str(), "shop"), ("neighbour.localhost", "neighbour")];
    Watch::start(server.address, PACE, &wanted)
}

/// Has the source say this of an app, tells of it, and waits until the edge has read it.
async fn push(server: &Server, (app, routes): (&str, AppRoutes)) {
    server.source.say_instead(&name(app), Some(routes));
    let before = server.source.asked();
    server.bus.publish(Message::RoutesChanged(name(app)));
    server.source.asked_beyond(before).await;
    if app != "shop" {
        server.source.say_instead(&name(app), None);
    }
}

/// Has the source contradict itself about every app, beside one that is far too large, and makes the edge read everything.
async fn contradict(server: &Server, bad: &mut Bad) {
    let deployments = (0..OVERSIZED).map(|number| RoutedDeployment::new(id(200_000 + number), Digest::of(b"nothing")));
    let huge = AppRoutes { app: name("huge"), live: None, deployments: deployments.collect(), ..bad.good().clone() };
    let nothing_live = AppRoutes { generation: 8, live: None, ..bad.good().clone() };
    server.source.say_besides(vec![huge, nothing_live, bad.routes(KINDS[0]).1]);
    let before = server.source.asked();
    // More than the bus keeps for anybody.
    for _ in 0..20_000 {
        server.bus.publish(Message::JobReady);
    }
    server.source.asked_beyond(before).await;
    server.source.say_besides(Vec::new());
}

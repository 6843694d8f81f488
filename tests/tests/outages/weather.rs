//! Networks that lose what is sent one way, are slow, or end connections (threats 97 and 98).

use std::time::{Duration, Instant};

use skylift_model::DeploymentState;
use skylift_tests::app::App;
use skylift_tests::namespace::Namespace;
use skylift_tests::probe::Probe;
use skylift_tests::random::{Random, rounds};
use skylift_tests::relay::{Relay, Weather};
use skylift_tests::spread::{OwnStores, Spread};
use skylift_tests::{Platform, Request, site, wait};

use crate::ledger::{ANSWER_WITHIN, KEEPS_ALL, Ledger};

/// Each process uses up to nine connections to the database, and few to the others.
const CONNECTIONS_MAX: usize = 40;

async fn is_back(platform: &Platform) {
    let answers = async || (platform.api(Request::get("/v1/apps")).await.status == 200).then_some(());
    wait::until("the API answers again", answers).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_heard_but_hears_nothing_or_the_other_way_round_costs_no_visitor_and_no_deploy() {
    let name = "a_process_that_is_heard_but_hears_nothing_or_the_other_way_round_costs_no_visitor_and_no_deploy";
    let mut random = Random::seeded();
    let mut lane = |first| one_way(name, Random::of(random.below(u64::MAX)), first);
    tokio::join!(lane(0), lane(1), lane(2), lane(3));
}

/// How many platforms are tried at once, each in its own way: they mostly wait for time-outs. One in the ordinary run.
fn lanes() -> u64 {
    rounds(1, 4)
}

/// Every so many rounds, from that one on.
async fn one_way(name: &str, mut random: Random, first: u64) {
    if first >= lanes() {
        return;
    }
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    let busy = platform.app("busy").await;
    let probe = Probe::start(platform.address(), "steady.localhost", "steady");
    let mut ledger = Ledger::new("busy");
    let spread = platform.spread.as_ref().unwrap();
    for round in (first..rounds(2, 100)).step_by(usize::try_from(lanes()).unwrap()) {
        assert!(ledger.send(&platform).await, "control: everything is there");
        let (who, namespace) = match round % 2 {
            0 => ("api", &spread.api.namespace),
            _ => ("builder", &spread.build.namespace),
        };
        // Each of them in turn, each both ways.
        let way: fn(&Namespace) = if (round + round / 2) % 2 == 0 { Namespace::mute } else { Namespace::deafen };
        way(namespace);
        // The moment is the fault that is tried.
        tokio::time::sleep(Duration::from_millis(random.below(500))).await;
        let began = Instant::now();
        let acknowledged = ledger.send(&platform).await;
        assert!(began.elapsed() < ANSWER_WITHIN, "{who}: answered after {:?}", began.elapsed());
        assert!(!acknowledged || who == "builder", "nobody hears the API, or it hears nobody");
        namespace.heal();
        is_back(&platform).await;
        wait::until("deploys are accepted again", async || ledger.send(&platform).await.then_some(())).await;
        deploys(&busy, &format!("round {round}")).await;
    }
    ledger.holds(&platform).await;
    probe.was_never_let_down();
}

/// A deploy goes live. What was sent before and got no answer may be taken in meanwhile, and is the newer one then.
async fn deploys(app: &App<'_>, page: &str) {
    loop {
        let settled = app.attempt(&site(page)).await;
        match settled.state {
            // It may have been live, and another be by now.
            DeploymentState::Live | DeploymentState::Previous => return,
            DeploymentState::Superseded => {}
            state => panic!("{state}: {:?}", settled.failure),
        }
    }
}

/// Every way of every process to its stores, and that of the edge to the API.
fn ways(spread: &Spread) -> Vec<&Relay> {
    let stores = [&spread.edge, &spread.api, &spread.build].into_iter();
    stores.flat_map(|place| [&place.postgres, &place.redis, &place.s3]).chain([&spread.edge_to_api]).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stderr, reason = "a figure of the soak")]
async fn slow_networks_that_end_connections_delay_and_lose_nothing_and_nothing_piles_up() {
    let name = "slow_networks_that_end_connections_delay_and_lose_nothing_and_nothing_piles_up";
    let (one, two, three, four) = tokio::join!(slow(name, 0), slow(name, 1), slow(name, 2), slow(name, 3));
    let seen: Vec<Seen> = [one, two, three, four].into_iter().flatten().collect();
    eprintln!(
        "figure: {} accepted, at most {} connections, the longest answer after {} s",
        seen.iter().map(|seen| seen.acknowledged).sum::<usize>(),
        seen.iter().map(|seen| seen.most).max().unwrap_or(0),
        seen.iter().map(|seen| seen.longest.as_secs()).max().unwrap_or(0),
    );
}

/// What was seen of one platform.
struct Seen {
    acknowledged: usize,
    /// How many connections there were at most on one way.
    most: usize,
    /// How long the longest answer took.
    longest: Duration,
}

/// Every so many sends, from that one on.
async fn slow(name: &str, first: u64) -> Option<Seen> {
    if first >= lanes() {
        return None;
    }
    let stores = OwnStores::start(name).await?;
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    let busy = platform.app("busy").await;
    let probe = Probe::start(platform.address(), "steady.localhost", "steady");
    let mut ledger = Ledger::new("busy");
    let spread = platform.spread.as_ref().unwrap();
    let mut acknowledged = 0;
    let mut most = 0;
    let mut longest = Duration::ZERO;
    for late_ms_max in [50, rounds(200, 2000)] {
        for way in ways(spread) {
            way.weather(Weather { late_ms_max, resets_per_mille: 10 });
        }
        for _ in (first..rounds(2, 60)).step_by(usize::try_from(lanes()).unwrap()) {
            let began = Instant::now();
            acknowledged += usize::from(ledger.send(&platform).await);
            let took = began.elapsed();
            assert!(took < ANSWER_WITHIN, "answered after {took:?}");
            longest = longest.max(took);
            most = most.max(ways(spread).into_iter().map(Relay::connections).max().unwrap_or(0));
        }
    }
    assert!(most <= CONNECTIONS_MAX, "{most} connections");
    assert!(acknowledged > 0, "something was accepted all the same");
    for way in ways(spread) {
        way.weather(Weather::default());
    }
    is_back(&platform).await;
    ledger.holds(&platform).await;
    busy.deploy(&site("goes on")).await;
    assert_eq!(busy.get("/").await.brief(), "200 goes on");
    probe.was_never_let_down();
    Some(Seen { acknowledged, most, longest })
}

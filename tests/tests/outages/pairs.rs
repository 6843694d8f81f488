//! Each process loses one of its neighbours for a while, silently, one way or both: what is served meanwhile, what is refused,
//! and what goes on afterwards (threats 96 and 97).

use std::time::{Duration, Instant};

use skylift_tests::probe::Probe;
use skylift_tests::random::rounds;
use skylift_tests::relay::{Lost, Relay};
use skylift_tests::spread::{OwnStores, Spread};
use skylift_tests::{Platform, Request, Response, site, wait};

use crate::ledger::{ANSWER_WITHIN, KEEPS_ALL, Ledger};

/// Two that lose each other.
struct Pair {
    name: &'static str,
    way: fn(&Spread) -> &Relay,
    /// What becomes of deploys that are sent meanwhile.
    deploys: Deploys,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Deploys {
    /// Whoever is needed to accept one is out of reach.
    Refused,
    /// Nobody whom accepting one needs is.
    Accepted,
}

const fn pair(name: &'static str, way: fn(&Spread) -> &Relay, deploys: Deploys) -> Pair {
    Pair { name, way, deploys }
}

const PAIRS: [Pair; 10] = [
    pair("edge and API", |spread| &spread.edge_to_api, Deploys::Refused),
    pair("API and rows", |spread| &spread.api.postgres, Deploys::Refused),
    pair("builder and rows", |spread| &spread.build.postgres, Deploys::Accepted),
    pair("edge and rows", |spread| &spread.edge.postgres, Deploys::Accepted),
    pair("edge and blobs", |spread| &spread.edge.s3, Deploys::Accepted),
    pair("API and blobs", |spread| &spread.api.s3, Deploys::Refused),
    pair("builder and blobs", |spread| &spread.build.s3, Deploys::Accepted),
    pair("edge and bus", |spread| &spread.edge.redis, Deploys::Accepted),
    pair("API and bus", |spread| &spread.api.redis, Deploys::Accepted),
    pair("builder and bus", |spread| &spread.build.redis, Deploys::Accepted),
];

const LOST: [Lost; 3] = [Lost::Both, Lost::Back, Lost::There];

/// Asks in a loop until so much time has passed since something was lost: every answer is one of these.
async fn served_meanwhile(platform: &Platform, since: Instant, for_: Duration, page: &str) {
    loop {
        let answer: Response = platform.get("steady.localhost", "/").await;
        assert_eq!(answer.brief(), format!("200 {page}"));
        if since.elapsed() >= for_ {
            return;
        }
        // Visitors do not come faster than the probe.
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn lose_each_other(platform: &Platform, ledger: &mut Ledger, pair: &Pair, lost: Lost, for_: Duration) {
    let Pair { name, way, deploys } = pair;
    let way = way(platform.spread.as_ref().unwrap());
    assert!(ledger.send(platform).await, "control: everything is there");
    way.lose(lost);
    let since = Instant::now();
    let acknowledged = ledger.send(platform).await;
    let took = since.elapsed();
    assert!(took < ANSWER_WITHIN, "{name}, {lost:?}: answered after {took:?}");
    let expected = *deploys == Deploys::Accepted;
    assert_eq!(acknowledged, expected, "{name}, {lost:?}: deploys are to be {deploys:?}, after {took:?}");
    served_meanwhile(platform, since, for_, "steady").await;
    way.lose(Lost::Nothing);
    let is_back = async || (platform.api(Request::get("/v1/apps")).await.status == 200).then_some(());
    wait::until("the API answers again", is_back).await;
    wait::until("deploys are accepted again", async || ledger.send(platform).await.then_some(())).await;
}

/// Whoever lost a neighbour goes on when it is back: a page that is new then is served.
async fn goes_on(platform: &Platform, page: &str) {
    let app = platform.existing("after");
    let deployed = app.begin(&site(page)).await;
    app.settled(&deployed.id).await;
    let is_served = async || (app.get("/").await.brief() == format!("200 {page}")).then_some(());
    wait::until("what is new is served", is_served).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_that_lose_each_other_one_way_or_both_cost_no_visitor_and_nothing_acknowledged() {
    let name = "two_that_lose_each_other_one_way_or_both_cost_no_visitor_and_nothing_acknowledged";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), KEEPS_ALL);
    platform.up().await;
    platform.app("steady").await.deploy(&site("steady")).await;
    for app in ["busy", "after"] {
        platform.app(app).await;
    }
    let probe = Probe::start(platform.address(), "steady.localhost", "steady");
    let mut ledger = Ledger::new("busy");
    let for_ = Duration::from_secs(rounds(1, 30));
    // In the ordinary run the pairs that matter most, each another way.
    let all = PAIRS.len() * LOST.len();
    for round in 0..usize::try_from(rounds(3, all as u64)).unwrap() {
        let (pair, lost) = (&PAIRS[round % PAIRS.len()], LOST[(round + round / PAIRS.len()) % LOST.len()]);
        lose_each_other(&platform, &mut ledger, pair, lost, for_).await;
        goes_on(&platform, &format!("{}, {lost:?}", pair.name)).await;
    }
    ledger.holds(&platform).await;
    probe.was_never_let_down();
}

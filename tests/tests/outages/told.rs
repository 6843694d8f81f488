//! What each of three processes tells of itself, and what they call a request that goes through two of them.

use std::net::SocketAddr;

use skylift_tests::spread::OwnStores;
use skylift_tests::{Platform, Request, Response, wait};

/// What a client may call its own request.
const MADE_UP: &str = "r-0123456789abcdef";

async fn ask(place: SocketAddr, path: &str, token: Option<&str>) -> Response {
    let request = Request::get(path).host("localhost");
    token.into_iter().fold(request, Request::token).send(place).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_builder_tells_how_it_is_and_its_numbers_only_to_who_may_know() {
    let name = "a_builder_tells_how_it_is_and_its_numbers_only_to_who_may_know";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    let spread = platform.spread.as_ref().unwrap();
    let (builder, token) = (spread.build.listens(), platform.token());
    assert!(ask(builder, "/healthz", None).await.brief().starts_with("200 ok"));
    assert_eq!(ask(builder, "/readyz", None).await.brief(), "200 ready");
    ask(builder, "/metrics", None).await.is_error(401, "unauthorized");
    let numbers = ask(builder, "/metrics", Some(&token)).await;
    for number in ["skylift_jobs{kind=\"build\",state=\"ready\"} 0", "skylift_builds_"] {
        assert!(numbers.status == 200 && numbers.text().contains(number), "{number}: {}", numbers.text());
    }
    // It has no part of the API, and leads to none.
    ask(builder, "/v1/apps", Some(&token)).await.is_error(503, "unavailable");

    spread.build.cut();
    let is_not_ready = async || (ask(builder, "/readyz", None).await.status == 503).then_some(());
    wait::until("it is not ready without its rows", is_not_ready).await;
    assert!(ask(builder, "/healthz", None).await.brief().starts_with("200 ok"));
    spread.build.mend();
    let is_ready = async || (ask(builder, "/readyz", None).await.status == 200).then_some(());
    wait::until("it is ready again", is_ready).await;
}

/// How many lines of access logs are about a request.
fn logged(platform: &Platform, id: &str) -> usize {
    platform.log().lines().filter(|line| line.contains("\"target\":\"access\"") && line.contains(id)).count()
}

async fn asked_with_made_up_id(platform: &Platform, to: SocketAddr) -> String {
    let request = Request::get("/v1/apps").host("localhost").token(&platform.token()).header("x-request-id", MADE_UP);
    let answer = request.send(to).await;
    assert_eq!(answer.status, 200, "{}", answer.brief());
    answer.header("x-request-id").to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_has_one_id_at_the_edge_and_at_the_api_and_no_client_makes_it_up() {
    let name = "a_request_has_one_id_at_the_edge_and_at_the_api_and_no_client_makes_it_up";
    let Some(stores) = OwnStores::start(name).await else { return };
    let mut platform = Platform::spread(&stores.shared(), "");
    platform.up().await;
    let spread = platform.spread.as_ref().unwrap();
    let id = asked_with_made_up_id(&platform, spread.edge.listens()).await;
    assert_ne!(id, MADE_UP);
    wait::until("both have logged it", async || (logged(&platform, &id) == 2).then_some(())).await;
    assert_eq!(logged(&platform, MADE_UP), 0);
    // The API believes whom its settings name, as it must believe the edge: here, this end of its cable.
    assert_eq!(asked_with_made_up_id(&platform, spread.api.listens()).await, MADE_UP, "control");
}

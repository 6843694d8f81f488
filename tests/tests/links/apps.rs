//! Links from app to app: by the edge, to that app alone.

use skylift_model::DeploymentState;
use skylift_tests::folder::site;
use skylift_tests::http::Request;
use skylift_tests::platform::Platform;
use skylift_tests::skip;

use super::program::{connects, says, server};

#[tokio::test]
async fn a_linked_app_is_reached_by_the_edge_and_nothing_else_by_that_link() {
    if !skip::unless_one_network("links from app to app") {
        return;
    }
    // A proxy that is declared for this machine is none where an app speaks for itself.
    let settings = "[edge]\ntrusted_proxies = [\"127.0.0.0/8\", \"203.0.113.0/24\"]\n";
    let platform = Platform::configured(settings).await;
    let (board, prices, other) =
        (platform.app("board").await, platform.app("prices").await, platform.app("other").await);
    prices.deploy(&server("")).await;
    other.deploy(&site("other")).await;
    board.deploy(&server("[[link]]\napp = \"prices\"\n")).await;

    assert_eq!(says(&board, "/env?name=PRICES_URL").await, "http://prices.localhost:29001");
    assert_eq!(says(&board, "/get?variable=PRICES_URL").await, "200 hello");
    for host in ["prices.localhost", "127.0.0.1", "::1", "203.0.113.7"] {
        let said = connects(&board, host, 29_001).await;
        assert!(said.contains(" 421 "), "the edge, which knows no host `x`: {said}");
    }
    for (host, expected) in [
        ("prices.localhost", "200 hello"),
        ("other.localhost", "421"),
        ("localhost", "421"),
        ("board.localhost", "421"),
        ("127.0.0.1", "421"),
        ("0.0.0.0", "421"),
    ] {
        let said = says(&board, &format!("/get?variable=PRICES_URL&host={host}")).await;
        assert!(said.starts_with(expected), "{host}: {said}");
    }
    let forged = says(&board, "/get?variable=PRICES_URL&path=/headers&forwarded=203.0.113.9").await;
    assert!(!forged.contains("203.0.113.9"), "{forged}");
    let control = Request::get("/headers").host("prices.localhost").header("x-forwarded-for", "203.0.113.9");
    let control = platform.send(control).await.text();
    assert!(control.contains("203.0.113.9"), "the control: a declared proxy is believed: {control}");

    // Who has no link has no way there.
    for host in ["prices.localhost", "127.0.0.1"] {
        for port in [29_001, platform.port(), 80] {
            let said = connects(&prices, host, port).await;
            assert!(!said.contains("HTTP/1."), "{host}:{port}: {said}");
        }
    }
}

#[tokio::test]
async fn a_link_to_no_app_and_to_oneself_is_refused() {
    let platform = Platform::start().await;
    let board = platform.app("board").await;
    for (app, message) in [("gone", "no app `gone` is there"), ("board", "the app `board` links itself")] {
        let refused = board.attempt(&server(&format!("[[link]]\napp = \"{app}\"\n"))).await;
        assert_eq!(refused.state, DeploymentState::Failed);
        let failure = refused.failure.unwrap();
        assert!(failure.step == "link" && failure.message.contains(message), "{failure:?}");
    }
}

//! Links to services: granted, refused, and what else stays out of reach.

use skylift_model::DeploymentState;
use skylift_tests::platform::Platform;
use skylift_tests::skip;

use super::program::{Service, connects, says, server};

fn config(name: &str, kind: &str, port: u16, rest: &str) -> String {
    format!("[[service]]\nname = \"{name}\"\nkind = \"{kind}\"\nendpoint = \"http://127.0.0.1:{port}\"\n{rest}\n")
}

const LINKED: &str = "[[link]]\nservice = \"messages\"\n";

#[tokio::test]
async fn a_linked_app_reaches_its_service_and_another_app_does_not() {
    if !skip::unless_one_network("links to services on this machine") {
        return;
    }
    let (service, beside) = (Service::start().await, Service::start().await);
    let variables = "AWS_REGION = \"local\", AWS_ACCESS_KEY_ID = \"id\", AWS_SECRET_ACCESS_KEY = \"hidden-key\"";
    let rest = format!("table = \"board-messages\"\napps = [\"board\"]\nvariables = {{ {variables} }}");
    let platform = Platform::configured(&config("messages", "dynamodb", service.port, &rest)).await;
    let (board, shop) = (platform.app("board").await, platform.app("shop").await);
    board.deploy(&server(LINKED)).await;
    shop.deploy(&server("")).await;

    assert_eq!(says(&board, "/env?name=MESSAGES_TABLE").await, "board-messages");
    assert_eq!(says(&board, "/env?name=AWS_SECRET_ACCESS_KEY").await, "hidden-key");
    assert_eq!(says(&board, "/get?variable=AWS_ENDPOINT_URL_DYNAMODB").await, "200 reached");
    assert_eq!(says(&board, "/get?variable=MESSAGES_URL").await, "200 reached");
    assert_eq!(service.came(), 2);

    for app in [&board, &shop] {
        // The door leads to the service alone, and its own port is nowhere.
        for port in [beside.port, service.port, platform.port()] {
            for host in ["127.0.0.1", "localhost", "::1", "::ffff:127.0.0.1", "0.0.0.0", "2130706433"] {
                let said = connects(app, host, port).await;
                assert!(!said.contains("HTTP/1."), "{} to {host}:{port}: {said}", app.name);
            }
        }
    }
    assert_eq!(says(&shop, "/env?name=MESSAGES_URL").await, "-");
    for host in ["127.0.0.1", "::1", "203.0.113.7", "198.18.0.1"] {
        assert!(connects(&board, host, 29_001).await.contains("reached"), "the control: {host} of its own network");
        assert!(!connects(&shop, host, 29_001).await.contains("reached"), "{host}");
    }
    assert_eq!((service.came(), beside.came()), (6, 0));
    let shown = platform.cli(&["config", "show"]).await.stdout;
    assert!(!shown.contains("hidden-key"), "{shown}");
}

#[tokio::test]
async fn a_link_that_the_owner_did_not_grant_is_refused_with_what_to_add() {
    let platform = Platform::configured(&config("messages", "http", 9, "apps = [\"board\"]")).await;
    let shop = platform.app("shop").await;
    for (service, message, hint) in [
        ("messages", "the app `shop` may not use the service `messages`", "apps = [\"board\", \"shop\"]"),
        ("cache", "no service `cache` is there", "[[service]] name = \"cache\""),
    ] {
        let refused = shop.attempt(&server(&format!("[[link]]\nservice = \"{service}\"\n"))).await;
        assert_eq!(refused.state, DeploymentState::Failed);
        let failure = refused.failure.unwrap();
        assert_eq!(failure.step, "link");
        assert!(failure.message.contains(message), "{failure:?}");
        assert!(failure.hint.clone().unwrap_or_default().contains(hint), "{failure:?}");
    }
}

#[tokio::test]
async fn what_its_owner_sets_for_an_app_wins_over_its_links() {
    if !skip::unless_one_network("links to services on this machine") {
        return;
    }
    let service = Service::start().await;
    let settings = config("cache", "redis", service.port, "apps = [\"*\"]").replace("http://", "redis://");
    let platform = Platform::configured(&settings).await;
    let app = platform.app("shop").await;
    app.set_env("REDIS_URL", "redis://elsewhere").await;
    app.deploy(&server("[[link]]\nservice = \"cache\"\n")).await;
    assert_eq!(says(&app, "/env?name=REDIS_URL").await, "redis://elsewhere");
    assert_eq!(says(&app, "/env?name=CACHE_URL").await, "redis://127.0.0.1:29001");
    assert!(connects(&app, "127.0.0.1", 29_001).await.contains("reached"));
}

//! Pages of the edge's own.

use skylift_model::DeploymentState;

use crate::dsl::{id, server, site};

const BROWSER: (&str, &str) = ("accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8");

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_at_the_bare_domain_gets_a_page_and_programs_the_control_plane() {
    let server = server().app("secret-app", site().file("index.html", "hi")).start().await;
    let page = server.get_with("localhost:8080", "/", &[BROWSER]).await;
    assert_eq!((page.status, page.header("content-type")), (200, Some("text/html; charset=utf-8")));
    for told in ["skylift deploy", "skylift login http://localhost:8080", "/v1/openapi.json"] {
        assert!(page.text().contains(told), "{told} in {}", page.text());
    }
    assert!(!page.text().contains("secret-app"), "what runs here is nobody's business");
    assert!(page.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    let head = server.head("localhost", "/", &[BROWSER]).await;
    assert_eq!((head.status, head.body.len()), (200, 0));

    for (path, accept) in [("/", "*/*"), ("/", "application/json"), ("/v1/apps", BROWSER.1)] {
        let answer = server.get_with("localhost", path, &[("accept", accept)]).await;
        assert!(answer.text().starts_with(&format!("control {path} ")), "{path} {accept}: {}", answer.short());
    }
    let post =
        server.send("POST / HTTP/1.1\r\nhost: localhost\r\naccept: text/html\r\ncontent-length: 0\r\n\r\n").await;
    assert!(post.text().starts_with("control / "), "{}", post.short());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deployment_that_is_not_served_tells_its_state_and_nothing_else() {
    let server = server().start().await;
    let host = format!("{}.localhost", id(5));
    for (state, status, says) in [
        (DeploymentState::Queued, 503, "queued"),
        (DeploymentState::Building, 503, "being built"),
        (DeploymentState::Deploying, 503, "about to be served"),
        (DeploymentState::Failed, 404, "failed"),
        (DeploymentState::Cancelled, 404, "cancelled"),
        (DeploymentState::Superseded, 404, "newer deployment"),
    ] {
        server.source.set_state(id(5), state);
        let page = server.get_with(&host, "/any/page", &[BROWSER]).await;
        assert_eq!((page.status, page.header("cache-control")), (status, Some("no-store")), "{state}");
        assert!(page.text().contains(says), "{state}: {}", page.text());
        let looks_again = page.text().contains("http-equiv=\"refresh\"");
        assert_eq!((looks_again, page.header("retry-after").is_some()), (status == 503, status == 503), "{state}");
        let json = server.get_with(&host, "/", &[("accept", "application/json")]).await;
        assert!(json.text().contains(if status == 503 { "unavailable" } else { "not_found" }), "{}", json.text());
    }
    server.source.fail(true);
    let unknown = server.get(&host, "/").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.text().contains("no longer kept"), "without the store nothing is known of it");
}

//! Which host a request reaches.

use skylift_model::route::{AppRoutes, RoutedDeployment};

use crate::dsl::{id, name, server, site};

/// Hosts that are not ours, as an attacker's page or proxy would send them.
const FOREIGN: &[&str] = &[
    "evil.example",
    "localhost.evil.example",
    "evil-localhost",
    "a.hello.localhost",
    "0.0.0.0",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "127.0.0.2",
    "127.1",
    "2130706433",
    "0x7f.1",
    "192.168.1.1",
    "169.254.169.254",
];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_bare_domain_and_the_own_address_reach_the_control_plane() {
    let server = server().start().await;
    for host in ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1", "127.0.0.1:8080"] {
        let answer = server.get(host, "/v1/apps").await;
        assert!(answer.text().starts_with("control /v1/apps 127.0.0.1 r-"), "{host}: {}", answer.short());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_name_of_the_platforms_own_reaches_the_control_plane_where_no_app_has_it() {
    let spec = || server().configure(|config| config.own_names = vec!["ai"]);
    let own = spec().app("hello", site().file("index.html", "hi")).start().await;
    for host in ["ai.localhost", "AI.LocalHost:8080", "ai.localhost."] {
        for path in ["/api/tags", "/"] {
            let answer = own.get(host, path).await;
            assert!(
                answer.text().starts_with(&format!("control(ai) {path} 127.0.0.1 r-")),
                "{host}: {}",
                answer.short()
            );
        }
    }
    assert!(own.get("localhost", "/v1/apps").await.text().starts_with("control /v1/apps"));
    for host in ["a.ai.localhost", "ai.evil.example", "ai"] {
        assert_eq!(own.get(host, "/").await.status, 421, "{host}");
    }
    assert_eq!(own.get("aii.localhost", "/").await.status, 404);
    let before = spec().app("ai", site().file("index.html", "an app")).start().await;
    assert_eq!(before.get("ai.localhost", "/").await.short(), "200 an app");
    assert_eq!(before.get("ai.localhost", "/api/tags").await.status, 404);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_hosts_never_reach_the_control_plane() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    for host in FOREIGN {
        let answer = server.get(host, "/").await;
        assert_eq!(answer.status, 421, "{host}");
        assert!(answer.text().contains("not served here"));
    }
    // The control: routers that look less closely would have let some of them in.
    assert!(
        FOREIGN.iter().any(|host| host.ends_with("localhost"))
            && FOREIGN.iter().any(|host| host.starts_with("localhost"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ambiguous_hosts_are_refused() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    for request in [
        "GET / HTTP/1.1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: hello.localhost\r\nhost: hello.localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost\r\nHost: hello.localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost:\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: hello.localhost, localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: user@localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: localhost:99999\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: [::1%25eth0]\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: h\u{e9}llo.localhost\r\n\r\n",
        "GET http://localhost/ HTTP/1.1\r\nhost: hello.localhost\r\n\r\n",
        "GET ftp://hello.localhost/ HTTP/1.1\r\nhost: hello.localhost\r\n\r\n",
    ] {
        assert_eq!(server.send(request).await.status, 400, "{request:?}");
    }
    let agrees = "GET http://HELLO.localhost:80/ HTTP/1.1\r\nhost: hello.localhost\r\n\r\n";
    assert_eq!(server.send(agrees).await.short(), "200 hi");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_about_the_client_are_not_believed() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    let claims =
        [("x-request-id", "r-evil"), ("x-forwarded-for", "1.2.3.4"), ("x-skylift-user", "owner"), ("accept", "*/*")];
    let answer = server.get_with("localhost", "/", &claims).await;
    assert!(answer.text().ends_with(" host,accept"), "{}", answer.text());
    let id = answer.header("x-request-id").unwrap();
    assert!(answer.text().contains(id), "the control plane was given the id that the client was");
    let site = server.get_with("hello.localhost", "/", &claims).await;
    assert!(site.header("x-request-id").is_some_and(|id| id.starts_with("r-") && id != "r-evil"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_that_a_declared_proxy_has_named_keeps_its_name() {
    let trusting = server().app("hello", site().file("index.html", "hi")).configure(|config| {
        config.trusted_proxies = vec!["127.0.0.0/8".parse().unwrap()];
    });
    let (trusting, other) =
        (trusting.start().await, server().app("hello", site().file("index.html", "hi")).start().await);
    let named = [("x-request-id", "r-0123456789abcdef")];
    // An odd request and a plain one: the strict implementation answers the former, the fast path may the latter.
    for (host, path) in [("localhost", "/"), ("hello.localhost", "/nothing"), ("hello.localhost", "/")] {
        let answer = trusting.get_with(host, path, &named).await;
        assert_eq!(answer.header("x-request-id"), Some("r-0123456789abcdef"), "{host}{path}");
        let answer = other.get_with(host, path, &named).await;
        assert_ne!(answer.header("x-request-id"), Some("r-0123456789abcdef"), "control: {host}{path}");
    }
    let twice = [("x-request-id", "r-0123456789abcdef"), ("x-request-id", "r-fedcba9876543210")];
    let answer = trusting.get_with("hello.localhost", "/", &twice).await;
    assert!(twice.iter().all(|(_, id)| answer.header("x-request-id") != Some(id)), "two names are none");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_said_clearly_to_people_and_programs() {
    let server = server().app("hello", site().file("index.html", "hi")).start().await;
    server.source.set(AppRoutes {
        app: name("empty"),
        generation: 1,
        live: None,
        deployments: vec![],
        instances: Vec::new(),
        stopped: false,
        share: None,
        net_in: Vec::new(),
    });
    server.change(&server.source.routes(&name("empty"))).await;
    for (host, says) in [
        ("nope.localhost".to_owned(), "no app called “nope”"),
        ("empty.localhost".into(), "nothing live yet"),
        (format!("{}.localhost", id(77)), "no longer kept"),
        ("d-nonsense.localhost".into(), "no longer kept"),
    ] {
        let page = server.get(&host, "/").await;
        assert_eq!((page.status, page.header("cache-control")), (404, Some("no-store")), "{host}");
        assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
        assert!(page.text().contains(says), "{host}: {}", page.text());
        assert!(!page.text().contains("http"), "the page needs nothing from elsewhere");
        let json = server.get_with(&host, "/", &[("accept", "application/json")]).await;
        assert_eq!((json.status, json.header("content-type")), (404, Some("application/json; charset=utf-8")));
        let envelope: serde_json::Value = serde_json::from_str(json.text()).unwrap();
        assert_eq!(envelope["error"]["code"], "not_found");
        assert!(envelope["error"]["hint"].as_str().is_some_and(|hint| !hint.is_empty()));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_hosts_each_reach_their_own_app() {
    let server = server().start().await;
    let mut artifacts = Vec::new();
    for number in 0..4 {
        artifacts.push(site().file("index.html", format!("site {number}")).store(&server.blobs).await);
    }
    for number in 0..10_000_u64 {
        let artifact = artifacts[(number % 4) as usize];
        let deployments = vec![RoutedDeployment::new(id(number), artifact)];
        let app = name(&format!("app-{number}"));
        server.source.set(AppRoutes {
            app,
            generation: 1,
            live: Some(id(number)),
            deployments,
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        });
    }
    // Fall behind on purpose: missed messages make the edge read everything again.
    for _ in 0..5000 {
        server.bus.publish(skylift_bus::Message::JobReady);
    }
    server.settle("app-9999").await;
    server.settle("app-0").await;
    assert!((0..10_000).all(|n| server.applied.generation(&name(&format!("app-{n}"))) == Some(1)));
    let mut client = server.client().await;
    for number in (0..10_000).step_by(97).chain([0, 1, 98, 99, 100, 101, 9_999]) {
        for host in
            [format!("app-{number}.localhost"), format!("APP-{number}.localhost."), format!("{}.localhost", id(number))]
        {
            let answer = client.ask("GET", &host, "/", &[]).await;
            assert_eq!(answer.short(), format!("200 site {}", number % 4), "{host}");
        }
    }
    assert_eq!(client.ask("GET", "app-10000.localhost", "/", &[]).await.status, 404);
}

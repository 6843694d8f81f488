//! Which app a host leads to: the same one however it is spelled and sent, and at any number of routes; and no app for what
//! only looks like one (threat 47).

use std::collections::HashMap;
use std::sync::Arc;

use skylift_blob::Blobs;
use skylift_model::route::{AppRoutes, RoutedDeployment};

use crate::dsl::http2::{Http2, Verdict, get};
use crate::dsl::{Client, FakeSource, Server, id, name, server, site};

/// How many routes there are: routers have been known to look otherwise from a hundred on.
const COUNTS: [u64; 4] = [1, 99, 101, 10_000];
const PORTS: [&str; 3] = ["", ":80", ":65535"];
/// What has a request leave the fast path.
const BY_THE_STRICT: (&str, &str) = ("if-match", "*");

/// Letters that some alphabets' rules take for others: k, s.
fn app(number: u64) -> String {
    format!("kiosk-{number}")
}

/// Every way to write a host that names it.
fn spellings(host: &str) -> Vec<String> {
    let mixed: String = host
        .char_indices()
        .map(|(at, letter)| if at % 2 == 0 { letter.to_ascii_uppercase() } else { letter })
        .collect();
    let cases = [host.to_owned(), host.to_ascii_uppercase(), mixed];
    let dotted = cases.iter().flat_map(|host| [host.clone(), format!("{host}.")]);
    dotted.flat_map(|host| PORTS.map(|port| format!("{host}{port}"))).collect()
}

/// What looks like a host to somebody who looks less closely.
fn twins(label: &str) -> Vec<String> {
    let host = format!("{label}.localhost");
    let mut twins: Vec<String> = [
        format!("www.{host}"),
        format!("{host}.evil.example"),
        format!("{label}localhost"),
        format!("{label}.localhos"),
        format!("x{host}"),
        format!("xn--{host}"),
        format!(".{host}"),
        format!("{host}.."),
        format!("{label}..localhost"),
        format!("{host}:"),
        format!("{host}:99999"),
        format!("{host}:+80"),
        format!("{host}:80:80"),
        format!("{host}.:"),
        format!("user@{host}"),
        format!("{host}, {host}"),
        format!("{host} {host}"),
        format!("{host}/"),
        format!("{host}\\"),
        format!("{host}%00"),
        format!("[{host}]"),
        format!("%6b{}", &host[1..]),
        format!("{label}\u{3002}localhost"),
        format!("{label}\u{ff0e}localhost"),
        format!("{label}\u{ad}.localhost"),
        format!("{label}\u{200d}.localhost"),
        format!("{host}\u{a0}"),
        format!("{label}.\u{24db}ocalhost"),
        format!("{label}.local\u{17f}host"),
        format!("{label}.localho\u{17f}t"),
    ]
    .into();
    // The sign for kelvin is a k where Unicode lowers it, the long s an S where it raises it.
    twins.extend(
        [('k', '\u{212a}'), ('s', '\u{17f}'), ('i', '\u{130}'), ('o', '\u{ff4f}')]
            .map(|(letter, twin)| format!("{}.localhost", label.replacen(letter, &twin.to_string(), 1))),
    );
    twins.retain(|twin| *twin != host);
    twins
}

fn is_asked_for(number: u64, count: u64) -> bool {
    number == 1 || number == count
}

async fn start(count: u64) -> Server {
    let (folder, source) = (tempfile::tempdir().unwrap(), Arc::new(FakeSource::default()));
    let blobs = Blobs::open(&folder.path().join("blobs")).unwrap();
    let other = site().file("index.html", "another").store(&blobs).await;
    for number in 1..=count {
        let own = site().file("index.html", app(number));
        let artifact = if is_asked_for(number, count) { own.store(&blobs).await } else { other };
        source.set(AppRoutes {
            app: name(&app(number)),
            generation: 1,
            live: Some(id(number)),
            deployments: vec![RoutedDeployment::new(id(number), artifact)],
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        });
    }
    server().on(folder, source).blobs(&blobs).start().await
}

/// Sends a request for each of these hosts in every form there is; each must be answered by the app.
async fn all_lead_to(server: &Server, host: &str, app: &str) {
    let mut client = server.client().await;
    let mut http2 = Http2::connect(server.address, &[]).await;
    for (number, spelled) in (0..).zip(spellings(host)) {
        for request in [
            format!("GET / HTTP/1.1\r\nhost: {spelled}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nHOST:{spelled}  \r\n{}: {}\r\n\r\n", BY_THE_STRICT.0, BY_THE_STRICT.1),
            format!("GET http://{spelled}/ HTTP/1.1\r\nhost: {spelled}\r\n\r\n"),
            format!("GET http://{host}/ HTTP/1.1\r\nhost: {spelled}\r\n\r\n"),
            format!("GET HTTPS://{spelled} HTTP/1.1\r\nhost: {host}\r\n\r\n"),
        ] {
            client.write(request.as_bytes()).await;
            assert_eq!(client.read("GET").await.short(), format!("200 {app}"), "{request:?}");
        }
        let stream = 1 + 4 * number;
        http2.ask(stream, &get(&spelled, "/")).await;
        assert_eq!(http2.body(stream).await, app.as_bytes(), "HTTP/2 :authority {spelled}");
        let both = [&get(host, "/")[..], &[("host", spelled.as_str())]].concat();
        http2.ask(stream + 2, &both).await;
        assert_eq!(http2.body(stream + 2).await, app.as_bytes(), "HTTP/2 :authority {host}, host {spelled}");
    }
}

/// Sends what only looks like a host; no app may answer.
async fn none_leads_to_an_app(server: &Server, label: &str) {
    let host = format!("{label}.localhost");
    for twin in twins(label) {
        for request in [
            format!("GET / HTTP/1.1\r\nhost: {twin}\r\n\r\n"),
            format!("GET / HTTP/1.1\r\nhost: {twin}\r\n{}: {}\r\n\r\n", BY_THE_STRICT.0, BY_THE_STRICT.1),
            format!("GET http://{twin}/ HTTP/1.1\r\nhost: {twin}\r\n\r\n"),
            format!("GET http://{twin}/ HTTP/1.1\r\nhost: {host}\r\n\r\n"),
            format!("GET http://{host}/ HTTP/1.1\r\nhost: {twin}\r\n\r\n"),
        ] {
            let answer = server.send(&request).await;
            assert!(matches!(answer.status, 400 | 404 | 421), "{request:?}: {}", answer.short());
        }
        let with_host = [&get(&host, "/")[..], &[("host", twin.as_str())]].concat();
        for headers in [get(&twin, "/"), with_host] {
            let mut http2 = Http2::connect(server.address, &[]).await;
            http2.ask(1, &headers).await;
            assert_ne!(http2.verdict(1).await, Verdict::Ok, "{headers:?}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_host_leads_to_one_app_however_it_is_spelled_and_sent() {
    for count in COUNTS {
        let server = start(count).await;
        for number in (1..=count).filter(|number| is_asked_for(*number, count)) {
            let app = app(number);
            all_lead_to(&server, &format!("{app}.localhost"), &app).await;
            all_lead_to(&server, &format!("{}.localhost", id(number)), &app).await;
        }
        // Twins of the last one: with all those before it that it might be taken for.
        none_leads_to_an_app(&server, &app(count)).await;
        let beyond = Client::connect(server.address).await.ask("GET", "kiosk-0.localhost", "/", &[]).await;
        assert_eq!(beyond.status, 404);
    }
}

/// Routers as they have been written: a map that is asked for the text as it came, and one that makes it the same "first".
#[test]
fn routers_that_look_less_closely_are_found_out() {
    let host = format!("{}.localhost", app(7));
    let routes = HashMap::from([(host.clone(), app(7))]);
    let as_it_came = |text: &str| routes.get(text).cloned();
    let lowered = |text: &str| {
        let name = text.rsplit('@').next()?.split(':').next()?.trim().trim_matches('.');
        routes.get(&name.to_lowercase()).cloned()
    };
    let missed = |router: &dyn Fn(&str) -> Option<String>| {
        spellings(&host).iter().filter(|spelled| router(spelled) != Some(app(7))).count()
    };
    let misled =
        |router: &dyn Fn(&str) -> Option<String>| twins(&app(7)).iter().filter(|twin| router(twin).is_some()).count();
    assert!(missed(&as_it_came) > 15, "{}", missed(&as_it_came));
    assert!(missed(&lowered) == 0 && misled(&lowered) >= 6, "{}", misled(&lowered));
}

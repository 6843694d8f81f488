//! Web cache deception and poisoning: a page for one visitor that is made to look like a file, and answers that one visitor's
//! request has spoiled, are nobody else's.

use std::collections::HashSet;

use crate::dsl::origin::{Origin, Reply, answer, ok};
use crate::dsl::{Answer, Server, server, site};

/// An answer that says nothing of being kept, which is then guessed.
const GUESSED: &str = "Last-Modified: Thu, 01 Jan 2015 00:00:00 GMT\nContent-Type: text/css";

/// Spellings that another server may take for `/account`, and a cache that goes by endings for a file.
const SPELLINGS: &[&str] = &[
    "/account",
    "/account/",
    "/account/x.css",
    "/account/.css",
    "/account//x.css",
    "/account;.js",
    "/account;x=.css",
    "/account%3B.js",
    "/account%0a.css",
    "/account%0d%0ax.css",
    "/account%00.css",
    "/account%20.css",
    "/account%23.css",
    "/account%3F.css",
    "/account?.css",
    "/account?x=/y.css",
    "/account%2Fx.css",
    "/account%2f..%2fx.css",
    "/account%252Fx.css",
    "/account%5Cx.css",
    "/account/..%2fx.css",
    "/account/%2e%2e/x.css",
    "/accoun%74",
    "/Account",
    "/static/..%2faccount",
    "/static/%2e%2e/account",
    "/x.css%2f..%2faccount",
];

/// An edge that keeps the answers of this host.
async fn before(origin: &Origin) -> Server {
    let address = origin.address;
    let rules = format!("/* http://{address}/:splat 200\n");
    let server = server().app("shop", site().keeping().redirects(&rules)).configure(move |config| {
        config.proxy.allow = vec![address.to_string().parse().unwrap()];
    });
    server.start().await
}

async fn get(server: &Server, path: &str, fields: &[(&str, &str)]) -> Answer {
    server.get_with("shop.localhost", path, fields).await
}

fn is_hit(answer: &Answer) -> bool {
    answer.header("cache-status").is_some_and(|status| status.contains("; hit"))
}

#[tokio::test]
async fn a_page_for_one_visitor_is_given_to_nobody_else_whatever_it_looks_like() {
    // A program that answers every address below its account with the account of whoever asks.
    let origin = Origin::start(|request, _| ok(GUESSED, if request.contains("alice") { "alice" } else { "nobody" }));
    let origin = origin.await;
    let server = before(&origin).await;
    let (mut passed, mut kept) = (0, 0);
    for path in SPELLINGS {
        for credentials in [("cookie", "session=alice"), ("authorization", "Bearer alice")] {
            let hers = get(&server, path, &[credentials]).await;
            let theirs = get(&server, path, &[]).await;
            assert_eq!(hers.status, theirs.status, "{path}");
            if hers.status == 400 {
                continue;
            }
            assert_eq!((hers.text(), theirs.text()), ("alice", "nobody"), "{path}");
            // The control: without credentials the same is kept, and she has her own all the same.
            kept += usize::from(is_hit(&get(&server, path, &[]).await));
            assert_eq!(get(&server, path, &[credentials]).await.text(), "alice", "{path}");
            passed += 1;
        }
    }
    assert!(passed >= 20 && kept == passed, "{kept} of {passed} kept");
    let asked = origin.requests().concat().to_lowercase();
    assert!(!["%0a", "%0d", "%00", "%5c"].iter().any(|escape| asked.contains(escape)), "they are 400 and go nowhere");
}

#[tokio::test]
async fn every_spelling_has_an_answer_of_its_own() {
    let origin = Origin::start(|_, number| ok(GUESSED, &number.to_string())).await;
    let server = before(&origin).await;
    let mut seen = HashSet::new();
    for path in SPELLINGS {
        let first = get(&server, path, &[]).await;
        if first.status == 400 {
            continue;
        }
        assert!(seen.insert(first.text().to_owned()), "{path} has the answer of another: {}", first.text());
    }
    for path in SPELLINGS {
        let again = get(&server, path, &[]).await;
        assert!(again.status == 400 || is_hit(&again) && seen.contains(again.text()), "{path}: {again:?}");
    }
    assert_eq!(seen.len(), origin.asked(), "and all of them were kept");
}

#[tokio::test]
async fn the_head_of_what_is_not_kept_is_not_kept_as_the_whole() {
    let minute = "Cache-Control: max-age=60";
    let origin = Origin::start(move |request, number| match request.starts_with("HEAD") {
        true => Reply::Say(format!("HTTP/1.1 200 OK\r\n{minute}\r\nContent-Length: 5\r\n\r\n").into_bytes()),
        false => ok(minute, &format!("get {number}")),
    });
    let origin = origin.await;
    let server = before(&origin).await;
    for _ in 0..2 {
        let head = server.head("shop.localhost", "/x", &[]).await;
        assert_eq!((head.status, head.body.len(), is_hit(&head)), (200, 0, false));
    }
    assert_eq!(get(&server, "/x", &[]).await.text(), "get 3");
    assert_eq!(get(&server, "/x", &[]).await.text(), "get 3");
    let head = server.head("shop.localhost", "/x", &[]).await;
    assert_eq!((head.header("content-length"), is_hit(&head)), (Some("5"), true), "of what is kept, it is");
    assert_eq!(origin.asked(), 3);
}

#[tokio::test]
async fn what_one_request_is_refused_or_led_to_is_not_what_others_get() {
    // A program that stumbles over a field no cache knows of.
    let origin = Origin::start(|request, number| {
        let request = request.to_lowercase();
        let (say, guessed) =
            (|status: &str| answer(status, "", "spoiled"), |status: &str| answer(status, GUESSED, "spoiled"));
        match () {
            () if request.contains("x-bad: 400") => guessed("400 Bad Request"),
            () if request.contains("x-bad: 431") => guessed("431 Request Header Fields Too Large"),
            () if request.contains("x-bad: 500") => guessed("500 Internal Server Error"),
            () if request.contains("x-bad: 404") => say("404 Not Found"),
            () if request.contains("x-bad: 405") => say("405 Method Not Allowed"),
            () if request.contains("x-bad: 302") => {
                answer("302 Found", &format!("{GUESSED}\nLocation: //evil"), "spoiled")
            }
            () if request.contains("x-bad: 301") => answer("301 Moved Permanently", "Location: //evil", "spoiled"),
            () => ok("Cache-Control: max-age=60", &format!("fine {number}")),
        }
    });
    let origin = origin.await;
    let server = before(&origin).await;
    for status in ["400", "431", "500", "404", "405", "302", "301"] {
        let path = format!("/{status}");
        for _ in 0..2 {
            let spoiled = get(&server, &path, &[("x-bad", status)]).await;
            assert_eq!((spoiled.status.to_string().as_str(), spoiled.text()), (status, "spoiled"));
        }
        let fine = get(&server, &path, &[]).await;
        assert!(fine.text().starts_with("fine "), "{status}: {fine:?}");
        let spoils_nothing = get(&server, &path, &[("x-bad", status)]).await;
        assert_eq!(spoils_nothing.text(), fine.text(), "the control: what is kept is given, whatever else is asked");
    }
}

#[tokio::test]
async fn a_redirect_names_the_host_that_was_asked_for_and_no_other() {
    // A program that believes what proxies say of the host.
    let origin = Origin::start(|request, _| {
        let request = request.to_lowercase();
        let named = |name: &str| request.lines().find_map(|line| line.strip_prefix(name).map(str::to_owned));
        let host = named("x-forwarded-host: ").or_else(|| named("host: ")).unwrap_or_default();
        answer("301 Moved Permanently", &format!("Cache-Control: max-age=60\nLocation: https://{host}/new"), "")
    });
    let origin = origin.await;
    let server = before(&origin).await;
    for field in ["x-forwarded-host", "x-host", "forwarded", "x-forwarded-server"] {
        let path = format!("/{field}");
        let spoiling = get(&server, &path, &[(field, "evil")]).await;
        let given = get(&server, &path, &[]).await;
        for answer in [spoiling, given] {
            assert!(
                answer.status == 301 && !answer.header("location").unwrap().contains("evil"),
                "{field}: {answer:?}"
            );
        }
    }
    assert_eq!(origin.asked(), 4, "the control: they were kept");
}

#[tokio::test]
async fn answers_that_vary_are_given_to_those_who_ask_alike() {
    let origin = Origin::start(|request, number| {
        let request = request.to_lowercase();
        let language = ["de", "en"].into_iter().find(|tag| request.contains(&format!("accept-language: {tag}")));
        let vary = if request.contains("get /all") { "*" } else { "Accept-Language, X-Device" };
        ok(&format!("Cache-Control: max-age=60\nVary: {vary}"), &format!("{} {number}", language.unwrap_or("none")))
    });
    let origin = origin.await;
    let server = before(&origin).await;
    let asks: &[(&[(&str, &str)], &str)] = &[
        (&[("accept-language", "de")], "de 1"),
        (&[("accept-language", "en")], "en 2"),
        (&[("accept-language", "en"), ("x-device", "phone")], "en 3"),
        (&[], "none 4"),
    ];
    for round in 0..3 {
        for (fields, expected) in asks {
            let answer = get(&server, "/x", fields).await;
            assert_eq!((answer.text(), is_hit(&answer)), (*expected, round > 0), "{fields:?}");
            assert_eq!(answer.header("vary"), Some("Accept-Language, X-Device"), "caches beyond us are told as well");
        }
    }
    for number in 5..8 {
        assert_eq!(get(&server, "/all", &[]).await.text(), format!("none {number}"), "nobody asks alike");
    }
}

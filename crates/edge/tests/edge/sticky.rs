//! Visitors who stay with an instance.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skylift_edge::EdgeConfig;
use tokio::sync::Semaphore;

use crate::dsl::origin::{Origin, Reply, ok};
use crate::dsl::{Answer, Server, id, instance, name, server};

/// Two instances that say who they are, by their number, and never answer whoever asks for `/hold`.
async fn two() -> [Origin; 2] {
    [numbered("0").await, numbered("1").await]
}

async fn numbered(number: &'static str) -> Origin {
    let never = Arc::new(Semaphore::new(0));
    Origin::start(move |request, _| match request.starts_with("GET /hold ") {
        true => Reply::Wait(never.clone(), Vec::new()),
        false => ok("", number),
    })
    .await
}

fn addresses(origins: &[Origin; 2]) -> [SocketAddr; 2] {
    [origins[0].address, origins[1].address]
}

/// Asks with a cookie, beside one of the app's own.
async fn ask(server: &Server, cookie: &str) -> Answer {
    let cookies = format!("theme=dark; {cookie}");
    let answer = server.get_with("shop.localhost", "/", &[("cookie", &cookies)]).await;
    assert_eq!(answer.status, 200);
    answer
}

/// The cookie of an answer, as a client sends it.
fn cookie(answer: &Answer) -> String {
    answer.header("set-cookie").expect("a cookie").split(';').next().unwrap().to_owned()
}

#[tokio::test]
async fn a_visitor_stays_with_the_instance_that_answered_first() {
    let origins = two().await;
    let server = server().program("shop", &addresses(&origins)).sticky().start().await;
    let first = server.get("shop.localhost", "/").await;
    let set = first.header("set-cookie").expect("a cookie").to_owned();
    assert!(set.starts_with("skylift-instance=i-"), "{set}");
    assert!(set.ends_with("; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax"), "{set}");
    for _ in 0..30 {
        let answer = ask(&server, &cookie(&first)).await;
        assert_eq!((answer.text(), answer.header("set-cookie")), (first.text(), None));
    }
    // Control: who has no cookie is answered by either.
    let other = other_than(&server, first.text()).await;
    assert_ne!(cookie(&other), cookie(&first));
    assert_eq!(ask(&server, &cookie(&other)).await.text(), other.text());
}

/// The answer of the other instance: each new visitor is answered by the one that has less to do for its pace, so the first is
/// given ever more.
async fn other_than(server: &Server, text: &str) -> Answer {
    let mut held = Vec::new();
    for _ in 0..200 {
        let answer = server.get("shop.localhost", "/").await;
        if answer.text() != text {
            return answer;
        }
        let mut waits = server.client().await;
        waits.write(b"GET /hold HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
        held.push(waits);
    }
    panic!("the other instance never answers");
}

#[tokio::test]
async fn without_the_setting_nobody_is_kept() {
    let origins = two().await;
    let server = server().program("shop", &addresses(&origins)).start().await;
    assert_eq!(server.get("shop.localhost", "/").await.header("set-cookie"), None);
}

#[tokio::test]
async fn a_cookie_that_was_not_signed_here_is_ignored_and_another_one_set() {
    let origins = two().await;
    let server = server().program("shop", &addresses(&origins)).sticky().start().await;
    let first = server.get("shop.localhost", "/").await;
    let other = other_than(&server, first.text()).await;
    let (own, its) = (cookie(&first), cookie(&other));
    let signed = |cookie: &str| cookie.rsplit_once('~').map(|(claim, tag)| (claim.to_owned(), tag.to_owned())).unwrap();
    // The other's claim with the own signature.
    let swapped = format!("{}~{}", signed(&its).0, signed(&own).1);
    let longer = format!("{}9~{}", signed(&own).0, signed(&own).1);
    for forged in [&swapped, &longer, &format!("{own}0"), "skylift-instance=", "skylift-instance=~~"] {
        assert!(ask(&server, forged).await.header("set-cookie").is_some(), "{forged}");
    }
    assert_eq!(ask(&server, &own).await.header("set-cookie"), None, "the one that they were made of");
}

#[tokio::test]
async fn an_instance_that_drains_or_is_gone_is_left_for_the_other() {
    let origins = two().await;
    let server = server().program("shop", &addresses(&origins)).sticky().start().await;
    let kept = cookie(&server.get("shop.localhost", "/").await);
    let was = ask(&server, &kept).await.text().to_owned();
    let number: u64 = was.parse().unwrap();
    let whole = server.source.routes(&name("shop"));
    let leaving = |is_gone: bool| {
        let mut routes = whole.clone();
        routes.generation = if is_gone { 3 } else { 2 };
        let own = instance(&id(100), number);
        if is_gone {
            routes.instances.retain(|one| one.id != own);
        }
        routes.instances.iter_mut().filter(|one| one.id == own).for_each(|one| one.draining = true);
        routes
    };
    for is_gone in [false, true] {
        let routes = leaving(is_gone);
        server.source.set(routes.clone());
        server.change(&routes).await;
        let answer = ask(&server, &kept).await;
        assert_ne!(answer.text(), was);
        assert_eq!(ask(&server, &cookie(&answer)).await.header("set-cookie"), None);
    }
}

#[tokio::test]
async fn an_instance_that_dies_without_a_word_is_left_for_the_other() {
    let dead = Arc::new(AtomicUsize::new(usize::MAX));
    let origin = |number: usize| {
        let dead = dead.clone();
        Origin::start(move |_, _| match dead.load(Ordering::SeqCst) == number {
            true => Reply::End(Vec::new()),
            false => ok("", &number.to_string()),
        })
    };
    let origins = [origin(0).await, origin(1).await];
    let server = server().program("shop", &addresses(&origins)).sticky().start().await;
    let kept = cookie(&server.get("shop.localhost", "/").await);
    let was = ask(&server, &kept).await.text().to_owned();
    dead.store(was.parse().unwrap(), Ordering::SeqCst);
    let answer = ask(&server, &kept).await;
    assert_ne!(answer.text(), was);
    assert_eq!(ask(&server, &cookie(&answer)).await.header("set-cookie"), None);
}

#[tokio::test]
async fn over_https_the_cookie_stays_there() {
    let origins = two().await;
    let behind = |config: &mut EdgeConfig| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let server = server().program("shop", &addresses(&origins)).sticky().configure(behind).start().await;
    let answer = server.get_with("shop.localhost", "/", &[("x-forwarded-proto", "https")]).await;
    assert!(answer.header("set-cookie").unwrap().ends_with("; HttpOnly; SameSite=Lax; Secure"));
    let plain = server.get("shop.localhost", "/").await;
    assert!(!plain.header("set-cookie").unwrap().contains("Secure"));
}

//! Requests to apps that run.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use skylift_edge::EdgeConfig;
use tokio::sync::Semaphore;

use crate::dsl::http2::{DATA, Http2, RST_STREAM, frame, get};
use crate::dsl::origin::{Origin, Reply, bytes};
use crate::dsl::{Server, id, instance, name, server};

const FIRST: &[u8] = b"D\r\ndata: first\n\n\r\n";
const SECOND: &[u8] = b"E\r\ndata: second\n\n\r\n";

/// An instance that sends two events, each when the gate lets it, and then is quiet.
async fn events(gate: &Arc<Semaphore>) -> Origin {
    let gate = gate.clone();
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n";
    Origin::start(move |_, _| Reply::Each(gate.clone(), vec![[&head[..], FIRST].concat(), SECOND.to_vec()])).await
}

async fn before(origin: &Origin) -> Server {
    let quick = |config: &mut EdgeConfig| config.limits.write_timeout = Duration::from_millis(700);
    server().program("shop", &[origin.address]).configure(quick).start().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_event_passes_at_once_and_a_client_that_leaves_is_noticed_though_nothing_is_said() {
    let gate = Arc::new(Semaphore::new(1));
    let origin = events(&gate).await;
    let server = before(&origin).await;
    let mut client = server.client().await;
    client.write(b"GET /events HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
    assert_eq!(client.read_head().await.header("content-type"), Some("text/event-stream"));
    assert_eq!(client.read_body(FIRST.len()).await, FIRST);
    gate.add_permits(1);
    assert_eq!(client.read_body(SECOND.len()).await, SECOND);
    drop(client);
    origin.is_left().await;

    gate.add_permits(1);
    let mut client = Http2::connect(server.address, &[]).await;
    client.ask(1, &get("shop.localhost", "/events")).await;
    while client.next().await.expect("an event").kind != DATA {}
    client.send(&frame(RST_STREAM, 0, 1, &8_u32.to_be_bytes())).await;
    gate.add_permits(1);
    origin.is_left().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_leaves_is_noticed_whatever_it_has_said_ahead() {
    let gate = Arc::new(Semaphore::new(0));
    let origin = events(&gate).await;
    let server = before(&origin).await;
    for odd in ["", "Keep-Alive: x\r\n"] {
        for ahead in [1, 10, 1000, 40_000] {
            gate.add_permits(1);
            let mut client = server.client().await;
            client.write(format!("GET /events HTTP/1.1\r\nHost: shop.localhost\r\n{odd}\r\n").as_bytes()).await;
            client.read_head().await;
            client.read_body(FIRST.len()).await;
            client.write(&vec![b'G'; ahead]).await;
            drop(client);
            gate.add_permits(1);
            origin.is_left().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_is_gone_before_its_answer_begins_is_noticed() {
    let asked = Arc::new(Semaphore::new(0));
    let tells = asked.clone();
    let origin = Origin::start(move |_, _| {
        tells.add_permits(1);
        Reply::Stall(Vec::new())
    })
    .await;
    let server = server().program("shop", &[origin.address]).start().await;
    let mut client = server.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
    asked.acquire().await.unwrap().forget();
    client.reset();
    origin.is_over().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_has_only_said_all_it_had_to_say_gets_its_answer() {
    let gate = Arc::new(Semaphore::new(0));
    let waits = gate.clone();
    let origin = Origin::start(move |_, _| Reply::Wait(waits.clone(), bytes("200 OK", "", "late"))).await;
    let server = before(&origin).await;
    let mut client = server.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
    client.end().await;
    while origin.asked() == 0 {
        tokio::task::yield_now().await;
    }
    gate.add_permits(1);
    assert_eq!(client.read("GET").await.short(), "200 late");
}

#[tokio::test]
async fn a_connection_that_nobody_asks_on_again_is_closed_though_its_instance_keeps_it() {
    let origin = Origin::start(|_, _| Reply::Say(bytes("200 OK", "", "kept"))).await;
    let server = server().program("shop", &[origin.address]).start().await;
    assert_eq!(server.get("shop.localhost", "/").await.short(), "200 kept");
    origin.is_over().await;
    assert_eq!(server.get("shop.localhost", "/").await.short(), "200 kept", "the next one opens its own");
}

#[tokio::test]
async fn a_status_without_a_meaning_is_no_answer() {
    let origin = Origin::start(|request, _| {
        let status = request.split(' ').nth(1).unwrap().trim_start_matches('/').to_owned();
        let early = "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n";
        Reply::Say([early.as_bytes(), &bytes(&format!("{status} Of Its Own"), "", "said")].concat())
    })
    .await;
    // Each thread has connections of its own.
    let alone = |config: &mut EdgeConfig| config.threads = 1;
    let server = server().program("shop", &[origin.address]).configure(alone).start().await;
    for status in [200, 299, 404, 451, 500, 503, 599] {
        let answer = server.get("shop.localhost", &format!("/{status}")).await;
        assert_eq!(answer.short(), format!("{status} said"), "the interim ones stay behind");
    }
    for status in [600, 666, 999] {
        let answer = server.get("shop.localhost", &format!("/{status}")).await;
        assert_eq!(answer.status, 502);
        assert!(answer.text().contains("did not answer as it should"), "{}", answer.text());
    }
    let connections = origin.connections();
    assert_eq!(server.get("shop.localhost", "/200").await.status, 200);
    assert_eq!(origin.connections(), connections + 1, "what answered so is not asked by the same connection again");
}

/// The head of an answer and a part of its body, so many bytes short of its end.
fn short_of(size: usize, missing: usize) -> Vec<u8> {
    let mut bytes = bytes("200 OK", "", &"x".repeat(size));
    bytes.truncate(bytes.len() - missing);
    bytes
}

/// Two instances, of which the first that is asked dies in the middle of its answer, so many bytes short of its end.
async fn one_dies(size: usize, missing: usize) -> ([Origin; 2], Server) {
    let asked = Arc::new(AtomicUsize::new(0));
    let origin = || {
        let asked = asked.clone();
        Origin::start(move |_, _| match asked.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::End(short_of(size, missing)),
            _ => Reply::Say(short_of(size, 0)),
        })
    };
    let origins = [origin().await, origin().await];
    let server = server().program("shop", &[origins[0].address, origins[1].address]).start().await;
    (origins, server)
}

const SMALL: usize = 64 << 10;

#[tokio::test]
async fn an_instance_that_dies_in_a_small_answer_has_not_answered() {
    for (size, missing) in [(5860, 5860), (5860, 1), (SMALL, 1), (1, 1)] {
        let (origins, server) = one_dies(size, missing).await;
        let answer = server.get("shop.localhost", "/").await;
        assert_eq!((answer.status, answer.body.len()), (200, size));
        assert_eq!(origins.iter().map(Origin::asked).sum::<usize>(), 2, "the other one was asked");
    }
}

#[tokio::test]
async fn what_ends_every_instance_that_it_is_sent_to_ends_two_and_never_a_third() {
    for cut in [Vec::new(), short_of(100, 50)] {
        let mut origins = Vec::new();
        for _ in 0..4 {
            let cut = cut.clone();
            origins.push(Origin::start(move |_, _| Reply::End(cut.clone())).await);
        }
        let addresses: Vec<_> = origins.iter().map(|origin| origin.address).collect();
        let server = server().program("shop", &addresses).start().await;
        assert_eq!(server.get("shop.localhost", "/").await.status, 502);
        let asked: Vec<_> = origins.iter().map(Origin::asked).collect();
        assert_eq!((asked.iter().sum::<usize>(), asked.iter().max()), (2, Some(&1)), "once more, and of another one");
    }
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_asked_for_twice_and_a_cut_answer_to_it_is_none() {
    let (origins, server) = one_dies(100, 50).await;
    let mut client = server.client().await;
    client.write(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    let answer = client.read("POST").await;
    assert_eq!(answer.status, 502);
    assert!(answer.text().contains("its instance ended"), "{}", answer.text());
    assert_eq!(origins.iter().map(Origin::asked).sum::<usize>(), 1);
}

#[tokio::test]
async fn what_may_have_had_an_effect_is_not_sent_to_an_instance_that_has_hung_up() {
    let origin = Origin::start(|_, _| Reply::End(bytes("200 OK", "", "said"))).await;
    let server = server().program("shop", &[origin.address]).start().await;
    let mut client = server.client().await;
    for round in 0..200 {
        client.write(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2\r\n\r\nhi").await;
        assert_eq!(client.read("POST").await.short(), "200 said", "{round}");
        origin.is_over().await;
    }
    assert_eq!(origin.connections(), 200);
}

/// Control: larger ones are passed on as they come, and what is under way cannot be taken back.
#[tokio::test]
async fn a_large_answer_that_breaks_off_is_cut_and_never_ended() {
    let (origins, server) = one_dies(SMALL + 1, 1).await;
    let mut client = server.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
    assert_eq!(client.read_head().await.status, 200);
    assert_eq!(client.read_to_end().await.len(), SMALL, "all that came, and then the connection is closed");
    assert_eq!(origins.iter().map(Origin::asked).sum::<usize>(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_small_answer_that_takes_its_time_is_passed_on_as_it_comes() {
    let gate = Arc::new(Semaphore::new(1));
    let pieces = gate.clone();
    let origin = Origin::start(move |_, _| Reply::Each(pieces.clone(), vec![short_of(10, 5), b"yyyyy".to_vec()])).await;
    let server = server().program("shop", &[origin.address]).start().await;
    let mut client = server.client().await;
    client.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
    assert_eq!(client.read_head().await.header("content-length"), Some("10"));
    assert_eq!(client.read_body(5).await, b"xxxxx");
    gate.add_permits(1);
    assert_eq!(client.read_body(5).await, b"yyyyy");
}

/// An app of which one instance is known, and the routes with another in its place, which answers.
async fn only_one(
    reply: impl Fn(&str, usize) -> Reply + Send + Sync + 'static,
) -> ([Origin; 2], Server, skylift_model::route::AppRoutes) {
    let origins = [Origin::start(reply).await, Origin::start(|_, _| Reply::Say(bytes("200 OK", "", "new"))).await];
    let server = server().program("shop", &[origins[0].address, origins[1].address]).start().await;
    let both = server.source.routes(&name("shop"));
    let with = |generation, number| {
        let mut routes = both.clone();
        routes.generation = generation;
        routes.instances.retain(|one| one.id == instance(&id(100), number));
        routes
    };
    let (first, replaced) = (with(2, 0), with(3, 1));
    server.source.set(first.clone());
    server.change(&first).await;
    (origins, server, replaced)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_only_instance_died_of_is_answered_by_the_one_that_takes_its_place() {
    let (origins, server, replaced) = only_one(|_, _| Reply::End(Vec::new())).await;
    let asked = async {
        let mut client = server.client().await;
        client.write(b"GET / HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
        client.read("GET").await
    };
    let replace = async {
        while origins[0].asked() == 0 {
            tokio::task::yield_now().await;
        }
        server.source.set(replaced.clone());
        server.change(&replaced).await;
    };
    let (answer, ()) = tokio::join!(asked, replace);
    assert_eq!(answer.short(), "200 new");
    assert_eq!(origins[0].asked(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_may_have_had_an_effect_does_not_wait_for_another_instance() {
    let (origins, server, _) = only_one(|_, _| Reply::End(Vec::new())).await;
    let mut client = server.client().await;
    client.write(b"POST / HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2\r\n\r\nhi").await;
    assert_eq!(client.read("POST").await.status, 502);
    assert_eq!((origins[0].asked(), origins[1].asked()), (1, 0));
}

/// Control: where the instance lives, and what it does is to hang up, nobody comes in its place.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_instance_that_lives_and_hangs_up_is_not_waited_for_long() {
    let (origins, server, _) = only_one(|_, _| Reply::End(Vec::new())).await;
    let answer = server.get("shop.localhost", "/").await;
    assert_eq!(answer.status, 502);
    assert_eq!(origins[0].asked(), 1, "and is not asked twice");
}

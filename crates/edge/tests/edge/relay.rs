//! Plain requests to apps that run are passed on as they are; whatever is odd goes the way of the HTTP implementation. Both ways
//! the instance is asked the same, and the client is told the same: only `Keep-Alive`, which goes no further, tells them apart here.

use std::sync::Arc;

use skylift_edge::{EdgeConfig, Rate, Rates};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::dsl::origin::{Origin, Reply};
use crate::dsl::{Dice, Server, count, server};

/// What makes a request odd, and changes nothing else about it.
const ODD: &str = "Keep-Alive: timeout=5\r\n";

/// The head of an answer, in order, without what differs from answer to answer; and its body.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    head: Vec<String>,
    body: Vec<u8>,
    /// Whether the body came to its end.
    complete: bool,
}

/// What one request is told, whichever way it goes.
async fn told(server: &Server, method: &str, path: &str, fields: &str) -> Told {
    let mut client = server.client().await;
    client.write(format!("{method} {path} HTTP/1.1\r\nHost: shop.localhost\r\n{fields}\r\n").as_bytes()).await;
    client.end().await;
    let bytes = client.read_to_end().await;
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let text = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
    let passing = ["date: ", "x-request-id: ", "connection: "];
    let mut head: Vec<String> = text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    head.retain(|line| !passing.iter().any(|name| line.starts_with(name)));
    // What is behind the code means nothing (RFC 9112 §4).
    head[0].truncate("http/1.1 200".len());
    if ["http/1.1 204", "http/1.1 304"].contains(&head[0].as_str()) {
        // Whether the length of the body that there is not is told, nobody minds.
        head.retain(|line| !line.starts_with("content-length: "));
    }
    head[1..].sort();
    let (body, complete) = body(&head, &bytes[end..], method);
    Told { head, body, complete }
}

fn body(head: &[String], bytes: &[u8], method: &str) -> (Vec<u8>, bool) {
    if head.iter().any(|line| line == "transfer-encoding: chunked") && method != "HEAD" {
        return unchunked(bytes);
    }
    let length = head.iter().find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
    (bytes.to_vec(), method == "HEAD" || length.is_none_or(|length| length == bytes.len()))
}

fn unchunked(mut bytes: &[u8]) -> (Vec<u8>, bool) {
    let mut body = Vec::new();
    loop {
        let Some(line) = bytes.windows(2).position(|two| two == b"\r\n") else { return (body, false) };
        let size = usize::from_str_radix(std::str::from_utf8(&bytes[..line]).unwrap(), 16).unwrap();
        bytes = &bytes[line + 2..];
        if size == 0 {
            return (body, bytes == b"\r\n");
        }
        if bytes.len() < size + 2 {
            return (body, false);
        }
        body.extend_from_slice(&bytes[..size]);
        bytes = &bytes[size + 2..];
    }
}

/// An instance that answers `/N` with the Nth of these, and hangs up behind those that end where the connection does.
async fn answering(answers: Vec<Vec<u8>>) -> Origin {
    Origin::start(move |request, _| {
        let number = request.split(' ').nth(1).unwrap().trim_start_matches('/').parse::<usize>();
        let answer = number.ok().and_then(|number| answers.get(number)).cloned().unwrap_or_default();
        let head = String::from_utf8_lossy(&answer).split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        let ends = !head.contains("content-length") && !head.contains("chunked") || head.contains("close");
        if ends { Reply::End(answer) } else { Reply::Say(answer) }
    })
    .await
}

fn lines(text: &str) -> Vec<u8> {
    text.replace('\n', "\r\n").into_bytes()
}

/// Answers of every kind of framing, and with every kind of field.
fn answers() -> Vec<Vec<u8>> {
    let texts = [
        "HTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 Of Its Own\nContent-Length: 0\n\n",
        "HTTP/1.1 299\nContent-Length: 2\n\nhi",
        "HTTP/1.0 200 OK\nContent-Length: 2\n\nhi",
        "HTTP/1.0 200 OK\n\nto the end",
        "HTTP/1.1 200 OK\n\nto the end",
        "HTTP/1.1 200 OK\nConnection: close\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nConnection: X-Mine, keep-alive\nX-Mine: 1\nX-Theirs: 2\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nConnection: Set-Cookie\nSet-Cookie: a=b\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n",
        "HTTP/1.1 200 OK\nTransfer-Encoding: Chunked\n\n0002;why=so\nhi\n5\nthere\n0\nSum: x\n\n",
        "HTTP/1.1 204 No Content\n\n",
        "HTTP/1.1 304 Not Modified\nETag: \"x\"\n\n",
        "HTTP/1.1 304 Not Modified\nContent-Length: 5\n\n",
        "HTTP/1.1 100 Continue\n\nHTTP/1.1 103 Early Hints\nLink: </x>\n\nHTTP/1.1 200 OK\nContent-Length: 2\n\nhi",
        "HTTP/1.1 101 Switching Protocols\nUpgrade: x\nContent-Length: 0\n\n",
        "HTTP/1.1 600 Beyond\nContent-Length: 0\n\n",
        "HTTP/1.1 200 OK\nDate: Sun, 06 Nov 1994 08:49:37 GMT\nServer: theirs\nX-Request-Id: theirs\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nAlt-Svc: h3=\":443\"\nKeep-Alive: x\nProxy-Authenticate: x\nUpgrade: h2c\nTE: x\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nSet-Cookie: a=1; Path=/\nSet-Cookie: b=2; Domain=localhost\nSet-Cookie: c=3; domain=shop.localhost\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nX-Robots-Tag: all\nVary: a\nVary: b\nContent-Length: 2\n\nhi",
        "HTTP/1.1 500 Oh\nContent-Type: text/plain\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nContent-Length: 2\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n",
        "HTTP/1.1 200 OK\nContent-Length: 2\nContent-Length: 3\n\nhi!",
        "HTTP/1.1 200 OK\nContent-Length: minus\n\nhi",
        "HTTP/1.1 200 OK\nContent-Length: 2, 2\n\nhi",
        "HTTP/1.1 200 OK\nContent-Length: +2\n\nhi",
        "HTTP/1.1 200 OK\nContent-Length: 18446744073709551616\n\nhi",
        "HTTP/1.1 200 OK\nTransfer-Encoding: gzip, chunked\n\n2\nhi\n0\n\n",
        "HTTP/1.1 200 OK\nTransfer-Encoding: xchunked\n\n2\nhi\n0\n\n",
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\nTransfer-Encoding: chunked\n\n2\nhi\n0\n\n",
        "HTTP/1.1 200 OK\nTransfer-Encoding: identity\n\nhi",
        "HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n2  \nhi\n3 ;x=y\nyou\n0 \n\n",
        "HTTP/1.1 200 OK\n Folded: x\nContent-Length: 2\n\nhi",
        "HTTP/1.1 200 OK\nBad Name: x\nContent-Length: 2\n\nhi",
        "no answer at all\n\n",
        "",
    ];
    let big = |length: usize| {
        [&lines(&format!("HTTP/1.1 200 OK\nContent-Length: {length}\n\n"))[..], &vec![b'x'; length]].concat()
    };
    let in_chunks = {
        let chunk = [b"2710\r\n".to_vec(), vec![b'y'; 10_000], b"\r\n".to_vec()].concat();
        [&b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"[..], &chunk.repeat(30), b"0\r\n\r\n"].concat()
    };
    let to_the_end = [&b"HTTP/1.1 200 OK\r\n\r\n"[..], &vec![b'z'; 300_000]].concat();
    let long_name = lines(&format!("HTTP/1.1 200 OK\n{}: x\nContent-Length: 2\n\nhi", "Long-".repeat(40)));
    let long_head = lines(&format!("HTTP/1.1 200 OK\nLong: {}\nContent-Length: 2\n\nhi", "x".repeat(50_000)));
    let longer_head = lines(&format!("HTTP/1.1 200 OK\nLong: {}\nContent-Length: 2\n\nhi", "x".repeat(80_000)));
    let longs = [
        big(1),
        big(20_000),
        big(65_536),
        big(65_537),
        big(1_000_000),
        in_chunks,
        to_the_end,
        long_name,
        long_head,
        longer_head,
    ];
    texts.iter().map(|text| lines(text)).chain(longs).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_way_a_request_goes_the_client_is_told_the_same() {
    let answers = answers();
    let origin = answering(answers.clone()).await;
    let server = server().program("shop", &[origin.address]).start().await;
    for (number, answer) in answers.iter().enumerate() {
        let shown = String::from_utf8_lossy(&answer[..answer.len().min(200)]);
        for method in ["GET", "HEAD"] {
            let path = format!("/{number}");
            // What an instance says behind a HEAD that none should be answered with is nobody's to read.
            if method == "HEAD" && !answer.ends_with(b"\r\n\r\n") {
                continue;
            }
            let plain = told(&server, method, &path, "").await;
            let odd = told(&server, method, &path, ODD).await;
            assert_eq!(plain.head, odd.head, "{method} {shown}");
            assert_eq!((plain.body == odd.body, plain.complete), (true, odd.complete), "{method} {shown}");
        }
    }
}

/// The fields that requests are made of.
const FIELDS: [&str; 47] = [
    "Accept: */*",
    "Accept: text/html",
    "Accept-Encoding: gzip",
    "Authorization: Bearer abc",
    "Authorization: Bearer skylift_0123",
    "Cache-Control: no-cache",
    "CDN-Loop: other",
    "cdn_loop: x",
    "Connection: keep-alive",
    "Content.Length: 7",
    "content_length: 7",
    "Cookie: a=b",
    "Cookie: c=d",
    "Forwarded: for=6.6.6.6",
    "forwarded_: x",
    "Host_: evil",
    "ho-st: evil",
    "HTTP2_Settings: x",
    "If-None-Match: \"x\"",
    "keep_alive: x",
    "Origin: http://a",
    "Proxy: http://evil",
    "Proxy-Authorization: x",
    "Proxy-Authenticate: x",
    "Sec-Fetch-Mode: cors",
    "True-Client-IP: 6.6.6.6",
    "t-e: trailers",
    "transfer_encoding: chunked",
    "transfer---encoding: chunked",
    "trai.ler: x",
    "up-grade: h2c",
    "User-Agent: \u{e9}t\u{e9}",
    "X-Api-Key: k",
    "X-API-Key: skylift_0123",
    "X-Client-IP: 6.6.6.6",
    "X-Empty:",
    "X-Forwarded-For: 6.6.6.6",
    "x_forwarded_for: 6.6.6.6",
    "X-Forwarded-Proto: https",
    "X-Forwarded-Whatever: 1",
    "X.Forwarded.For: 6.6.6.6",
    "X*Real*IP: 6.6.6.6",
    "X-Forwarded: 6.6.6.6",
    "X-Real_IP: 6.6.6.6",
    "X-Request-ID: r-0123456789abcdef",
    "X-Skylift-User: root",
    "x_skylift_user: root",
];

/// A request as the instance saw it: its line, and its fields in any order, without the id where that is ours.
fn seen(request: &str, is_named: bool) -> Vec<String> {
    let mut lines: Vec<String> = request.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect();
    if !is_named {
        lines.retain(|line| !line.starts_with("x-request-id: "));
    }
    lines[1..].sort();
    lines
}

async fn both_ask_the_same(server: &Server, origin: &Origin, number: usize, fields: &str, is_named: bool) {
    let before = origin.asked();
    for odd in ["", ODD] {
        let answer = told(server, "GET", &format!("/?{number}"), &format!("{fields}{odd}")).await;
        assert_eq!(answer.head[0], "http/1.1 200", "{fields}");
    }
    let requests = origin.requests();
    let [plain, odd] = &requests[before..] else { panic!("{fields}: {:?}", &requests[before..]) };
    assert_eq!(seen(plain, is_named), seen(odd, is_named), "{fields}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whichever_way_a_request_goes_its_instance_is_asked_the_same() {
    let ok = lines("HTTP/1.1 200 OK\nContent-Length: 2\n\nhi");
    let origin = Origin::start(move |_, _| Reply::Say(ok.clone())).await;
    let strangers = server().program("shop", &[origin.address]).start().await;
    let trusting = |config: &mut EdgeConfig| config.trusted_proxies = vec!["127.0.0.1".parse().unwrap()];
    let behind = server().program("shop", &[origin.address]).configure(trusting).start().await;
    let mut dice = Dice::seeded();
    for field in FIELDS {
        both_ask_the_same(&strangers, &origin, 0, &format!("{field}\r\n"), false).await;
        both_ask_the_same(&behind, &origin, 0, &format!("{field}\r\n"), field.starts_with("X-Request-ID")).await;
    }
    for number in 0..count(100, 20_000) {
        let mut fields = String::new();
        for _ in 0..dice.below(9) {
            let field: &&str = dice.pick(&FIELDS);
            fields.push_str(field);
            fields.push_str("\r\n");
        }
        both_ask_the_same(&strangers, &origin, number, &fields, false).await;
    }
}

/// Whoever says more than was asked for must not answer the next one who asks by that connection, whether it is read together with the
/// answer or lies behind it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_instance_says_unasked_is_nobodys_answer() {
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\ngood\r\n0\r\n\r\n".to_owned();
    let bare = [
        "HTTP/1.1 304 Not Modified\r\n\r\n".to_owned(),
        "HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\n".to_owned(),
    ];
    let sized = [4, 40_000, 65_536, 200_000].map(|length| lines_of(&"g".repeat(length)));
    for first in sized.into_iter().chain(bare).chain([chunked]) {
        let (said, evil) = (first.clone(), lines_of("evil"));
        let origin = Origin::start(move |request, _| match request.contains("/first") {
            true => Reply::Say(format!("{said}{evil}").into_bytes()),
            false => Reply::Say(lines_of("mine").into_bytes()),
        })
        .await;
        let server = server().program("shop", &[origin.address]).start().await;
        let mut client = server.client().await;
        for _ in 0..3 {
            let answer = client.ask("GET", "shop.localhost", "/first", &[]).await;
            assert!(first.ends_with(answer.text()) || answer.text() == "good", "{}", answer.short());
            assert_eq!(client.ask("GET", "shop.localhost", "/second", &[]).await.text(), "mine", "{first:.80}");
        }
    }
}

/// The usual slip is to answer HEAD as GET, with a body that is nobody's.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_behind_what_has_none_is_nobodys_answer() {
    let evil = lines_of("evil");
    for head in
        ["HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n", "HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\n"]
    {
        let origin = slipping(head, &evil).await;
        let server = server().program("shop", &[origin]).start().await;
        for odd in ["", ODD] {
            for round in 0..100 {
                let mut client = server.client().await;
                let ask = |method: &str| format!("{method} / HTTP/1.1\r\nHost: shop.localhost\r\n{odd}\r\n");
                client.write([ask("HEAD"), ask("GET")].concat().as_bytes()).await;
                client.read("HEAD").await;
                let answer = client.read("GET").await;
                assert_eq!(answer.text(), "mine", "round {round} {odd}{head}");
            }
        }
    }
}

/// An instance that says this to a HEAD, and in a second breath what nobody asked for; to anything else it says `mine`.
async fn slipping(head: &'static str, more: &str) -> std::net::SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let more = more.to_owned();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let more = more.clone();
            tokio::spawn(async move {
                let mut unread = Vec::new();
                while stream.read_buf(&mut unread).await.is_ok_and(|read| read > 0) {
                    while let Some(end) = unread.windows(4).position(|four| four == b"\r\n\r\n") {
                        let request: Vec<u8> = unread.drain(..end + 4).collect();
                        let is_head = request.starts_with(b"HEAD");
                        let said = if is_head { head.to_owned() } else { lines_of("mine") };
                        let mut written = stream.write_all(said.as_bytes()).await;
                        if is_head {
                            written = written.and(stream.write_all(more.as_bytes()).await);
                        }
                        if written.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    address
}

/// What is left to the HTTP implementation is not counted twice.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_request_is_counted_once_whichever_way_it_goes() {
    let origin = Origin::start(|_, _| Reply::Say(lines_of("hi").into_bytes())).await;
    let few = Some(Rate { per_second: 1, burst: 20 });
    let limited = move |config: &mut EdgeConfig| config.rates = Rates { app: few, ..Rates::default() };
    let long_name = format!("{}: x\r\n", "Long-".repeat(20));
    for fields in ["", ODD, "X-Api-Key: skylift_0\r\n", &long_name] {
        let server = server().program("shop", &[origin.address]).configure(limited).start().await;
        for _ in 0..20 {
            assert_eq!(told(&server, "GET", "/", fields).await.head[0], "http/1.1 200", "{fields}");
        }
    }
}

fn lines_of(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_sent_together_are_answered_in_their_order_whatever_they_are() {
    let origin = Origin::start(|request, _| {
        let path = request.split(' ').nth(1).unwrap().to_owned();
        Reply::Say(lines_of(&path).into_bytes())
    })
    .await;
    let server = server().program("shop", &[origin.address]).start().await;
    let mut client = server.client().await;
    let plain = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: shop.localhost\r\n\r\n");
    let post = "POST /posted HTTP/1.1\r\nHost: shop.localhost\r\nContent-Length: 2\r\n\r\nhi";
    let all = [plain("/1"), plain("/2"), plain("/3"), post.to_owned(), plain("/4")].concat();
    let (one, two) = all.as_bytes().split_at(all.len() - 7);
    client.write(one).await;
    for expected in ["/1", "/2", "/3", "/posted"] {
        assert_eq!(client.read("GET").await.text(), expected);
    }
    client.write(two).await;
    assert_eq!(client.read("GET").await.text(), "/4");
    assert_eq!(origin.asked(), 5);
}

/// A request of which a part is here waits for the rest, also behind one that is being answered.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_sends_ahead_of_a_long_answer_is_answered_behind_it() {
    let gate = Arc::new(tokio::sync::Semaphore::new(0));
    let waits = gate.clone();
    let long = [&b"HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n"[..], &vec![b'x'; 200_000]].concat();
    let origin = Origin::start(move |request, _| match request.contains("/long") {
        true => Reply::Wait(waits.clone(), long.clone()),
        false => Reply::Say(lines_of("short").into_bytes()),
    })
    .await;
    let server = server().program("shop", &[origin.address]).start().await;
    let mut client = server.client().await;
    client.write(b"GET /long HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
    client.write(b"GET /short HTTP/1.1\r\nHost: shop.localhost\r\n\r\n").await;
    gate.add_permits(1);
    assert_eq!(client.read("GET").await.body.len(), 200_000);
    assert_eq!(client.read("GET").await.text(), "short");
}

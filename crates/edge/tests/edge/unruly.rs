//! Instances that answer as none should (threats.md 44): heads, chunks and interim answers without an end, lengths that are not true,
//! protocols that nobody asked for. Their client has a 502, or an answer that is cut where it had begun; the edge's memory stays
//! as it is; whoever asks next has an answer of their own.

use skylift_edge::EdgeConfig;

use crate::dsl::origin::{Origin, Reply, bytes};
use crate::dsl::{Server, resident_bytes, server};

/// What makes a request go the way of the HTTP implementation, and changes nothing else about it.
const ODD: &str = "Keep-Alive: timeout=5\r\n";
/// So many of them at once must not cost more than that, which is far less than what is sent.
const AT_ONCE: usize = 2;
const MEMORY_BYTES_MAX: usize = 64 << 20;
/// What an instance that never ends is let send in all.
const ENDLESS_BYTES: usize = 1 << 30;
/// The same where it is all read: a size that is only zeros is one.
const READ_BYTES: usize = 2 << 20;

/// Two instances that say to whoever asks for `/bad/N` what is bad, and that they are well to everybody else. One alone would be waited
/// for where it hangs up: it might have died.
async fn unruly(bad: impl Fn(usize) -> Reply + Clone + Send + Sync + 'static) -> [Origin; 2] {
    let origin = async || {
        let bad = bad.clone();
        let reply = move |request: &str, _| {
            let path = request.split(' ').nth(1).and_then(|path| path.strip_prefix("/bad/"));
            path.map_or_else(|| Reply::Say(bytes("200 OK", "", "well")), |number| bad(number.parse().unwrap()))
        };
        Origin::start(reply).await
    };
    [origin().await, origin().await]
}

async fn before(origins: &[Origin; 2]) -> Server {
    // One thread: whoever asks next is answered over the same connections.
    let alone = |config: &mut EdgeConfig| config.threads = 1;
    server().program("shop", &origins.each_ref().map(|origin| origin.address)).configure(alone).start().await
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: shop.localhost\r\n{more}\r\n")
}

/// All that is said to so many clients that ask at once for what is bad; `more`: fields of their requests.
async fn told(server: &Server, number: usize, more: &str, at_once: usize) -> Vec<Vec<u8>> {
    let mut clients = Vec::new();
    for _ in 0..at_once {
        let mut client = server.client().await;
        client.write(request("GET", &format!("/bad/{number}"), more).as_bytes()).await;
        client.end().await;
        clients.push(client);
    }
    let mut said = Vec::new();
    for mut client in clients {
        said.push(client.read_to_end().await);
    }
    said
}

fn status(said: &[u8]) -> &str {
    std::str::from_utf8(said.get(9..12).unwrap_or_default()).unwrap()
}

async fn others_are_well(server: &Server, what: &str) {
    for more in ["", ODD] {
        let mut client = server.client().await;
        client.write(request("GET", "/", more).repeat(2).as_bytes()).await;
        for _ in 0..2 {
            assert_eq!(client.read("GET").await.short(), "200 well", "behind {what}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_head_without_an_end_is_a_502_and_costs_no_memory() {
    let ok = "HTTP/1.1 200 OK\r\n";
    for (what, begins, piece) in [
        ("one field", format!("{ok}X-Long: "), "x".repeat(16 << 10)),
        ("fields", ok.to_owned(), "X-Many: of them\r\n".repeat(1000)),
        ("a first line", "HTTP/1.1 200 ".to_owned(), "O".repeat(16 << 10)),
        ("no HTTP", String::new(), "x".repeat(16 << 10)),
        ("interim answers", String::new(), "HTTP/1.1 100 Continue\r\n\r\n".repeat(700)),
        ("hints", String::new(), "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n".repeat(400)),
    ] {
        let (begins, piece) = (begins.into_bytes(), piece.into_bytes());
        let origins = unruly(move |_| Reply::Flood(begins.clone(), piece.clone(), ENDLESS_BYTES)).await;
        let server = before(&origins).await;
        others_are_well(&server, "nothing").await;
        let before = resident_bytes();
        for more in ["", ODD] {
            for said in told(&server, 0, more, AT_ONCE).await {
                assert_eq!(status(&said), "502", "{what} {more}");
            }
        }
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < MEMORY_BYTES_MAX, "{what}: {} MiB more", grown >> 20);
        let sent = origins.iter().map(Origin::flooded).sum::<usize>();
        assert!(sent < ENDLESS_BYTES / 2, "{what}: it is hung up on, and not read to an end");
        others_are_well(&server, what).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_in_chunks_without_an_end_of_one_is_cut_and_costs_no_memory() {
    let head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (what, begins, piece) in [
        ("a size", format!("{head}0"), "0".repeat(16 << 10)),
        ("an extension", format!("{head}5;x="), "y".repeat(16 << 10)),
        ("a trailer", format!("{head}5\r\nhello\r\n0\r\nX-Sum: "), "z".repeat(16 << 10)),
        ("trailers", format!("{head}5\r\nhello\r\n0\r\n"), "X-Sum: z\r\n".repeat(1000)),
    ] {
        let (begins, piece) = (begins.into_bytes(), piece.into_bytes());
        let origins = unruly(move |_| Reply::Flood(begins.clone(), piece.clone(), READ_BYTES)).await;
        let server = before(&origins).await;
        others_are_well(&server, "nothing").await;
        let before = resident_bytes();
        for more in ["", ODD] {
            for said in told(&server, 0, more, AT_ONCE).await {
                is_refused_or_cut(&said, &format!("{what} {more}"));
            }
        }
        let grown = resident_bytes().saturating_sub(before);
        assert!(grown < MEMORY_BYTES_MAX, "{what}: {} MiB more", grown >> 20);
        others_are_well(&server, what).await;
    }
}

fn is_refused_or_cut(said: &[u8], what: &str) {
    let text = String::from_utf8_lossy(said);
    // Where its body is known to be wrong before its head was sent, nothing is.
    let is_cut = said.is_empty() || status(said) == "200" && !is_whole(said);
    assert!(status(said) == "502" || is_cut, "{what}: {text:.400}");
}

/// Whether an answer says that it has come to its end.
fn is_whole(said: &[u8]) -> bool {
    let text = String::from_utf8_lossy(said).to_ascii_lowercase();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    match head.lines().find_map(|line| line.strip_prefix("content-length: ")) {
        Some(length) => length.parse() == Ok(body.len()),
        None => body.ends_with("0\r\n\r\n"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_chunk_or_not_as_long_as_it_says_is_refused_or_cut_and_nobody_elses_answer() {
    let chunked = |body: &str| format!("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
    let evil = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
    let mut bad: Vec<String> = [
        "zz\r\nhi\r\n0\r\n\r\n",
        "-2\r\nhi\r\n0\r\n\r\n",
        "+2\r\nhi\r\n0\r\n\r\n",
        "0x2\r\nhi\r\n0\r\n\r\n",
        "\r\nhi\r\n0\r\n\r\n",
        "ffffffffffffffff2\r\nhi\r\n0\r\n\r\n",
        "10000000000000002\r\nhi\r\n0\r\n\r\n",
        "2\r\nhiXX0\r\n\r\n",
        "2\nhi\n0\n\n",
        "2\r\nhi\r\n",
        "2\r\nh",
        "ffffffffffffffff\r\nhi",
    ]
    .map(chunked)
    .into();
    bad.push("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort".to_owned());
    bad.push("HTTP/1.1 200 OK\r\nContent-Length: 70000\r\n\r\nshort".to_owned());
    bad.push("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n".to_owned());
    bad.push("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n".to_owned());
    bad.push(
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n".to_owned(),
    );
    // Each alone, and with what looks like another answer behind it.
    let bad: Vec<Vec<u8>> = bad.iter().flat_map(|said| ["", evil].map(|tail| format!("{said}{tail}").into())).collect();
    let answers = bad.clone();
    let origins = unruly(move |number| Reply::End(answers[number].clone())).await;
    let server = before(&origins).await;
    for (number, answer) in bad.iter().enumerate() {
        for more in ["", ODD] {
            let what = format!("{:?} {more}", String::from_utf8_lossy(answer));
            let told = told(&server, number, more, 1).await.remove(0);
            is_refused_or_cut(&told, &what);
            let answers = String::from_utf8_lossy(&told).matches("HTTP/1.1 ").count();
            assert!(status(&told) != "502" || answers == 1, "{what}");
        }
        others_are_well(&server, &String::from_utf8_lossy(answer)).await;
    }
}

/// What may have had an effect is not sent twice, whatever comes of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_post_that_was_answered_badly_is_not_sent_again() {
    for bad in
        ["HTTP/1.1 101 Switching Protocols\r\n\r\n", "nonsense\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
    {
        let origins = unruly(move |_| Reply::End(bad.into())).await;
        let server = before(&origins).await;
        let mut client = server.client().await;
        client.write(format!("{}hi", request("POST", "/bad/0", "Content-Length: 2\r\n")).as_bytes()).await;
        assert_eq!(client.read("POST").await.status, 502, "{bad}");
        assert_eq!(origins.iter().map(Origin::asked).sum::<usize>(), 1, "{bad}");
    }
}

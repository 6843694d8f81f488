//! Requests that two readers in a row could take for another number of requests, against an edge that passes them on.
//!
//! The oracle is a host behind it that notes every byte: what reaches it is exactly one request, written so that there
//! is nothing to doubt, or none. Every case is sent as the first request of a connection, where the fast path looks at it
//! first, and behind one that is not plain, whole and in two pieces; the verdict must be the same.

use std::time::Duration;

use crate::dsl::origin::{Origin, ok};
use crate::dsl::{Server, server, site};

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/edge/desync/cases.txt");
/// How long the edge may take to close: the oracle that no case is left waiting.
const CLOSES_WITHIN: Duration = Duration::from_secs(8);
/// What is sent behind each case.
const BEHIND: &str = "GET /api/behind HTTP/1.1\r\nHost: shop.localhost\r\nConnection: close\r\n\r\n";
/// What is not plain, so that the strict implementation has the connection from there on.
const ODD: &str = "GET /file.txt HTTP/1.1\r\nHost: shop.localhost\r\nRange: bytes=0-0\r\n\r\n";

struct Case {
    name: String,
    verdict: Verdict,
    bytes: Vec<u8>,
    body: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Answered,
    Last,
    Here(u16),
    Refused,
    Cut,
}

/// What a case came to.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    /// The statuses of all answers but interim ones.
    statuses: Vec<u16>,
    /// What the host behind was asked.
    asked: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_is_sent_the_host_behind_is_asked_once_or_not_at_all() {
    let (origin, server) = start().await;
    let text = std::fs::read_to_string(CASES).unwrap();
    let cases: Vec<Case> = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).map(case).collect();
    let count = |wanted: fn(Verdict) -> bool| cases.iter().filter(|case| wanted(case.verdict)).count();
    let refused = count(|verdict| matches!(verdict, Verdict::Refused | Verdict::Cut));
    assert!(cases.len() >= 158 && refused >= 100 && cases.len() - refused >= 40, "{} {refused}", cases.len());
    let mut wrong = Vec::new();
    for (number, case) in cases.iter().enumerate() {
        let cut = 1 + number * 7 % (case.bytes.len() - 1);
        let (one, two) = case.bytes.split_at(cut);
        let outcomes = [
            send(&server, &origin, &[&case.bytes], false).await,
            send(&server, &origin, &[one, two], false).await,
            send(&server, &origin, &[&case.bytes], true).await,
            send(&server, &origin, &[one, two], true).await,
        ];
        for (way, outcome) in outcomes.iter().enumerate() {
            if let Err(why) = check(case, outcome) {
                wrong.push(format!("{}, way {way}: {why}: {outcome:?}", case.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{} are wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_control_two_requests_are_seen_as_two() {
    let (origin, server) = start().await;
    let two =
        "POST /api/x HTTP/1.1\r\nHost: shop.localhost\r\n\r\nGET /api/hidden HTTP/1.1\r\nHost: shop.localhost\r\n\r\n";
    let case = case(&format!("answered | two | {} |", two.replace("\r\n", "¶")));
    let outcome = send(&server, &origin, &[&case.bytes], false).await;
    assert_eq!(outcome.statuses, [200, 200, 200]);
    assert!(check(&case, &outcome).is_err());
    for doubtful in [
        "GET / HTTP/1.1\nhost: a\r\n\r\n",
        "GET /# HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
        "GET / HTTP/1.1\r\nhost: a\r\n\r\nGET /",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhell",
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\nhello",
        "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\n\r\n",
    ] {
        assert!(body_of(doubtful).is_err(), "{doubtful:?}");
    }
}

async fn start() -> (Origin, Server) {
    let origin = Origin::start(|_, _| ok("", "ok")).await;
    let address = origin.address;
    let site = site().file("file.txt", "hello").redirects(&format!("/api/* http://{address}/v1/:splat 200\n"));
    let server = server().app("shop", site).configure(move |config| {
        config.proxy.allow = vec![address.to_string().parse().unwrap()];
    });
    (origin, server.start().await)
}

/// Sends the pieces and what comes behind them, and waits until the edge has closed.
async fn send(server: &Server, origin: &Origin, pieces: &[&[u8]], behind_odd: bool) -> Outcome {
    let before = origin.requests().len();
    let mut client = server.client().await;
    if behind_odd {
        client.write(ODD.as_bytes()).await;
        assert_eq!(client.read("GET").await.short(), "206 h");
    }
    for piece in pieces {
        client.write(piece).await;
        tokio::task::yield_now().await;
    }
    client.write(BEHIND.as_bytes()).await;
    client.end().await;
    let Ok(said) = tokio::time::timeout(CLOSES_WITHIN, client.read_to_end()).await else {
        return Outcome { statuses: vec![0], asked: vec!["it did not close".to_owned()] };
    };
    let said = String::from_utf8_lossy(&said).replace("HTTP/1.0 ", "HTTP/1.1 ");
    let statuses = said.split("HTTP/1.1 ").skip(1).filter_map(|rest| rest.get(..3)?.parse().ok());
    Outcome { statuses: statuses.filter(|status| *status != 100).collect(), asked: origin.requests().split_off(before) }
}

fn check(case: &Case, outcome: &Outcome) -> Result<(), String> {
    let Outcome { statuses, asked } = outcome;
    let is_behind = |request: &String| request.starts_with("GET /v1/behind ");
    let bodies = asked.iter().map(|request| body_of(request)).collect::<Result<Vec<_>, _>>()?;
    let body = String::from_utf8_lossy(&case.body);
    let right = match case.verdict {
        Verdict::Answered => statuses == &[200, 200] && asked.len() == 2 && is_behind(&asked[1]) && bodies[0] == body,
        Verdict::Last => statuses == &[200] && asked.len() == 1 && !is_behind(&asked[0]) && bodies[0] == body,
        Verdict::Here(status) => statuses == &[status, 200] && asked.len() == 1 && is_behind(&asked[0]),
        Verdict::Refused => asked.is_empty() && statuses.len() == 1 && (400..500).contains(&statuses[0]),
        // The other host may have answered before it had all.
        Verdict::Cut => asked.is_empty() && statuses.len() <= 1 && statuses.iter().all(|status| *status >= 400),
    };
    if right { Ok(()) } else { Err(format!("should be {:?}", case.verdict)) }
}

/// The body of exactly one request without anything to doubt; else what is wrong with it.
fn body_of(request: &str) -> Result<String, String> {
    let (head, rest) = request.split_once("\r\n\r\n").ok_or("no end of the head")?;
    let mut lines = head.split("\r\n");
    let first: Vec<&str> = lines.next().unwrap_or_default().split(' ').collect();
    let &[method, target, "HTTP/1.1"] = first.as_slice() else { return Err(format!("first line {first:?}")) };
    let is_target = target.starts_with('/') && target.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
    if !method.bytes().all(|b| b.is_ascii_uppercase()) || !is_target {
        return Err(format!("first line {first:?}"));
    }
    let (mut hosts, mut length, mut chunked) = (0, None, false);
    for line in lines {
        let (name, value) = line.split_once(": ").ok_or(format!("line {line:?}"))?;
        let name = name.to_lowercase();
        let is_name =
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_graphic() && !b"()<>@,;:\\\"/[]?={}".contains(&b));
        if !is_name || value.contains(|c: char| c.is_control() && c != '\t') {
            return Err(format!("line {line:?}"));
        }
        match name.replace('_', "-").as_str() {
            "host" => hosts += 1,
            "content-length" if length.is_none() && !chunked => {
                length = Some(value.parse::<usize>().map_err(|_| value)?)
            }
            "transfer-encoding" if value == "chunked" && length.is_none() && !chunked => chunked = true,
            "content-length" | "transfer-encoding" | "expect" | "upgrade" | "connection" | "te" | "trailer"
            | "http2-settings" => return Err(format!("line {line:?}")),
            _ => {}
        }
    }
    let (body, behind) = if chunked {
        chunks(rest)?
    } else {
        rest.split_at_checked(length.unwrap_or(0)).map(|(b, r)| (b.to_owned(), r)).ok_or("too short")?
    };
    if hosts != 1 || !behind.is_empty() {
        return Err(format!("{hosts} hosts, and {behind:?} behind"));
    }
    Ok(body)
}

/// The data of a body in chunks, and what is behind it.
fn chunks(mut rest: &str) -> Result<(String, &str), String> {
    let mut data = String::new();
    loop {
        let (size, behind) = rest.split_once("\r\n").ok_or("no size")?;
        let size = usize::from_str_radix(size, 16).map_err(|_| format!("size {size:?}"))?;
        let (chunk, behind) = behind.split_at_checked(size).ok_or("a short chunk")?;
        rest = behind.strip_prefix("\r\n").ok_or("no end of a chunk")?;
        if size == 0 {
            return Ok((data, rest));
        }
        data.push_str(chunk);
    }
}

fn case(line: &str) -> Case {
    let parts: Vec<&str> = line.split(" | ").collect();
    let &[verdict, name, bytes, ref rest @ ..] = parts.as_slice() else { panic!("{line}") };
    let verdict = match verdict.split_once(' ') {
        Some(("here", status)) => Verdict::Here(status.parse().unwrap()),
        _ => match verdict {
            "answered" => Verdict::Answered,
            "last" => Verdict::Last,
            "refused" => Verdict::Refused,
            "cut" => Verdict::Cut,
            other => panic!("{other} is no verdict"),
        },
    };
    let bytes = bytes.strip_suffix(" |").unwrap_or(bytes);
    Case { name: name.to_owned(), verdict, bytes: spelled(bytes), body: spelled(rest.first().unwrap_or(&"")) }
}

/// The bytes that the text of a case stands for.
fn spelled(text: &str) -> Vec<u8> {
    let text = text
        .replace("{post}", "POST /api/x HTTP/1.1¶Host: shop.localhost¶")
        .replace("{get}", "GET /api/x HTTP/1.1¶Host: shop.localhost¶")
        .replace('¶', "\r\n");
    let mut bytes = Vec::new();
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let (spelled, length): (Vec<u8>, usize) = match (first, rest.get(1..2)) {
            ('\\', Some("n")) => (b"\n".to_vec(), 2),
            ('\\', Some("r")) => (b"\r".to_vec(), 2),
            ('\\', Some("t")) => (b"\t".to_vec(), 2),
            ('\\', Some("s")) => (b" ".to_vec(), 2),
            ('\\', Some("0")) => (b"\0".to_vec(), 2),
            ('\\', Some("x")) => (vec![u8::from_str_radix(&rest[2..4], 16).unwrap()], 4),
            ('{', Some(repeated)) if rest[2..].starts_with('*') => {
                let end = rest.find('}').unwrap();
                (repeated.repeat(rest[3..end].parse().unwrap()).into_bytes(), end + 1)
            }
            _ => (first.to_string().into_bytes(), first.len_utf8()),
        };
        bytes.extend_from_slice(&spelled);
        rest = &rest[length..];
    }
    bytes
}

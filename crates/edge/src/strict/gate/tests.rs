//! The gate before the HTTP implementation, and that one alone.

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

use super::*;
use crate::through::Through;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gated {
    Yes,
    No,
}

/// What is answered to these pieces, in short: `POST /x 5` for a request whose body has five bytes, `400` for a refusal.
async fn answers(pieces: &[&[u8]], gated: Gated) -> String {
    let (mut client, server) = duplex(1 << 20);
    let serving = async move {
        let mut http1 = http1::Builder::new();
        http1.half_close(true).max_headers(super::super::FIELDS_MAX).max_buf_size(8192);
        let service = service_fn(echo);
        let _ = match gated {
            Gated::Yes => {
                http1
                    .serve_connection(
                        TokioIo::new(Through::new(server, Gate::new(Vec::new(), 8192, Switch::default()))),
                        service,
                    )
                    .await
            }
            Gated::No => http1.serve_connection(TokioIo::new(server), service).await,
        };
    };
    let mut said = Vec::new();
    let talking = async {
        for piece in pieces {
            if client.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = client.shutdown().await;
        let _ = client.read_to_end(&mut said).await;
    };
    let ((), ()) = tokio::join!(serving, talking);
    let said = String::from_utf8(said).unwrap();
    let short = |answer: &str| match answer.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("200") => body.to_owned(),
        _ => answer.chars().take(3).collect(),
    };
    said.split("HTTP/1.1 ").skip(1).map(short).collect::<Vec<_>>().join(", ")
}

async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    let name = format!("{} {}", request.method(), request.uri());
    let length = request.into_body().collect().await.map_or("cut".into(), |body| body.to_bytes().len().to_string());
    Ok(Response::new(Full::from(format!("{name} {length}"))))
}

const GOOD: &str = "POST /one HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n\n\r\0 x\r\nGET /two HTTP/1.1\r\nHost: a\r\n\r\n\
    POST /three HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x\r\n\n\r\n\n\r\n0\r\nX: y\r\n\r\n";

#[tokio::test]
async fn good_requests_pass_however_they_are_cut_and_whatever_their_bodies_are() {
    let expected = "POST /one 5, GET /two 0, POST /three 4";
    for cut in 0..=GOOD.len() {
        let (one, two) = GOOD.as_bytes().split_at(cut);
        assert_eq!(answers(&[one, two], Gated::Yes).await, expected, "{cut}");
    }
    let bytes: Vec<&[u8]> = GOOD.as_bytes().chunks(1).collect();
    assert_eq!(answers(&bytes, Gated::Yes).await, expected);
}

#[tokio::test]
async fn a_bad_request_is_refused_wherever_it_comes_and_however_it_is_cut() {
    let bad = "GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n";
    for good in ["", GOOD] {
        let all = format!("{good}{bad}");
        for cut in 0..=all.len() {
            let (one, two) = all.as_bytes().split_at(cut);
            let answered = answers(&[one, two], Gated::Yes).await;
            assert!(answered.ends_with("400") && !answered.contains("/x"), "{cut}: {answered}");
            assert_eq!(
                answered.starts_with("POST /one 5, GET /two 0, POST /three 4, "),
                !good.is_empty(),
                "{answered}"
            );
        }
    }
}

/// What hyper alone would answer: these are refused by the gate, and by nothing else.
const LENIENT: &[(&str, &str)] = &[
    ("GET /x HTTP/1.1\nHost: a\n\n", "GET /x 0"),
    ("GET /x HTTP/1.1\r\nHost: a\r\n\n", "GET /x 0"),
    ("GET /x HTTP/1.1\r\nHost: a\nX: y\r\n\r\n", "GET /x 0"),
    ("\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x 0"),
    ("GET /x# HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x 0"),
    ("GET /x?y#z HTTP/1.1\r\nHost: a\r\n\r\n", "GET /x?y 0"),
    ("GET a HTTP/1.1\r\nHost: a\r\n\r\n", "GET a 0"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length:\t 5 \r\n\r\nhello", "POST /x 5"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 05\r\n\r\nhello", "POST /x 5"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 5\r\n\r\nhello", "POST /x 5"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST /x 0"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", "POST /x 0"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", "POST /x 0"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nExpect: y 100-continue\r\nContent-Length: 5\r\n\r\nhello", "POST /x 5"),
    ("POST /x HTTP/1.1\r\nHost: a\r\nExpect: nothing\r\nContent-Length: 5\r\n\r\nhello", "POST /x 5"),
];

#[tokio::test]
async fn the_control_what_is_refused_here_is_answered_without_the_gate() {
    for (request, lenient) in LENIENT {
        assert_eq!(answers(&[request.as_bytes()], Gated::No).await, *lenient, "{request:?}");
        assert_eq!(answers(&[request.as_bytes()], Gated::Yes).await, "400", "{request:?}");
    }
}

/// The same for bodies: hyper alone reads them to their end.
const LENIENT_CHUNKS: &[&str] = &[
    "5 \r\nhello\r\n0\r\n\r\n",
    "5\t;x\r\nhello\r\n0\r\n\r\n",
    "5\r\nhello\r\n0\r\nContent-Length: 7\r\n\r\n",
    "5\r\nhello\r\n0\r\nHost: b\r\n\r\n",
];

#[tokio::test]
async fn the_control_for_chunks() {
    for body in LENIENT_CHUNKS {
        let request = format!("POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}{GOOD}");
        let lenient = answers(&[request.as_bytes()], Gated::No).await;
        assert!(lenient.starts_with("POST /x 5, POST /one 5"), "{body:?}: {lenient}");
        assert_eq!(answers(&[request.as_bytes()], Gated::Yes).await, "POST /x cut", "{body:?}");
    }
}

#[tokio::test]
async fn too_much_of_a_head_is_told_from_what_is_none() {
    let long = format!("GET /x HTTP/1.1\r\nHost: a\r\nX: {}", "y".repeat(9000));
    for end in ["", "\r\n\r\n", "\r\n\r\nGET /behind HTTP/1.1\r\nHost: a\r\n\r\n"] {
        assert_eq!(answers(&[format!("{long}{end}").as_bytes()], Gated::Yes).await, "431");
    }
    let many = format!("GET /x HTTP/1.1\r\nHost: a\r\n{}\r\n", "x: y\r\n".repeat(200));
    assert_eq!(answers(&[many.as_bytes()], Gated::Yes).await, "431");
    // What breaks off is answered by whoever reads it, gate or not.
    for half in ["GET /x HT", "GET /x HTTP/1.1\r\nHost: a\r\n", "\0"] {
        let one = answers(&[half.as_bytes()], Gated::Yes).await;
        assert_eq!(one, answers(&[half.as_bytes()], Gated::No).await, "{half:?}");
    }
}

const ASKS: &str = "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n";
const POSTS: &str = "POST /chat HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nUpgrade: x\r\n\r\nhello";
/// Never a request, but fine as bytes of something else.
const OTHER: &str = "\0\n\nGET /x HTTP/1.1\nHost: a\n\n";

/// What comes through behind a request that asks for another protocol, once it is decided how that goes on.
async fn behind(asks: &str, pieces: [&[u8]; 2], decide: fn(&Switch)) -> Vec<u8> {
    let (mut client, server) = duplex(1 << 20);
    let switch = Switch::default();
    let mut gated = Through::new(server, Gate::new(Vec::new(), 8192, switch.clone()));
    for piece in pieces {
        client.write_all(piece).await.unwrap();
    }
    client.shutdown().await.unwrap();
    let mut read = vec![0; asks.len()];
    gated.read_exact(&mut read).await.unwrap();
    assert_eq!(read, asks.as_bytes());
    let mut more = [0; 64];
    let is_pending = std::future::poll_fn(|cx| {
        let polled = Pin::new(&mut gated).poll_read(cx, &mut ReadBuf::new(&mut more));
        Poll::Ready(polled.is_pending())
    });
    assert!(is_pending.await, "nothing passes before it is decided");
    decide(&switch);
    let mut rest = Vec::new();
    gated.read_to_end(&mut rest).await.unwrap();
    rest
}

#[tokio::test]
async fn what_comes_behind_a_request_for_another_protocol_waits_for_its_answer() {
    for asks in [ASKS, POSTS] {
        let all = format!("{asks}{OTHER}");
        for cut in 0..=all.len() {
            let (one, two) = all.as_bytes().split_at(cut);
            let passed = behind(asks, [one, two], Switch::go_nowhere).await;
            assert_eq!(passed, OTHER.as_bytes(), "as it is: {cut}");
            let judged = behind(asks, [one, two], Switch::stay).await;
            assert_eq!(judged, NO_REQUEST, "as a request: {cut}");
        }
    }
}

//! Plain HTTP through the proxy.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::guest::Setting;
use super::internet::{Internet, serve};

/// A server that notes what it hears until `until`, gives this answer, and keeps the connection open.
async fn answers(until: &'static str, answer: &'static str) -> (SocketAddr, Arc<Mutex<String>>) {
    let heard: Arc<Mutex<String>> = Arc::default();
    let notes = Arc::clone(&heard);
    let address = serve(move |mut stream| {
        let notes = Arc::clone(&notes);
        async move {
            let mut buffer = [0; 4096];
            while !notes.lock().unwrap().contains(until) {
                let Ok(length @ 1..) = stream.read(&mut buffer).await else { return };
                notes.lock().unwrap().push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
            let _gone = stream.write_all(answer.as_bytes()).await;
            while let Ok(length @ 1..) = stream.read(&mut buffer).await {
                notes.lock().unwrap().push_str(std::str::from_utf8(&buffer[..length]).unwrap());
            }
        }
    })
    .await;
    (address, heard)
}

#[tokio::test]
async fn a_request_reaches_its_server_anew_and_nothing_behind_it_does() {
    let (server, heard) =
        answers("\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nhi").await;
    let internet = Internet::new().name("a.example", &["203.0.113.7"]).host("203.0.113.7:80", server);
    let guest = Setting::before(&internet).start();
    let answer = guest
        .ask(
            b"GET http://a.example/x HTTP/1.1\r\nHost: inner.lan\r\nProxy-Authorization: Basic eA==\r\n\r\n\
              GET http://10.0.0.5/ HTTP/1.1\r\nHost: 10.0.0.5\r\n\r\n",
        )
        .await;
    assert_eq!(answer, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi");
    assert_eq!(*heard.lock().unwrap(), "GET /x HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n\r\n");
}

#[tokio::test]
async fn a_body_goes_out_by_its_length_after_an_interim_answer() {
    let (server, heard) = answers("body", "HTTP/1.1 201 Made\r\nContent-Length: 0\r\n\r\n").await;
    let internet = Internet::new().host("203.0.113.7:80", server);
    let guest = Setting::before(&internet).start();
    let answer = guest
        .ask(b"POST http://203.0.113.7/ HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbodyMORE")
        .await;
    assert_eq!(answer, "HTTP/1.1 201 Made\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    assert!(heard.lock().unwrap().ends_with("Connection: close\r\n\r\nbody"));
}

#[tokio::test]
async fn interim_answers_are_passed_on() {
    let (server, _) =
        answers("\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!")
            .await;
    let guest = Setting::before(&Internet::new().host("203.0.113.7:80", server)).start();
    let answer = guest.ask(b"GET http://203.0.113.7/ HTTP/1.1\r\n\r\n").await;
    assert_eq!(
        answer,
        "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 1\r\nConnection: close\r\n\r\n!"
    );
}

#[tokio::test]
async fn a_server_that_speaks_no_http_is_a_bad_gateway() {
    for (answer, status) in [("SSH-2.0-x\r\n\r\n", "502"), ("HTTP/1.1 101 Switching\r\n\r\n", "502")] {
        let (server, _) = answers("\r\n\r\n", answer).await;
        let guest = Setting::before(&Internet::new().host("203.0.113.7:80", server)).start();
        let said = guest.ask(b"GET http://203.0.113.7/ HTTP/1.1\r\n\r\n").await;
        assert!(said.starts_with(&format!("HTTP/1.1 {status} ")), "{said}");
    }
}

#[tokio::test]
async fn an_inner_server_is_refused_in_this_form_too() {
    let guest = Setting::before(&Internet::new()).start();
    for target in ["http://127.0.0.1/", "http://[::1]/", "http://0x7f.1/", "http://169.254.169.254/latest/meta-data/"] {
        let answer = guest.ask(format!("GET {target} HTTP/1.1\r\n\r\n").as_bytes()).await;
        assert!(answer.starts_with("HTTP/1.1 403 "), "{target}: {answer}");
    }
}

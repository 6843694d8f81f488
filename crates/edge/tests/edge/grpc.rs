//! Apps that speak HTTP/2, as servers of gRPC do: streams both ways at once, and trailers behind them.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body::{Body, Frame};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use hyper::client::conn::http2::SendRequest;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use skylift_model::program::Protocol;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::dsl::{PATIENCE, Server, server};

/// A body that is made while it is sent.
struct Made(UnboundedReceiver<Frame<Bytes>>);

impl Body for Made {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|frame| frame.map(Ok))
    }
}

fn fields(fields: &[(&'static str, &'static str)]) -> HeaderMap {
    fields.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
}

/// An instance that speaks nothing but HTTP/2: it says every message again, and behind the last one how it went.
async fn instance() -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let task = tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let serving = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
            tokio::spawn(serving.serve_connection(TokioIo::new(stream), service_fn(echo)));
        }
    });
    (address, task)
}

async fn echo(request: Request<Incoming>) -> Result<Response<Made>, Infallible> {
    let (said, body) = unbounded_channel();
    let (head, mut asked) = request.into_parts();
    let mut response = Response::new(Made(body));
    *response.headers_mut() = fields(&[("content-type", "application/grpc")]);
    let seen = format!("{} {} {:?}", head.uri, head.version == Version::HTTP_2, head.headers.get("te"));
    response.headers_mut().insert("seen", seen.parse().unwrap());
    tokio::spawn(async move {
        let mut status = fields(&[("grpc-status", "0"), ("set-cookie", "a=b"), ("x-forwarded-for", "6.6.6.6")]);
        while let Some(Ok(frame)) = asked.frame().await {
            match frame.into_data() {
                Ok(data) => drop(said.send(Frame::data(data))),
                Err(frame) => {
                    let trailers = frame.into_trailers().unwrap_or_default();
                    let told: Vec<&str> = trailers.keys().map(http::HeaderName::as_str).collect();
                    status.insert("told", told.join(" ").parse().unwrap());
                }
            }
        }
        let _ = said.send(Frame::trailers(status));
    });
    Ok(response)
}

async fn before(instance: SocketAddr) -> Server {
    server().program("echo", &[instance]).speaking(Protocol::H2c).start().await
}

async fn connect(server: &Server) -> SendRequest<Made> {
    let stream = TcpStream::connect(server.address).await.unwrap();
    let (sending, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    sending
}

/// A call that goes on: what it says, and what it is told.
async fn call(sending: &mut SendRequest<Made>) -> (UnboundedSender<Frame<Bytes>>, Response<Incoming>) {
    let (says, body) = unbounded_channel();
    let request = Request::builder().method(Method::POST).uri("http://echo.localhost/echo.Echo/Say");
    let request = request.header("te", "trailers").header("content-type", "application/grpc");
    let answered = sending.send_request(request.body(Made(body)).unwrap());
    (says, timeout(PATIENCE, answered).await.expect("an answer in time").unwrap())
}

async fn frame(response: &mut Response<Incoming>) -> Frame<Bytes> {
    timeout(PATIENCE, response.frame()).await.expect("a frame in time").expect("one more").unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_pass_both_ways_at_once_and_trailers_behind_them() {
    let (address, _task) = instance().await;
    let server = before(address).await;
    let mut sending = connect(&server).await;
    let (says, mut response) = call(&mut sending).await;
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/grpc");
    assert_eq!(response.headers()["seen"], "http://echo.localhost/echo.Echo/Say true Some(\"trailers\")");
    for message in ["one", "two", "three"] {
        says.send(Frame::data(Bytes::from(message))).unwrap();
        assert_eq!(frame(&mut response).await.into_data().unwrap(), message, "before the next one is said");
    }
    let mut more = fields(&[("x-sum", "3"), ("authorization", "x"), ("host", "evil"), ("x-real-ip", "6.6.6.6")]);
    more.insert("content_length", "9".parse().unwrap());
    says.send(Frame::trailers(more)).unwrap();
    drop(says);
    let trailers = frame(&mut response).await.into_trailers().unwrap();
    assert_eq!(trailers, fields(&[("grpc-status", "0"), ("told", "x-sum")]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_calls_go_on_at_once_and_a_client_of_http_1_is_answered_too() {
    let (address, _task) = instance().await;
    let server = before(address).await;
    let mut sending = connect(&server).await;
    let mut calls = Vec::new();
    for _ in 0..120 {
        calls.push(call(&mut sending).await);
    }
    for (number, (says, response)) in calls.iter_mut().enumerate() {
        says.send(Frame::data(Bytes::from(number.to_string()))).unwrap();
        assert_eq!(frame(response).await.into_data().unwrap(), number.to_string());
    }
    let posted = "POST /x HTTP/1.1\r\nHost: echo.localhost\r\nContent-Length: 5\r\n\r\nhello";
    let answer = server.send(posted).await;
    assert_eq!(answer.short(), "200 hello");
    assert_eq!(answer.header("seen"), Some("http://echo.localhost/x true Some(\"trailers\")"));
}

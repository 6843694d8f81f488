//! A client that speaks HTTP/2 to the edge: a read and a post at a time, beside each other, over one connection that lasts.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use skylift_tests::wait::PATIENCE;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{MissedTickBehavior, interval, timeout};

use super::clients::{EVERY, HOST, POST_BYTES, posted};
use super::ledger::{At, Broken, Kind, Ledger};

type Line = SendRequest<Full<Bytes>>;

pub(crate) async fn streams(to: SocketAddr, ledger: Arc<Ledger>, mut stopped: watch::Receiver<bool>) {
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut line: Option<Line> = None;
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            _ = stopped.wait_for(|stop| *stop) => return,
        }
        // The connection is the edge's, and the edge stays: only what has failed is a reason for another one.
        let open = match line.take() {
            Some(open) => open,
            None => connect(to).await,
        };
        let (read, write) = (ledger.begin(Kind::Stream), ledger.begin(Kind::StreamPost));
        let (is_read, is_written) = tokio::join!(
            whole(open.clone(), Request::get(address()), Bytes::new()),
            whole(open.clone(), Request::post(address()), vec![b'x'; POST_BYTES].into())
        );
        line = (is_read.is_ok() && is_written.is_ok()).then_some(open);
        ledger.end(&read, is_read);
        ledger.end(&write, is_written.and_then(|said| posted(&said)));
    }
}

fn address() -> String {
    format!("http://{HOST}/")
}

async fn connect(to: SocketAddr) -> Line {
    let stream = TcpStream::connect(to).await.unwrap();
    let (line, connection) = handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    line
}

/// The text of a good answer.
async fn whole(mut line: Line, request: http::request::Builder, body: Bytes) -> Result<String, Broken> {
    let request = request.body(Full::new(body)).unwrap();
    let exchange = async {
        let (head, body) = line.send_request(request).await.map_err(told)?.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await.map_err(told)?.to_bytes()).into_owned();
        let id = head.headers.get("x-request-id").and_then(|id| id.to_str().ok()).unwrap_or_default();
        if head.status == 200 {
            return Ok(text);
        }
        Err(Broken { why: format!("{} {text}", head.status.as_u16()), at: At::Request(id.to_owned()) })
    };
    timeout(PATIENCE, exchange).await.unwrap_or_else(|_| Err(Broken::unknown("no answer in time")))
}

fn told(error: hyper::Error) -> Broken {
    Broken::unknown(format!("{error:?}"))
}

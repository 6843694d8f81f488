use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;

/// A server that gives one answer to everybody, and counts who came.
struct Server {
    port: u16,
    came: Arc<AtomicUsize>,
}

impl Server {
    async fn start(answer: &'static str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (port, came) = (listener.local_addr().unwrap().port(), Arc::<AtomicUsize>::default());
        let counted = came.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                counted.fetch_add(1, Ordering::SeqCst);
                let mut head = [0; 1024];
                let _ = stream.read(&mut head).await;
                if answer.is_empty() {
                    tokio::spawn(async move {
                        let _held_open = stream.read_to_end(&mut Vec::new()).await;
                    });
                } else {
                    let _ = stream.write_all(answer.as_bytes()).await;
                }
            }
        });
        Self { port, came }
    }

    fn came(&self) -> usize {
        self.came.load(Ordering::SeqCst)
    }

    /// One whose port is open, and whose address the owner allows where `allows` says so.
    async fn tell(&self, host: &str, allows: bool) -> Outcome {
        let allow = if allows { vec![format!("127.0.0.1:{}", self.port).parse().unwrap()] } else { Vec::new() };
        let (ports, whole) = (vec![self.port], Duration::from_millis(500));
        let post = Post::new(Settings { ports, allow, whole, ..Settings::default() });
        let address = Address::parse(&format!("http://{host}:{}/told", self.port)).unwrap();
        let sent = Sent { method: Method::POST, headers: Vec::new(), body: Bytes::from_static(b"{}") };
        post.send(&address, sent).await
    }
}

#[tokio::test]
async fn a_private_address_is_reached_where_the_owner_allows_it_and_by_no_name_otherwise() {
    let server = Server::start("HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n").await;
    for host in ["127.0.0.1", "localhost", "[::1]", "[::ffff:127.0.0.1]", "0.0.0.0", "169.254.169.254", "100.64.0.1"] {
        let outcome = server.tell(host, false).await;
        let is_refused = matches!(&outcome, Outcome::Refused(why) if why.contains("[callbacks] allow"));
        assert!(is_refused, "{host}: {outcome:?}");
    }
    assert_eq!(server.came(), 0);
    for host in ["127.0.0.1", "localhost"] {
        assert_eq!(server.tell(host, true).await, Outcome::Told, "{host}");
    }
    assert_eq!(server.came(), 2);
}

#[tokio::test]
async fn what_is_no_2xx_was_not_taken_and_no_redirect_is_followed() {
    let other = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
    let location =
        format!("HTTP/1.1 307 Go\r\nlocation: http://127.0.0.1:{}/\r\ncontent-length: 0\r\n\r\n", other.port);
    for (answer, why) in [
        (&*Box::leak(location.into_boxed_str()), "redirects are not followed"),
        ("HTTP/1.1 500 No\r\ncontent-length: 2\r\n\r\nno", "500"),
        ("HTTP/1.1 101 Go\r\n\r\n", "101"),
        ("no HTTP", "no answer"),
        ("", "did not answer in time"),
    ] {
        let server = Server::start(answer).await;
        let outcome = server.tell("127.0.0.1", true).await;
        assert!(matches!(&outcome, Outcome::Failed(told) if told.contains(why)), "{answer:?}: {outcome:?}");
    }
    assert_eq!(other.came(), 0);
    let endless = Server::start("HTTP/1.1 200 OK\r\ncontent-length: 9999999999\r\n\r\nx").await;
    assert_eq!(endless.tell("127.0.0.1", true).await, Outcome::Told, "its body is nobody's business");
    let nobody = Server { port: 1, came: Arc::default() };
    assert!(matches!(nobody.tell("127.0.0.1", true).await, Outcome::Failed(_)));
}

#[test]
fn what_would_never_be_reached_is_known_before() {
    let settings = Settings { allow: vec!["10.0.0.5:8443".parse().unwrap()], ..Settings::default() };
    let refusal = |url: &str| settings.refusal(&Address::parse(url).unwrap());
    for url in ["https://example.org/", "http://example.org/", "https://10.0.0.5:8443/", "https://203.0.113.9/"] {
        assert_eq!(refusal(url), None, "{url}");
    }
    for url in ["https://example.org:22/", "http://10.0.0.5/", "http://127.0.0.1/", "http://[fe80::1]/", "http://[::]/"]
    {
        assert!(refusal(url).is_some_and(|why| why.contains("[callbacks] allow")), "{url}");
    }
}

//! WebSockets to an app that runs, through a real deploy.

#![expect(clippy::unwrap_used, reason = "a panic is how tests fail")]

use std::net::SocketAddr;

use skylift_tests::folder::Folder;
use skylift_tests::platform::Platform;
use skylift_tests::wait::{self, PATIENCE};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A server in Node that says its version, and over a WebSocket says it before everything it is told.
fn server(version: &str) -> Folder {
    let program = r#"
        const http = require('http');
        const crypto = require('crypto');
        const server = http.createServer((request, response) => response.end('VERSION'));
        server.on('upgrade', (request, socket, head) => {
            const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
            const accept = crypto.createHash('sha1').update(key).digest('base64');
            const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket'];
            socket.write([...lines, 'Sec-WebSocket-Accept: ' + accept, '', ''].join('\r\n'));
            let unread = head;
            const read = () => {
                while (unread.length >= 6 && unread.length >= 6 + (unread[1] & 127)) {
                    const [first, length] = [unread[0], unread[1] & 127];
                    const text = Buffer.from(unread.subarray(6, 6 + length).map((byte, at) => byte ^ unread[2 + at % 4]));
                    unread = unread.subarray(6 + length);
                    if ((first & 15) === 8) return socket.end(Buffer.from([0x88, 0]));
                    const said = Buffer.from('VERSION ' + text);
                    socket.write(Buffer.concat([Buffer.from([0x81, said.length]), said]));
                }
            };
            socket.on('data', piece => { unread = Buffer.concat([unread, piece]); read(); });
            socket.on('error', () => {});
            read();
        });
        server.listen(process.env.PORT, process.env.HOST);
        process.on('SIGTERM', () => process.exit(0));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program.replace("VERSION", version))
}

/// A client that makes its frames by hand: texts up to 125 bytes.
struct Socket(TcpStream);

impl Socket {
    async fn open(to: SocketAddr, host: &str) -> Self {
        let mut stream = TcpStream::connect(to).await.unwrap();
        let asked = format!(
            "GET /chat HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(asked.as_bytes()).await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(timeout(PATIENCE, stream.read_u8()).await.expect("an answer in time").unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 101 ") && head.contains("s3pplmbitxaq9kygzzhzrbk+xoo="), "{head}");
        Self(stream)
    }

    /// Says something, and returns what the server says to that.
    async fn say(&mut self, text: &str) -> String {
        let mask = [7, 0, 255, 1];
        let mut frame = vec![0x81, 0x80 | u8::try_from(text.len()).unwrap()];
        frame.extend(mask);
        frame.extend(text.bytes().zip(mask.into_iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.0.write_all(&frame).await.unwrap();
        let mut head = [0; 2];
        timeout(PATIENCE, self.0.read_exact(&mut head)).await.expect("a frame in time").unwrap();
        assert_eq!(head[0], 0x81);
        let mut said = vec![0; usize::from(head[1])];
        timeout(PATIENCE, self.0.read_exact(&mut said)).await.expect("a frame in time").unwrap();
        String::from_utf8(said).unwrap()
    }

    /// Everything that comes until the other side ends.
    async fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _cut_or_ended = timeout(PATIENCE, self.0.read_to_end(&mut rest)).await.expect("it ends in time");
        rest
    }
}

#[tokio::test]
async fn a_websocket_stays_with_its_instance_over_a_deploy_until_the_drain_ends() {
    let platform = Platform::configured("[instances]\ndrain_seconds = 10\n").await;
    let app = platform.app("chat").await;
    app.deploy(&server("one")).await;
    let mut socket = Socket::open(platform.address(), "chat.localhost").await;
    assert_eq!(socket.say("hello").await, "one hello");

    let second = server("two");
    let (_, ()) = tokio::join!(app.deploy(&second), async {
        wait::until("new requests go to the new version", async || {
            (platform.get("chat.localhost", "/").await.text() == "two").then_some(())
        })
        .await;
        assert_eq!(socket.say("still there").await, "one still there");
        let mut other = Socket::open(platform.address(), "chat.localhost").await;
        assert_eq!(other.say("hello").await, "two hello");
    });
    // Its server ends without a word when it is told to; the edge has one: a close frame with 1001, "going away".
    assert_eq!(socket.rest().await, [0x88, 2, 0x03, 0xe9]);

    let mut last = Socket::open(platform.address(), "chat.localhost").await;
    assert_eq!(last.say("hello").await, "two hello");
    // A close frame, which is answered in kind; then both sides end.
    last.0.write_all(&[0x88, 0x80, 0, 0, 0, 0]).await.unwrap();
    assert_eq!(last.rest().await, [0x88, 0]);
}

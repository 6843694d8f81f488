//! An app that connects to whatever it is asked to, and the service that it is to reach or not.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use skylift_tests::app::App;
use skylift_tests::folder::Folder;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// A server in Node that knows of no proxy. `settings` are its `skylift.toml`.
pub(crate) fn server(settings: &str) -> Folder {
    let program = r#"
        const http = require('http');
        const net = require('net');
        const connect = (host, port, response) => {
            let said = '';
            const socket = net.connect({ host, port: Number(port) }, () => socket.write('GET / HTTP/1.0\r\nHost: x\r\n\r\n'));
            const end = () => { if (!response.writableEnded) response.end(said); };
            socket.setTimeout(5000, () => { said += ' timeout'; socket.destroy(); });
            socket.on('data', piece => { said += piece; });
            socket.on('error', error => { said += ' ' + error.code; });
            socket.on('close', end);
        };
        http.createServer((request, response) => {
            const url = new URL(request.url, 'http://x');
            const asked = name => url.searchParams.get(name);
            if (url.pathname === '/env') return response.end(process.env[asked('name')] ?? '-');
            if (url.pathname === '/connect') return connect(asked('host'), asked('port'), response);
            if (url.pathname === '/headers') return response.end(JSON.stringify(request.headers));
            if (url.pathname === '/get') {
                const headers = {};
                if (asked('host')) headers.host = asked('host');
                if (asked('forwarded')) headers['x-forwarded-for'] = asked('forwarded');
                const sent = http.get(process.env[asked('variable')] + (asked('path') ?? ''), { headers }, answer => {
                    let body = '';
                    answer.on('data', piece => { body += piece; });
                    answer.on('end', () => response.end(answer.statusCode + ' ' + body));
                });
                return sent.on('error', error => response.end('error ' + error.code));
            }
            response.end('hello');
        }).listen(process.env.PORT);
        process.on('SIGTERM', () => process.exit(0));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file("server.js", program)
        .file("skylift.toml", settings)
}

/// What the app says at a path.
pub(crate) async fn says(app: &App<'_>, path: &str) -> String {
    app.get(path).await.text()
}

/// What the app is told where it connects to `host` and `port` by itself.
pub(crate) async fn connects(app: &App<'_>, host: &str, port: u16) -> String {
    says(app, &format!("/connect?host={host}&port={port}")).await
}

/// A service on this machine: which port it has, and how often somebody came.
pub(crate) struct Service {
    pub(crate) port: u16,
    came: Arc<AtomicUsize>,
}

impl Service {
    /// One that answers every HTTP request with `reached`.
    pub(crate) async fn start() -> Self {
        Self::at("127.0.0.1:0").await.unwrap()
    }

    /// The same, at an address of this machine's; `None` where it has no such address.
    pub(crate) async fn at(address: &str) -> Option<Self> {
        let listener = TcpListener::bind(address).await.ok()?;
        let port = listener.local_addr().unwrap().port();
        let came = Arc::<AtomicUsize>::default();
        let count = came.clone();
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(async move {
                    let _gone = stream.read(&mut [0; 1024]).await;
                    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 7\r\nConnection: close\r\n\r\nreached";
                    let _gone = stream.write_all(answer.as_bytes()).await;
                });
            }
        });
        Some(Self { port, came })
    }

    /// How often somebody came.
    pub(crate) fn came(&self) -> usize {
        self.came.load(Ordering::Relaxed)
    }
}

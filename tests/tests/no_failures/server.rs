//! The app whose clients count: a server in Node that ends at once when it is told to, so that whoever still has something under way
//! there sees it.

use skylift_tests::folder::Folder;

/// How much a slow download has: more than what is passed on whole or not at all.
pub(crate) const DOWNLOAD_BYTES: usize = 200_000;

/// Every answer names its instance (`X-Instance`). `GET /` and `POST /` say the version, the latter behind it how many bytes came; `/download` sends its bytes in ten pieces, half a second
/// in all, and the version behind them; a WebSocket says the version before everything it is told.
pub(crate) fn server(version: &str, rollout: &str) -> Folder {
    harmed(version, rollout, Harm::None)
}

/// What is wrong with a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Harm {
    None,
    /// It answers what it reads with 500.
    Fails,
    /// It takes its time.
    Dawdles,
}

/// The same, with something wrong.
pub(crate) fn harmed(version: &str, rollout: &str, harm: Harm) -> Folder {
    let harm = match harm {
        Harm::None => "",
        Harm::Fails => "if (request.method === 'GET') response.statusCode = 500;",
        Harm::Dawdles => "return setTimeout(answer, 900);",
    };
    let program = r#"
        const http = require('http');
        const crypto = require('crypto');
        const me = process.env.SKYLIFT_INSTANCE;
        const server = http.createServer((request, response) => {
            response.setHeader('X-Instance', me);
            if (request.url === '/download') {
                let pieces = 10;
                response.setHeader('Content-Length', BYTES + 'VERSION'.length);
                const more = () => {
                    if (pieces-- === 0) return response.end('VERSION');
                    response.write(Buffer.alloc(BYTES / 10, 'x'));
                    setTimeout(more, 50);
                };
                return more();
            }
            let bytes = 0;
            request.on('data', piece => { bytes += piece.length; });
            request.on('end', () => {
                const answer = () => response.end(request.method === 'POST' ? 'VERSION ' + bytes : 'VERSION');
                HARM
                answer();
            });
        });
        server.on('upgrade', (request, socket) => {
            const key = request.headers['sec-websocket-key'] + '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
            const accept = crypto.createHash('sha1').update(key).digest('base64');
            const lines = ['HTTP/1.1 101 Switching Protocols', 'Connection: Upgrade', 'Upgrade: websocket', 'X-Instance: ' + me];
            socket.write([...lines, 'Sec-WebSocket-Accept: ' + accept, '', ''].join('\r\n'));
            let unread = Buffer.alloc(0);
            socket.on('data', piece => {
                unread = Buffer.concat([unread, piece]);
                while (unread.length >= 6 && unread.length >= 6 + (unread[1] & 127)) {
                    const [first, length] = [unread[0], unread[1] & 127];
                    const text = Buffer.from(unread.subarray(6, 6 + length).map((byte, at) => byte ^ unread[2 + at % 4]));
                    unread = unread.subarray(6 + length);
                    if ((first & 15) === 8) return socket.end(Buffer.from([0x88, 0]));
                    const said = Buffer.from('VERSION ' + text);
                    socket.write(Buffer.concat([Buffer.from([0x81, said.length]), said]));
                }
            });
            socket.on('error', () => {});
        });
        server.listen(process.env.PORT, process.env.HOST);
        process.on('SIGTERM', () => process.exit(0));
    "#;
    Folder::new()
        .file("package.json", r#"{"name":"server","scripts":{"start":"node server.js"}}"#)
        .file(
            "server.js",
            program.replace("HARM", harm).replace("VERSION", version).replace("BYTES", &DOWNLOAD_BYTES.to_string()),
        )
        .file("skylift.toml", format!("[rollout]\n{rollout}"))
}

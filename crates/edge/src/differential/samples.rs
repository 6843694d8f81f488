//! Requests to begin with, and how they are changed.

/// Requests of every kind, right and wrong. `\n` stands for CR LF, `␊` for LF alone; see [`spelled`].
pub const SAMPLES: &[&str] = &[
    "GET / HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /index.html HTTP/1.1\nHost: docs.localhost\nAccept-Encoding: gzip, br;q=0.5\n\n",
    "GET /about HTTP/1.1\nhost: DOCS.localhost.:80\nConnection: keep-alive\nCookie: a=b\n\n",
    "HEAD /mid.bin?x=/../y HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /big.bin HTTP/1.1\nHost: docs.localhost\nAccept: */*\nUser-Agent: x\nSec-Fetch-Mode: navigate\n\n",
    "GET /empty.txt HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /a%20b.txt HTTP/1.1\nHost: docs.localhost\nX-Forwarded-For: 1.2.3.4\n\n",
    "GET / HTTP/1.1\nHost: docs.localhost\nIf-None-Match: *\n\n",
    "GET /about HTTP/1.1\nHost: docs.localhost\nIf-None-Match: \"x\", W/\"y\"\n\n",
    "GET /nope HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /about.html HTTP/1.1\nHost: clean.localhost\n\n",
    "GET /about HTTP/1.1\nHost: clean.localhost\nIf-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\n\n",
    "GET /users/7 HTTP/1.1\nHost: spa.localhost\nAccept: text/html\n\n",
    "GET /users/7 HTTP/1.1\nHost: spa.localhost\nAccept: image/*\n\n",
    "GET / HTTP/1.1\nHost: ruled.localhost\n\n",
    "GET / HTTP/1.1\nHost: ruled.localhost\nCookie: guest=1\n\n",
    "GET /old HTTP/1.1\nHost: ruled.localhost\n\n",
    "HEAD /app/x HTTP/1.1\nHost: ruled.localhost\n\n",
    "GET /about HTTP/1.1\nHost: ruled.localhost\n\n",
    "GET /about.html?q=1 HTTP/1.1\nHost: ruled.localhost\nCookie: guest=1\nX-Forwarded-Proto: https\n\n",
    "GET /ab%6Fut HTTP/1.1\nHost: ruled.localhost\n\n",
    "HEAD /about/ HTTP/1.1\nHost: ruled.localhost\nIf-None-Match: *\n\n",
    "GET /index.html HTTP/1.1\nHost: ruled.localhost\nAccept-Encoding: br\nAccept-Language: de\n\n",
    "GET /mid.bin HTTP/1.1\nHost: ruled.localhost\nAccept-Language: de\n\n",
    "GET /big.bin?q=1 HTTP/1.1\nHost: ruled.localhost\n\n",
    "GET /docs/ HTTP/1.1\nHost: ruled.localhost\n\n",
    "GET /private/x HTTP/1.1\nHost: ruled.localhost\n\n",
    "GET /users/7 HTTP/1.1\nHost: ruled-spa.localhost\nAccept: text/html\n\n",
    "GET /index HTTP/1.1\nHost: ruled-spa.localhost\n\n",
    "GET /docs/ HTTP/1.1\nHost: pages.localhost\n\n",
    "GET /docs?x=y HTTP/1.1\nHost: pages.localhost\n\n",
    "GET /users/7 HTTP/1.1\nHost: pages.localhost\n\n",
    "GET /about HTTP/1.1\nHost: flare.localhost\n\n",
    "GET /about/ HTTP/1.1\nHost: flare.localhost\n\n",
    "HEAD /docs/ HTTP/1.1\nHost: flare.localhost\nIf-None-Match: *\n\n",
    "GET /mid.bin HTTP/1.1\nHost: flare.localhost\n\n",
    "GET /old HTTP/1.1\nHost: flare.localhost\n\n",
    "GET /users/7 HTTP/1.1\nHost: flare.localhost\n\n",
    "GET /about HTTP/1.1\nHost: vercel.localhost\n\n",
    "GET /about.html HTTP/1.1\nHost: vercel.localhost\n\n",
    "GET /mid.bin HTTP/1.1\nHost: vercel.localhost\nCookie: guest=1\n\n",
    "GET /big.bin?q=1 HTTP/1.1\nHost: vercel.localhost\n\n",
    "GET /app/x HTTP/1.1\nHost: vercel.localhost\n\n",
    "GET / HTTP/1.1\nHost: empty.localhost\n\n",
    "GET / HTTP/1.1\nHost: nobody.localhost\nAccept: application/json\n\n",
    "GET / HTTP/1.1\nHost: evil.example\n\n",
    "GET / HTTP/1.1\nHost: d-0000000010000000.localhost\n\n",
    "GET / HTTP/1.1\n\n",
    "GET / HTTP/1.1\nHost: docs.localhost\nHost: clean.localhost\n\n",
    "GET http://docs.localhost/about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET http://clean.localhost/about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET / HTTP/1.0\nHost: docs.localhost\n\n",
    "GET / HTTP/1.1\nHost: docs.localhost\nConnection: close\n\n",
    "GET / HTTP/1.1\nHost: docs.localhost\nConnection: upgrade\nUpgrade: h2c\nHTTP2-Settings: AAMAAABk\n\n",
    "GET /about HTTP/1.1\nHost: docs.localhost\nContent-Length: 5\n\nhello",
    "POST /about HTTP/1.1\nHost: docs.localhost\nContent-Length: 5\n\nhello",
    "POST / HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5\nhello\n0\n\n",
    "POST / HTTP/1.1\nHost: localhost\nContent-Length: 3\nTransfer-Encoding: chunked\n\n0\n\n",
    "GET / HTTP/1.1\nHost: docs.localhost\nContent-Length: 5\nContent-Length: 6\n\nhello",
    "GET / HTTP/1.1\nHost: docs.localhost\nExpect: 100-continue\n\n",
    "GET /mid.bin HTTP/1.1\nHost: docs.localhost\nRange: bytes=0-9\n\n",
    "GET /mid.bin HTTP/1.1\nHost: docs.localhost\nRange: bytes=0-1,5-9,-3\n\n",
    "GET /mid.bin HTTP/1.1\nHost: docs.localhost\nIf-Match: \"x\"\n\n",
    "GET /../about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /%2e%2e/about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET //about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /about# HTTP/1.1\nHost: docs.localhost\n\n",
    "GET  /about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /about HTTP/1.1\nHost : docs.localhost\n\n",
    "GET /about HTTP/1.1\nHost: docs.localhost\n folded: x\n\n",
    "GET /about HTTP/1.1\nHost: docs.localhost\nAccept-Encoding: identity;q=0\n\n",
    "GET /v1/x HTTP/1.1\nHost: localhost\n\n",
    "OPTIONS * HTTP/1.1\nHost: docs.localhost\n\n",
    "\n\nGET /about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET /about HTTP/1.1␊Host: docs.localhost␊␊",
    "GET /about HTTP/1.1\nHost: docs.localhost\nX: y␊\n",
    "GET /about HTTP/1.1\nHost: docs.localhost\n␊",
    "␊GET /about HTTP/1.1\nHost: docs.localhost\n\n",
    "GET docs.localhost HTTP/1.1\nHost: docs.localhost\n\n",
    "POST / HTTP/1.1\nHost: localhost\nContent-Length: 5\n\na␊b\n",
    "POST / HTTP/1.1\nHost: localhost\nContent-Length: 05\n\nhello",
    "POST / HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5;x\nhello\n0\nX: y\n\n",
    "POST / HTTP/1.1\nHost: localhost\nTransfer-Encoding: chunked\n\n5 \nhello\n0\nHost: x\n\n",
];

/// The bytes that a sample stands for.
pub fn spelled(sample: &str) -> Vec<u8> {
    sample.replace('\n', "\r\n").replace('␊', "\n").into_bytes()
}

/// What is put into requests.
const WORDS: &[&str] = &[
    "GET ",
    "HEAD ",
    "POST ",
    " HTTP/1.1\r\n",
    " HTTP/1.0\r\n",
    " HTTP/2.0\r\n",
    "\r\n",
    "\r\n\r\n",
    "\n",
    "\r",
    "\0",
    "\t",
    " ",
    ":",
    ",",
    ";",
    "/",
    "//",
    "..",
    "/../",
    "%2e",
    "%2F",
    "%00",
    "%",
    "?",
    "#",
    "\\",
    "@",
    "\"",
    "\u{e9}",
    "\u{7f}",
    "Host: docs.localhost\r\n",
    "Host: localhost\r\n",
    "Host: ruled.localhost\r\n",
    "Host: flare.localhost\r\n",
    "Cookie: guest=1\r\n",
    "Accept-Language: de\r\n",
    "Host:\r\n",
    "host: clean.localhost:99999\r\n",
    "Content-Length: 0\r\n",
    "Content-Length: 5\r\n",
    "Content-Length: +5\r\n",
    "Content-Length: 18446744073709551616\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Transfer-Encoding: xchunked\r\n",
    "Transfer-Encoding : chunked\r\n",
    "Connection: close\r\n",
    "Connection: keep-alive\r\n",
    "Connection: keep-alive, x\r\n",
    "Connection: upgrade\r\n",
    "Upgrade: websocket\r\n",
    "Expect: 100-continue\r\n",
    "Range: bytes=0-4\r\n",
    "If-Range: \"x\"\r\n",
    "If-Match: *\r\n",
    "If-None-Match: *\r\n",
    "Accept: text/html\r\n",
    "Accept-Encoding: br\r\n",
    "Accept-Encoding: *;q=0\r\n",
    "X-Forwarded-For: 6.6.6.6\r\n",
    "TE: trailers\r\n",
    "Trailer: x\r\n",
    "Keep-Alive: timeout=5\r\n",
    "X: \u{e9}\r\n",
    "X: \u{1}\r\n",
    "index.html",
    "about",
    "docs/",
    "?q=1",
    "mid.bin",
    "big.bin",
    "5\r\nhello\r\n0\r\n\r\n",
];

/// Numbers that are the same for the same seed (xorshift64*).
pub struct Random(u64);

impl Random {
    /// Numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`, or 0.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(number).unwrap_or(0) % end.max(1)
    }

    /// One of several.
    pub fn one_of<'s, T: ?Sized>(&mut self, all: &'s [&T]) -> &'s T {
        all[self.below(all.len())]
    }
}

/// A few requests one after the other, and a few changes to them.
pub fn mutate(random: &mut Random) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..=random.below(3) {
        bytes.extend_from_slice(&spelled(random.one_of(SAMPLES)));
    }
    // Often few changes: most requests should still mean something.
    let changes = random.below(4) * random.below(3);
    for _ in 0..changes {
        let at = random.below(bytes.len());
        match random.below(7) {
            0 => bytes[at] = u8::try_from(random.below(256)).unwrap_or(0),
            1 => bytes[at] ^= 1 << random.below(8),
            2 => drop(bytes.splice(at..at, random.one_of(WORDS).bytes())),
            3 => insert_line(&mut bytes, random),
            4 => drop(bytes.drain(at..(at + 1 + random.below(20)).min(bytes.len()))),
            5 => drop_one_of(b'\r', &mut bytes, random),
            _ => {
                let end = (at + 1 + random.below(60)).min(bytes.len());
                let again: Vec<u8> = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

/// Takes out one of the bytes of this kind.
fn drop_one_of(kind: u8, bytes: &mut Vec<u8>, random: &mut Random) {
    let places: Vec<usize> = (0..bytes.len()).filter(|at| bytes[*at] == kind).collect();
    if let Some(at) = places.get(random.below(places.len())) {
        bytes.remove(*at);
    }
}

/// Puts a whole line where a line begins: that is where it is a header.
fn insert_line(bytes: &mut Vec<u8>, random: &mut Random) {
    let starts: Vec<usize> = bytes.windows(2).enumerate().filter(|(_, w)| w == b"\r\n").map(|(at, _)| at + 2).collect();
    if let Some(at) = starts.get(random.below(starts.len())) {
        bytes.splice(at..at, random.one_of(WORDS).bytes());
    }
}

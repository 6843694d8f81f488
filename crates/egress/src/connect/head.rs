//! The head of a request to a proxy, read strictly: what is ambiguous is refused, and what goes on is written anew.

use crate::host::parse_port;

/// A request as a proxy gets it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Request<'a> {
    /// `CONNECT host:port`: a tunnel of bytes.
    Tunnel { host: &'a str, port: u16 },
    /// `GET http://host/path`: one exchange over plain HTTP.
    Exchange(Exchange<'a>),
}

/// One request to be written anew for its server.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Exchange<'a> {
    pub(super) method: &'a str,
    pub(super) host: &'a str,
    pub(super) port: u16,
    path: &'a str,
    headers: Vec<Header<'a>>,
    /// Bytes of the body that follows.
    pub(super) body_length: u64,
}

/// The head of a server's answer.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response<'a> {
    pub(super) status: u16,
    reason: &'a str,
    headers: Vec<Header<'a>>,
}

/// A name and a value.
type Header<'a> = (&'a str, &'a str);

/// Why a head is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum InvalidHead {
    #[error("the first line is no HTTP/1.1 request")]
    RequestLine,
    #[error("this is a proxy: ask it for `http://host/path`, or CONNECT to host:port")]
    Form,
    #[error("the address is no host with an optional port")]
    Authority,
    #[error("a header line is malformed")]
    Header,
    #[error("the length of the body is not clear")]
    Length,
    #[error("a body through this proxy needs a Content-Length")]
    Chunked,
    #[error("the first line is no HTTP/1.1 response")]
    StatusLine,
}

const HEADERS_MAX: usize = 100;

/// Headers about one connection, which end at the proxy; `Host` and lengths are written by the proxy itself.
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "upgrade",
    "host",
];

/// Reads a request's head, which ends with its empty line.
pub(super) fn parse_request(head: &[u8]) -> Result<Request<'_>, InvalidHead> {
    let (line, headers) = parse_lines(head, InvalidHead::RequestLine)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some("HTTP/1.1" | "HTTP/1.0"), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(InvalidHead::RequestLine);
    };
    if !is_token(method) || method.len() > 32 {
        return Err(InvalidHead::RequestLine);
    }
    if method == "CONNECT" {
        let (host, port) = split_authority(target)?;
        let port = port.ok_or(InvalidHead::Authority)?;
        return Ok(Request::Tunnel { host, port });
    }
    let rest = strip_scheme(target).ok_or(InvalidHead::Form)?;
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let (host, port) = split_authority(authority)?;
    if !path.bytes().all(|b| b.is_ascii_graphic() && b != b'#') {
        return Err(InvalidHead::RequestLine);
    }
    let body_length = request_body_length(&headers)?;
    Ok(Request::Exchange(Exchange { method, host, port: port.unwrap_or(80), path, headers, body_length }))
}

/// Reads the head of a server's answer.
pub(super) fn parse_response(head: &[u8]) -> Result<Response<'_>, InvalidHead> {
    let (line, headers) = parse_lines(head, InvalidHead::StatusLine)?;
    let rest = line.strip_prefix("HTTP/1.1 ").or_else(|| line.strip_prefix("HTTP/1.0 "));
    let (code, reason) = rest
        .map(|rest| rest.split_once(' ').unwrap_or((rest, "")))
        .filter(|(code, _)| code.len() == 3 && code.bytes().all(|b| b.is_ascii_digit()))
        .ok_or(InvalidHead::StatusLine)?;
    let status = code.parse().map_err(|_| InvalidHead::StatusLine)?;
    Ok(Response { status, reason, headers })
}

impl Exchange<'_> {
    /// The head to send to the server, which knows itself as `authority`.
    pub(super) fn write(&self, authority: &str) -> Vec<u8> {
        let slash = if self.path.starts_with('/') { "" } else { "/" };
        let mut head = format!("{} {slash}{} HTTP/1.1\r\nHost: {authority}\r\n", self.method, self.path);
        for (name, value) in end_to_end(&self.headers) {
            if !name.eq_ignore_ascii_case("content-length") {
                head.push_str(&format!("{name}: {value}\r\n"));
            }
        }
        if values(&self.headers, "content-length").next().is_some() {
            head.push_str(&format!("Content-Length: {}\r\n", self.body_length));
        }
        head.push_str("Connection: close\r\n\r\n");
        head.into_bytes()
    }
}

impl Response<'_> {
    /// Whether the final answer is still to come.
    pub(super) fn is_interim(&self) -> bool {
        (100..200).contains(&self.status)
    }

    /// The head to send to the guest, which is to close after the answer.
    pub(super) fn write(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {:03} {}\r\n", self.status, self.reason);
        for (name, value) in end_to_end(&self.headers) {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head.push_str(if self.is_interim() { "\r\n" } else { "Connection: close\r\n\r\n" });
        head.into_bytes()
    }

    /// Bytes of the body, where they are told; otherwise it ends with the connection.
    pub(super) fn body_length(&self, request_method: &str) -> Option<u64> {
        if request_method == "HEAD" || matches!(self.status, 204 | 304) {
            return Some(0);
        }
        if values(&self.headers, "transfer-encoding").next().is_some() {
            return None;
        }
        content_length(&self.headers).ok().flatten()
    }
}

/// The first line, and the headers after it.
fn parse_lines(head: &[u8], bad_line: InvalidHead) -> Result<(&str, Vec<Header<'_>>), InvalidHead> {
    let text = std::str::from_utf8(head).map_err(|_| InvalidHead::Header)?;
    let text = text.strip_suffix("\r\n\r\n").ok_or(InvalidHead::Header)?;
    let mut lines = text.split("\r\n");
    let first = lines.next().filter(|line| !line.contains(|c: char| c.is_control())).ok_or(bad_line)?;
    let headers = lines.map(parse_header).collect::<Option<Vec<_>>>().ok_or(InvalidHead::Header)?;
    if headers.len() > HEADERS_MAX {
        return Err(InvalidHead::Header);
    }
    Ok((first, headers))
}

/// `Name: value`; a folded line begins with a space and so has no name. Bare CR and LF are control characters.
fn parse_header(line: &str) -> Option<Header<'_>> {
    let (name, value) = line.split_once(':')?;
    let value = value.trim_matches([' ', '\t']);
    let is_clean = is_token(name) && !value.contains(|c: char| c.is_control() && c != '\t');
    is_clean.then_some((name, value))
}

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b))
}

fn strip_scheme(target: &str) -> Option<&str> {
    let (scheme, rest) = target.split_at_checked(7)?;
    scheme.eq_ignore_ascii_case("http://").then_some(rest)
}

/// The host (brackets included) and the port of `host[:port]`. User names, as in `user@host`, are refused later, as
/// no part of a host's grammar.
fn split_authority(authority: &str) -> Result<(&str, Option<u16>), InvalidHead> {
    let host_end = if authority.starts_with('[') {
        authority.find(']').ok_or(InvalidHead::Authority)? + 1
    } else {
        authority.find(':').unwrap_or(authority.len())
    };
    let (host, rest) = authority.split_at(host_end);
    let port = match rest.strip_prefix(':') {
        Some(digits) => Some(parse_port(digits).ok_or(InvalidHead::Authority)?),
        None if rest.is_empty() => None,
        None => return Err(InvalidHead::Authority),
    };
    if host.is_empty() { Err(InvalidHead::Authority) } else { Ok((host, port)) }
}

fn request_body_length(headers: &[Header<'_>]) -> Result<u64, InvalidHead> {
    if values(headers, "transfer-encoding").next().is_some() {
        return Err(InvalidHead::Chunked);
    }
    content_length(headers).map(Option::unwrap_or_default)
}

fn content_length(headers: &[Header<'_>]) -> Result<Option<u64>, InvalidHead> {
    let mut lengths = values(headers, "content-length");
    let Some(digits) = lengths.next() else { return Ok(None) };
    let is_clear = lengths.next().is_none() && !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    if is_clear { digits.parse().map(Some).map_err(|_| InvalidHead::Length) } else { Err(InvalidHead::Length) }
}

fn values<'a>(headers: &'a [Header<'a>], name: &'a str) -> impl Iterator<Item = &'a str> {
    headers.iter().filter(move |(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| *value)
}

/// The headers that are not about this connection alone. Nobody may name the framing of a body so.
fn end_to_end<'a>(headers: &'a [Header<'a>]) -> impl Iterator<Item = &'a Header<'a>> {
    let named: Vec<&str> = values(headers, "connection").flat_map(|value| value.split(',')).map(str::trim).collect();
    headers.iter().filter(move |(name, _)| {
        let is_framing = name.eq_ignore_ascii_case("content-length") || name.eq_ignore_ascii_case("transfer-encoding");
        let is_hop = HOP_BY_HOP.iter().chain(&named).any(|hop| hop.eq_ignore_ascii_case(name));
        is_framing || !is_hop
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn request(head: &str) -> Result<Request<'_>, InvalidHead> {
        parse_request(head.as_bytes())
    }

    fn rewritten(head: &str) -> String {
        match request(head) {
            Ok(Request::Exchange(exchange)) => String::from_utf8(exchange.write("a.example")).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn connect_names_a_host_and_a_port() {
        for (target, host, port) in [("a.example:443", "a.example", 443), ("[2001:db8::1]:22", "[2001:db8::1]", 22)] {
            let head = format!("CONNECT {target} HTTP/1.1\r\nHost: other\r\n\r\n");
            assert_eq!(request(&head), Ok(Request::Tunnel { host, port }));
        }
    }

    #[test]
    fn a_request_is_written_anew_without_what_concerns_the_proxy_alone() {
        let head = "GET http://A.example/x?y=1 HTTP/1.1\r\nHost: inner.lan\r\nAccept: */*\r\n\
                    Proxy-Authorization: Basic eA==\r\nConnection: keep-alive, X-Secret, content-length\r\n\
                    X-Secret: 1\r\nTE: trailers\r\nUpgrade: h2c\r\ncontent-length: 007\r\n\r\n";
        assert_eq!(
            rewritten(head),
            "GET /x?y=1 HTTP/1.1\r\nHost: a.example\r\nAccept: */*\r\nContent-Length: 7\r\nConnection: close\r\n\r\n"
        );
    }

    #[test]
    fn an_empty_path_is_the_root() {
        assert!(rewritten("GET http://a.example HTTP/1.0\r\n\r\n").starts_with("GET / HTTP/1.1\r\n"));
        assert!(rewritten("GET HTTP://a.example?q HTTP/1.1\r\n\r\n").starts_with("GET /?q HTTP/1.1\r\n"));
    }

    #[test]
    fn ambiguous_heads_are_refused() {
        use InvalidHead::{Authority, Chunked, Form, Header, Length, RequestLine};
        for (head, reason) in [
            ("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n", Form),
            ("GET https://a.example/ HTTP/1.1\r\n\r\n", Form),
            ("OPTIONS * HTTP/1.1\r\n\r\n", Form),
            ("GET http://a.example/ HTTP/2.0\r\n\r\n", RequestLine),
            ("GET http://a.example/ HTTP/1.1 x\r\n\r\n", RequestLine),
            ("GET  http://a.example/ HTTP/1.1\r\n\r\n", RequestLine),
            ("GET http://a.example/\n HTTP/1.1\r\n\r\n", RequestLine),
            ("GET http://a.example/#f HTTP/1.1\r\n\r\n", RequestLine),
            ("GET http://a.example/ä HTTP/1.1\r\n\r\n", RequestLine),
            ("G(T http://a.example/ HTTP/1.1\r\n\r\n", RequestLine),
            ("CONNECT a.example HTTP/1.1\r\n\r\n", Authority),
            ("CONNECT a.example: HTTP/1.1\r\n\r\n", Authority),
            ("CONNECT a.example:0 HTTP/1.1\r\n\r\n", Authority),
            ("CONNECT a.example:65536 HTTP/1.1\r\n\r\n", Authority),
            ("CONNECT a.example:+443 HTTP/1.1\r\n\r\n", Authority),
            ("CONNECT ::1:443 HTTP/1.1\r\n\r\n", Authority),
            ("CONNECT [::1]x:443 HTTP/1.1\r\n\r\n", Authority),
            ("CONNECT :443 HTTP/1.1\r\n\r\n", Authority),
            ("GET http:///x HTTP/1.1\r\n\r\n", Authority),
            ("GET http://u:p@a.example/ HTTP/1.1\r\n\r\n", Authority),
            ("GET http://a.example/ HTTP/1.1\r\nA : b\r\n\r\n", Header),
            ("GET http://a.example/ HTTP/1.1\r\nA: b\r\n c\r\n\r\n", Header),
            ("GET http://a.example/ HTTP/1.1\r\nA: b\nB: c\r\n\r\n", Header),
            ("GET http://a.example/ HTTP/1.1\r\nA: b\rc\r\n\r\n", Header),
            ("GET http://a.example/ HTTP/1.1\r\nA: b\0\r\n\r\n", Header),
            ("GET http://a.example/ HTTP/1.1\r\nA\r\n\r\n", Header),
            ("POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", Length),
            ("POST http://a.example/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n", Length),
            ("POST http://a.example/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n", Length),
            ("POST http://a.example/ HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n", Length),
            ("POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n", Chunked),
        ] {
            assert_eq!(request(head), Err(reason), "{head:?}");
        }
        assert_eq!(parse_request(b"CONNECT a.example:443 HTTP/1.1\r\nA: \xff\r\n\r\n"), Err(Header));
        let many = format!("GET http://a.example/ HTTP/1.1\r\n{}\r\n", "A: b\r\n".repeat(101));
        assert_eq!(request(&many), Err(Header));
    }

    #[test]
    fn an_answer_keeps_its_framing_and_is_the_last_of_its_connection() {
        let head = b"HTTP/1.0 200 OK\r\nConnection: keep-alive, content-length\r\nKeep-Alive: timeout=5\r\n\
                     Content-Length: 12\r\nX: y\r\n\r\n";
        let response = parse_response(head).unwrap();
        let written = String::from_utf8(response.write()).unwrap();
        assert_eq!(written, "HTTP/1.1 200 OK\r\nContent-Length: 12\r\nX: y\r\nConnection: close\r\n\r\n");
        assert_eq!(response.body_length("GET"), Some(12));
        assert_eq!(response.body_length("HEAD"), Some(0));
        let chunked = parse_response(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").unwrap();
        assert_eq!(chunked.body_length("GET"), None);
        for bad in ["HTTP/2 200 OK\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 +20 OK\r\n\r\n", "SSH-2.0-x\r\n\r\n"] {
            assert_eq!(parse_response(bad.as_bytes()), Err(InvalidHead::StatusLine), "{bad:?}");
        }
    }

    proptest! {
        #[test]
        fn no_head_brings_the_proxy_down(head in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _read = parse_request(&head);
            let _read = parse_response(&head);
        }

        /// What is written anew has exactly one meaning: it has as many lines as it seems to have.
        #[test]
        fn a_rewritten_head_smuggles_no_line(text in "[ -~\r\n\t:]{0,80}", path in "[ -~\r\n]{0,20}") {
            let head = format!("GET http://a.example/{path} HTTP/1.1\r\nA: b\r\n{text}\r\n\r\n");
            if let Ok(Request::Exchange(exchange)) = parse_request(head.as_bytes()) {
                let written = String::from_utf8(exchange.write("a.example")).unwrap();
                let body = written.strip_suffix("\r\n\r\n").unwrap();
                prop_assert!(!body.contains("\r\n\r\n"));
                prop_assert!(!body.replace("\r\n", "").contains(['\r', '\n']));
            }
        }
    }
}

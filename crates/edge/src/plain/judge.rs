//! Whether some bytes are a request that is plain enough to be answered at once.
//!
//! The answer is yes only for a GET or HEAD of HTTP/1.1 without a body and without anything that changes how the
//! connection or the message is understood. Whatever else may be wrong or merely unusual is for the strict
//! implementation, which then reads the same bytes; so nothing is ever refused here, and nothing is accepted here that
//! it would refuse.

use std::mem::MaybeUninit;

use http::Method;

use crate::strict::head::lines_end_right;

/// More fields than this are not plain.
pub(crate) const FIELDS_MAX: usize = 64;

/// What some bytes are.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is read where it was made; a box would be an allocation for each request"
)]
pub(crate) enum Verdict<'b> {
    /// The beginning of a request; more bytes will tell.
    Incomplete,
    /// Something for the strict implementation.
    Odd,
    /// A plain request.
    Plain(Plain<'b>),
}

/// A plain request: everything in it that an answer may depend on.
#[derive(Debug)]
pub(crate) struct Plain<'b> {
    /// How many bytes it takes.
    pub(crate) length: usize,
    /// `GET` or `HEAD`.
    pub(crate) method: PlainMethod,
    /// Path and query; starts with a slash, and has only characters that no two readers understand differently.
    pub(crate) target: &'b str,
    pub(crate) host: &'b str,
    /// The headers that what is sent of a file may depend on, lower-case name and value, each at most once.
    pub(crate) asks: [Option<(&'static str, &'b [u8])>; ASKS.len()],
    /// What a proxy says of the client.
    pub(crate) forwarded_for: Option<&'b [u8]>,
    /// What a proxy calls the request.
    pub(crate) request_id: Option<&'b [u8]>,
}

/// The methods of plain requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PlainMethod {
    Get,
    Head,
}

/// The headers by which a file's form is chosen.
const ASKS: [&str; 4] = ["accept", "accept-encoding", "if-none-match", "sec-fetch-mode"];

/// The headers that make a request odd: those that frame a message, change the connection, or ask for a part or a
/// certain version of a file.
const ODD: [&str; 13] = [
    "content-length",
    "expect",
    "http2-settings",
    "if-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "proxy-connection",
    "range",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

impl PlainMethod {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
        }
    }

    pub(crate) const fn method(self) -> Method {
        match self {
            Self::Get => Method::GET,
            Self::Head => Method::HEAD,
        }
    }
}

/// Judges the bytes at the beginning of a request.
pub(crate) fn judge(bytes: &[u8]) -> Verdict<'_> {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) if lines_end_right(bytes.get(..length).unwrap_or_default()) => {
            read(&request, length).map_or(Verdict::Odd, Verdict::Plain)
        }
        Ok(httparse::Status::Complete(_)) => Verdict::Odd,
        Ok(httparse::Status::Partial) => Verdict::Incomplete,
        Err(_) => Verdict::Odd,
    }
}

fn read<'b>(request: &httparse::Request<'_, 'b>, length: usize) -> Option<Plain<'b>> {
    let method = match request.method? {
        "GET" => PlainMethod::Get,
        "HEAD" => PlainMethod::Head,
        _ => return None,
    };
    let target = request.path.filter(|target| request.version == Some(1) && is_plain_target(target))?;
    let mut host = None;
    let mut asks = [None; ASKS.len()];
    let mut forwarded_for = None;
    let mut request_id = None;
    for field in request.headers.iter() {
        let named = |name: &str| field.name.eq_ignore_ascii_case(name);
        // The length tells most names apart.
        match field.name.len() {
            4 if named("host") => put(&mut host, std::str::from_utf8(field.value).ok()?)?,
            10 if named("connection") && !field.value.eq_ignore_ascii_case(b"keep-alive") => return None,
            12 if named("x-request-id") => put(&mut request_id, field.value)?,
            15 if named("x-forwarded-for") => put(&mut forwarded_for, field.value)?,
            _ => {
                if ODD.iter().any(|name| named(name)) {
                    return None;
                }
                if let Some((name, ask)) = ASKS.iter().zip(&mut asks).find(|(name, _)| named(name)) {
                    put(ask, (*name, field.value))?;
                }
            }
        }
    }
    Some(Plain { length, method, target, host: host?, asks, forwarded_for, request_id })
}

/// Notes what may be there once.
fn put<T>(place: &mut Option<T>, value: T) -> Option<()> {
    let first = place.is_none();
    *place = Some(value);
    first.then_some(())
}

/// Whether a target is a path and perhaps a query of the characters that RFC 3986 has for them.
fn is_plain_target(target: &str) -> bool {
    target.starts_with('/') && target.bytes().all(|byte| PLAIN.get(usize::from(byte)) == Some(&true))
}

const PLAIN: [bool; 256] = {
    let mut plain = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        #[expect(clippy::indexing_slicing, reason = "evaluated when it is compiled, within bounds")]
        {
            plain[byte as usize] = byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'-' | b'.'
                        | b'_'
                        | b'~'
                        | b'!'
                        | b'$'
                        | b'&'
                        | b'\''
                        | b'('
                        | b')'
                        | b'*'
                        | b'+'
                        | b','
                        | b';'
                        | b'='
                        | b':'
                        | b'@'
                        | b'%'
                        | b'/'
                        | b'?'
                );
        }
        byte += 1;
    }
    plain
};

#[cfg(test)]
mod tests {
    use super::*;

    fn check(request: &str) -> String {
        match judge(request.replace('\n', "\r\n").as_bytes()) {
            Verdict::Incomplete => "incomplete".into(),
            Verdict::Odd => "odd".into(),
            Verdict::Plain(plain) => format!("{} {} {}", plain.method.as_str(), plain.host, plain.target),
        }
    }

    #[test]
    fn plain_requests_are_understood() {
        for (request, expected) in [
            ("GET / HTTP/1.1\nHost: a\n\n", "GET a /"),
            ("HEAD /x?y=/%20 HTTP/1.1\nhOST: a:80\nConnection: Keep-Alive\nCookie: b\n\nrest", "HEAD a:80 /x?y=/%20"),
            ("\n\nGET / HTTP/1.1\nHost: a\n\n", "GET a /"),
            ("GET / HTTP/1.1\nHost: a\n", "incomplete"),
            ("G", "incomplete"),
            ("", "incomplete"),
        ] {
            assert_eq!(check(request), expected, "{request}");
        }
    }

    #[test]
    fn whatever_is_unusual_is_odd() {
        for request in [
            "POST / HTTP/1.1\nHost: a\n\n",
            "get / HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.0\nHost: a\n\n",
            "GET / HTTP/1.1\n\n",
            "GET / HTTP/1.1\nHost: a\nHost: a\n\n",
            "GET http://a/ HTTP/1.1\nHost: a\n\n",
            "GET * HTTP/1.1\nHost: a\n\n",
            "GET /# HTTP/1.1\nHost: a\n\n",
            "GET /\" HTTP/1.1\nHost: a\n\n",
            "GET /é HTTP/1.1\nHost: a\n\n",
            "GET / HTTP/1.1\nHost: a\nContent-Length: 0\n\n",
            "GET / HTTP/1.1\nHost: a\nTransfer-Encoding: chunked\n\n",
            "GET / HTTP/1.1\nHost: a\nConnection: close\n\n",
            "GET / HTTP/1.1\nHost: a\nConnection: keep-alive, upgrade\n\n",
            "GET / HTTP/1.1\nHost: a\nUpgrade: h2c\n\n",
            "GET / HTTP/1.1\nHost: a\nExpect: 100-continue\n\n",
            "GET / HTTP/1.1\nHost: a\nRange: bytes=0-1\n\n",
            "GET / HTTP/1.1\nHost: a\nIf-Match: *\n\n",
            "GET / HTTP/1.1\nHost: a\nAccept: b\nAccept: c\n\n",
            "GET / HTTP/1.1\nHost: a\n folded: b\n\n",
            "GET / HTTP/1.1\nHost : a\n\n",
            "PRI * HTTP/2.0\n\nSM\n\n",
            "\u{16}\u{3}\u{1}",
        ] {
            assert_eq!(check(request), "odd", "{request}");
        }
        let many = format!("GET / HTTP/1.1\nHost: a\n{}\n", "x: y\n".repeat(FIELDS_MAX));
        assert_eq!(check(&many), "odd");
    }
}

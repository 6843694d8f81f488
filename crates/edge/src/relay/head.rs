//! The head of an instance's answer: read with one reading or none, and written as the client gets it. Pure.

use std::borrow::Cow;
use std::io::Write;
use std::mem::MaybeUninit;

use http::{HeaderName, StatusCode};

use crate::host::spelled;
use crate::now::Moment;
use crate::program::framing::{Ambiguous, Frame, Framing, has_no_body};
use crate::upstream::fields::{goes_homeward, is_own_cookie, may_be_named};
use crate::wire;

/// How many fields a head may have.
const FIELDS_MAX: usize = 100;

/// What some bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// The beginning of a head; more bytes will tell.
    Incomplete,
    /// So many bytes say that the answer will come.
    Interim(usize),
    /// A head, which was written for the client.
    Head(Head),
    /// A head with a status that has no meaning here.
    NoAnswer(StatusCode),
    /// Nothing that has one reading.
    Wrong,
}

/// A head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    /// How many bytes it takes.
    pub(super) length: usize,
    pub(super) status: StatusCode,
    pub(super) framing: Framing,
    /// Whether the connection goes on behind the answer.
    pub(super) keeps: bool,
}

/// What is known of the request.
pub(super) struct Asked<'a> {
    pub(super) is_head: bool,
    /// As the client named it.
    pub(super) host: &'a str,
    pub(super) id: &'a str,
    /// Whether search engines should look at another address.
    pub(super) is_unlisted: bool,
    pub(super) now: Moment,
}

/// Reads the bytes at the beginning of an answer, and appends its head as the client gets it: the fields that
/// [`crate::upstream::fields::homeward`] lets through, and ours.
pub(super) fn convert(bytes: &[u8], asked: &Asked<'_>, out: &mut Vec<u8>) -> Read {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut response = httparse::Response::new(&mut []);
    let config = httparse::ParserConfig::default();
    let length = match config.parse_response_with_uninit_headers(&mut response, bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Read::Incomplete,
        Err(_) => return Read::Wrong,
    };
    let Some(status) = response.code.and_then(|code| StatusCode::from_u16(code).ok()) else { return Read::Wrong };
    match status.as_u16() {
        101 | 600.. => return Read::NoAnswer(status),
        100..200 => return Read::Interim(length),
        _ => {}
    }
    let is_http_11 = response.version == Some(1);
    let written = out.len();
    match write(response.headers, (status, is_http_11), asked, out) {
        Ok((framing, is_over)) => Read::Head(Head { length, status, framing, keeps: is_http_11 && !is_over }),
        Err(Ambiguous) => {
            out.truncate(written);
            Read::Wrong
        }
    }
}

/// Writes it; returns what frames the body, and whether the connection is not to be used again behind it.
fn write(
    fields: &[httparse::Header<'_>],
    (status, is_http_11): (StatusCode, bool),
    asked: &Asked<'_>,
    out: &mut Vec<u8>,
) -> Result<(Framing, bool), Ambiguous> {
    wire::status(out, status);
    let connection = Connection::of(fields);
    let (mut frame, mut is_dated) = (Frame::default(), false);
    let mut buffer = [0; wire::NAME_BYTES];
    for field in fields {
        let short = wire::lower(field.name, &mut buffer).map(Cow::Borrowed);
        let name = short.unwrap_or_else(|| field.name.to_ascii_lowercase().into());
        match &*name {
            "content-length" => {
                frame.length(field.value)?;
                continue;
            }
            "transfer-encoding" => frame.coding(field.value)?,
            "x-request-id" => continue,
            "x-robots-tag" if asked.is_unlisted => continue,
            "date" => is_dated = true,
            "set-cookie" if !is_own_cookie(field.value, &spelled(asked.host.as_bytes())) => continue,
            _ => {}
        }
        if goes_homeward(&name) && !connection.names(&name) {
            wire::field(out, &name, field.value);
        }
    }
    let framing = frame.framing(status, (is_http_11, asked.is_head))?;
    frame_field(framing, frame.length.filter(|_| !has_no_body(status)), out);
    if asked.is_unlisted {
        wire::field(out, "x-robots-tag", b"noindex");
    }
    wire::field(out, "x-request-id", asked.id.as_bytes());
    if is_dated {
        out.extend_from_slice(b"\r\n");
    } else {
        wire::end(out, asked.now);
    }
    Ok((framing, connection.closes || frame.may_send_more(status, asked.is_head)))
}

/// Says what frames the body on the way to the client. Without a body, a length says how long it would be.
fn frame_field(framing: Framing, length: Option<u64>, out: &mut Vec<u8>) {
    match (framing, length) {
        (Framing::Length(length), _) | (Framing::Nothing, Some(length)) => {
            let _ = write!(out, "content-length: {length}\r\n");
        }
        (Framing::Chunked | Framing::ToTheEnd, _) => wire::field(out, "transfer-encoding", b"chunked"),
        (Framing::Nothing, None) => {}
    }
}

/// What an answer says of its connection.
#[derive(Default)]
struct Connection {
    closes: bool,
    /// Fields that are of the connection alone.
    named: Vec<HeaderName>,
}

impl Connection {
    fn of(fields: &[httparse::Header<'_>]) -> Self {
        let mut connection = Self::default();
        for field in fields.iter().filter(|field| field.name.eq_ignore_ascii_case("connection")) {
            for token in field.value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
                if token.eq_ignore_ascii_case(b"close") {
                    connection.closes = true;
                } else if !token.eq_ignore_ascii_case(b"keep-alive") {
                    connection.named.extend(HeaderName::from_bytes(token).ok().filter(may_be_named));
                }
            }
        }
        connection
    }

    fn names(&self, name: &str) -> bool {
        self.named.iter().any(|named| named.as_str() == name)
    }
}

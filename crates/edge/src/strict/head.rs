//! Whether some bytes are the head of a request, and what frames its body. Pure.
//!
//! The HTTP implementation behind this reads leniently what some peers write: lines that end in LF alone, a fragment in a
//! target, a length beside a coding. Every such leniency is a place where two readers of the same bytes may part, so here
//! each has one reading or none (RFC 9112 §2.2, §3, §5.1, §6). What is right here is read the same way by everybody.

use std::mem::MaybeUninit;

use super::FIELDS_MAX;

/// What some bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Head {
    /// The beginning of a head; more bytes will tell.
    Incomplete,
    /// So many bytes are a head, and this follows it.
    Complete(usize, Content, Behind),
    /// A head with more than a request may have.
    Beyond,
    /// No head of a request.
    Refused(Fault),
}

/// What follows a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    /// So many bytes.
    Length(u64),
    /// Chunks, up to an empty one.
    Chunked,
}

/// What comes behind all of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Another one.
    Request,
    /// What its answer says: it asks for another protocol.
    Depends,
}

/// Why some bytes are no head of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error("it is not written as HTTP is")]
    Syntax,
    #[error("a line does not end in CR LF")]
    LineEnd,
    #[error("the target is no path or http address, or has a fragment")]
    Target,
    #[error("the length is not one plain number")]
    Length,
    #[error("the transfer coding is not `chunked`, or not of HTTP/1.1")]
    Coding,
    #[error("the body has a length and a transfer coding")]
    LengthAndCoding,
    #[error("something else than `100-continue` is expected")]
    Expect,
}

/// Reads the bytes at the beginning of a request.
pub(crate) fn read(bytes: &[u8]) -> Head {
    let mut fields = [const { MaybeUninit::uninit() }; FIELDS_MAX];
    let mut request = httparse::Request::new(&mut []);
    let length = match request.parse_with_uninit_headers(bytes, &mut fields) {
        Ok(httparse::Status::Complete(length)) => length,
        Ok(httparse::Status::Partial) => return Head::Incomplete,
        Err(httparse::Error::TooManyHeaders) => return Head::Beyond,
        Err(_) => return Head::Refused(Fault::Syntax),
    };
    let head = bytes.get(..length).unwrap_or_default();
    match content(head, &request) {
        Ok(content) => {
            // Whatever the field says: whoever answers looks at no more than that, either.
            let asks = request.headers.iter().any(|field| field.name.eq_ignore_ascii_case("upgrade"));
            Head::Complete(length, content, if asks { Behind::Depends } else { Behind::Request })
        }
        Err(fault) => Head::Refused(fault),
    }
}

/// Whether every line of a head ends in CR LF, and neither is anywhere else.
pub(crate) fn lines_end_right(head: &[u8]) -> bool {
    let pairs = head.iter().zip(head.get(1..).unwrap_or_default());
    // All of them are looked at: without a way out, many are in one go.
    pairs.fold(head.first() != Some(&b'\n'), |right, (one, next)| right & ((*one == b'\r') == (*next == b'\n')))
}

fn content(head: &[u8], request: &httparse::Request<'_, '_>) -> Result<Content, Fault> {
    if !lines_end_right(head) {
        return Err(Fault::LineEnd);
    }
    if !is_target(request.method.unwrap_or_default(), request.path.unwrap_or_default()) {
        return Err(Fault::Target);
    }
    let (mut length, mut chunked, mut expects) = (None, false, false);
    for field in request.headers.iter() {
        let named = |name: &str| field.name.eq_ignore_ascii_case(name);
        if named("content-length") {
            let value = plain_value(head, field).and_then(number).ok_or(Fault::Length)?;
            if length.replace(value).is_some() {
                return Err(Fault::Length);
            }
        } else if named("transfer-encoding") {
            let value = plain_value(head, field).ok_or(Fault::Coding)?;
            if !value.eq_ignore_ascii_case(b"chunked") || request.version != Some(1) || chunked {
                return Err(Fault::Coding);
            }
            chunked = true;
        } else if named("expect") {
            if !field.value.eq_ignore_ascii_case(b"100-continue") || expects {
                return Err(Fault::Expect);
            }
            expects = true;
        }
    }
    match (length, chunked) {
        (Some(_), true) => Err(Fault::LengthAndCoding),
        (None, true) => Ok(Content::Chunked),
        (length, false) => Ok(Content::Length(length.unwrap_or(0))),
    }
}

/// A path, an http address, or what its method alone may ask for. A fragment is no part of it.
fn is_target(method: &str, target: &str) -> bool {
    let begins = |scheme: &str| target.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let form = match target {
        "*" => method == "OPTIONS",
        _ => target.starts_with('/') || method == "CONNECT" || begins("http://") || begins("https://"),
    };
    form && !target.contains('#')
}

/// A value with at most one space before it and nothing behind it: other space is read by some and trimmed by others.
fn plain_value<'v>(head: &[u8], field: &httparse::Header<'v>) -> Option<&'v [u8]> {
    let from = |part: &[u8]| part.as_ptr().addr().checked_sub(head.as_ptr().addr());
    let name_end = from(field.name.as_bytes())?.checked_add(field.name.len())?;
    let value_start = from(field.value)?;
    let before = head.get(name_end..value_start)?;
    let behind = head.get(value_start.checked_add(field.value.len())?..)?;
    (matches!(before, b":" | b": ") && behind.starts_with(b"\r\n")).then_some(field.value)
}

/// Digits, and nothing that another reader could take for another number.
fn number(digits: &[u8]) -> Option<u64> {
    let octal = digits.len() > 1 && digits.starts_with(b"0");
    if octal || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    // The largest ones have other meanings to the HTTP implementation.
    std::str::from_utf8(digits).ok()?.parse().ok().filter(|number| *number <= u64::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &str) -> Head {
        read(head.as_bytes())
    }

    fn with(field: &str) -> Head {
        check(&format!("POST / HTTP/1.1\r\nHost: a\r\n{field}\r\n\r\n"))
    }

    #[test]
    fn what_follows_a_head_has_one_reading() {
        assert_eq!(check("GET / HTTP/1.1\r\n\r\nrest"), Head::Complete(18, Content::Length(0), Behind::Request));
        assert_eq!(check("\r\nGET / HTTP/1.0\r\n\r\n"), Head::Complete(20, Content::Length(0), Behind::Request));
        for (field, content) in [
            ("Content-Length: 0", Content::Length(0)),
            ("content-length:15", Content::Length(15)),
            ("Transfer-Encoding: Chunked", Content::Chunked),
            ("Expect: 100-Continue\r\nContent-Length: 5", Content::Length(5)),
            ("X:\t \ta\tb\u{e9} \t", Content::Length(0)),
        ] {
            assert!(
                matches!(with(field), Head::Complete(_, other, Behind::Request) if other == content),
                "{field}: {:?}",
                with(field)
            );
        }
    }

    #[test]
    fn what_is_behind_a_request_for_another_protocol_depends_on_its_answer() {
        for field in ["Upgrade: websocket", "upgrade:", "UPGRADE: h2c\r\nConnection: close"] {
            assert!(matches!(with(field), Head::Complete(_, _, Behind::Depends)), "{field}");
        }
        assert!(matches!(with("Connection: upgrade"), Head::Complete(_, _, Behind::Request)));
    }

    #[test]
    fn a_head_that_has_not_ended_is_incomplete_and_one_with_too_much_is_beyond() {
        let head = "GET /x HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n";
        for end in 0..head.len() {
            assert_eq!(check(&head[..end]), Head::Incomplete, "{end}");
        }
        assert_eq!(with(&"x: y\r\n".repeat(FIELDS_MAX)), Head::Beyond);
    }

    #[test]
    fn every_doubt_about_a_body_is_refused() {
        for (field, fault) in [
            ("Content-Length: +5", Fault::Length),
            ("Content-Length: -5", Fault::Length),
            ("Content-Length: 0x5", Fault::Length),
            ("Content-Length: 5,5", Fault::Length),
            ("Content-Length: 05", Fault::Length),
            ("Content-Length:  5", Fault::Length),
            ("Content-Length:\t5", Fault::Length),
            ("Content-Length: 5 ", Fault::Length),
            ("Content-Length:", Fault::Length),
            ("Content-Length: 18446744073709551616", Fault::Length),
            ("Content-Length: 18446744073709551615", Fault::Length),
            ("Content-Length: 5\r\nContent-Length: 5", Fault::Length),
            ("Transfer-Encoding: xchunked", Fault::Coding),
            ("Transfer-Encoding: gzip, chunked", Fault::Coding),
            ("Transfer-Encoding: chunked, chunked", Fault::Coding),
            ("Transfer-Encoding:  chunked", Fault::Coding),
            ("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked", Fault::Coding),
            ("Transfer-Encoding: chunked\r\nContent-Length: 5", Fault::LengthAndCoding),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Fault::LengthAndCoding),
            ("Expect: y 100-continue", Fault::Expect),
            ("Expect: 100-continue\r\nExpect: 100-continue", Fault::Expect),
            ("Transfer-Encoding : chunked", Fault::Syntax),
            ("X: a\r\n chunked", Fault::Syntax),
            ("X\u{7f}: a", Fault::Syntax),
            ("X: a\0", Fault::Syntax),
            ("X: a\rb", Fault::Syntax),
        ] {
            assert_eq!(with(field), Head::Refused(fault), "{field:?}");
        }
        let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
        assert_eq!(check(old), Head::Refused(Fault::Coding));
    }

    #[test]
    fn lines_end_in_both_characters() {
        let head = "GET /x HTTP/1.1\r\nHost: a\r\nX: y\r\n\r\n";
        assert!(lines_end_right(head.as_bytes()));
        for (at, _) in head.match_indices('\r') {
            let one_less = format!("{}{}", &head[..at], &head[at + 1..]);
            assert!(!lines_end_right(one_less.as_bytes()), "{one_less:?}");
            assert_eq!(check(&one_less), Head::Refused(Fault::LineEnd), "{one_less:?}");
        }
        assert_eq!(check(&head.replace("\r\n", "\n")), Head::Refused(Fault::LineEnd));
        assert_eq!(check(&format!("\n{head}")), Head::Refused(Fault::LineEnd));
        assert!(!lines_end_right(b"a\rb\r\n") && !lines_end_right(b"\n"));
    }

    #[test]
    fn a_target_is_a_path_or_an_http_address() {
        for (line, right) in [
            ("GET /x?y=[z]|", true),
            ("GET HTTP://a/x", true),
            ("OPTIONS *", true),
            ("CONNECT a:443", true),
            ("GET *", false),
            ("GET a", false),
            ("GET a:443", false),
            ("GET ftp://a/", false),
            ("GET /x#", false),
            ("GET /x?y#z", false),
            ("GET http://a/#x", false),
        ] {
            let head = check(&format!("{line} HTTP/1.1\r\nHost: a\r\n\r\n"));
            assert_eq!(matches!(head, Head::Complete(..)), right, "{line}: {head:?}");
            assert!(right || head == Head::Refused(Fault::Target), "{line}: {head:?}");
        }
    }
}

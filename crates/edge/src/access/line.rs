//! One line of the access log.

use std::net::SocketAddr;

use crate::now::{Moment, with_texts};

/// How lines are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AccessStyle {
    /// One JSON object a line, with the fields that all log lines of the platform have.
    Json,
    /// For people at a terminal.
    Text,
}

/// What there is to say of one request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line<'l> {
    pub(crate) ended: Moment,
    pub(crate) id: &'l str,
    pub(crate) host: Option<&'l str>,
    pub(crate) app: Option<&'l str>,
    pub(crate) deployment: Option<&'l str>,
    pub(crate) method: &'l str,
    /// Without its query: that may hold what is nobody's business.
    pub(crate) path: &'l str,
    pub(crate) status: u16,
    pub(crate) bytes: u64,
    pub(crate) duration_us: u64,
    pub(crate) client: SocketAddr,
    /// Whether all of the answer was taken.
    pub(crate) complete: bool,
    /// The other host that the request was passed on to.
    pub(crate) passed_on: Option<&'l str>,
    /// What the cache made of it.
    pub(crate) cache: Option<&'l str>,
}

impl Line<'_> {
    /// Appends the line, its end included.
    pub(crate) fn write(&self, style: AccessStyle, out: &mut Vec<u8>) {
        match style {
            AccessStyle::Json => self.write_json(out),
            AccessStyle::Text => self.write_text(out),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"{\"timestamp\":\"");
        self.write_time(out);
        out.extend_from_slice(b"\",\"level\":\"INFO\",\"message\":\"request\",\"request.id\":\"");
        out.extend_from_slice(self.id.as_bytes());
        out.push(b'"');
        for (name, value) in [("host", self.host), ("app", self.app), ("deployment", self.deployment)] {
            if let Some(value) = value {
                text_field(out, name, value);
            }
        }
        text_field(out, "method", self.method);
        text_field(out, "path", self.path);
        for (name, value) in [("passed_on", self.passed_on), ("cache", self.cache)] {
            if let Some(value) = value {
                text_field(out, name, value);
            }
        }
        number_field(out, b",\"status\":", self.status.into());
        number_field(out, b",\"bytes\":", self.bytes);
        number_field(out, b",\"duration_us\":", self.duration_us);
        out.extend_from_slice(b",\"client\":\"");
        write_address(out, self.client);
        let end: &[u8] = match self.complete {
            true => b"\",\"complete\":true,\"target\":\"access\"}\n",
            false => b"\",\"complete\":false,\"target\":\"access\"}\n",
        };
        out.extend_from_slice(end);
    }

    fn write_text(&self, out: &mut Vec<u8>) {
        self.write_time(out);
        out.extend_from_slice(b"  INFO access: ");
        for word in [self.method, self.host.unwrap_or("-"), self.path] {
            // Escapes of a terminal are no part of an address, but may be sent as one.
            out.extend(word.bytes().map(|b| if b.is_ascii_control() { b'?' } else { b }));
            out.push(b' ');
        }
        number_field(out, b"", self.status.into());
        number_field(out, b" bytes=", self.bytes);
        number_field(out, b" us=", self.duration_us);
        out.extend_from_slice(b" client=");
        write_address(out, self.client);
        out.extend_from_slice(b" id=");
        out.extend_from_slice(self.id.as_bytes());
        out.extend_from_slice(if self.complete { b"\n" } else { b" cut\n" });
    }

    fn write_time(&self, out: &mut Vec<u8>) {
        with_texts(self.ended, |texts| out.extend_from_slice(texts.rfc3339.as_bytes()));
        let millis = self.ended.unix_ms % 1000;
        let digit = |value: u64| b'0' + u8::try_from(value % 10).unwrap_or(0);
        out.extend_from_slice(&[b'.', digit(millis / 100), digit(millis / 10), digit(millis), b'Z']);
    }
}

fn text_field(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":\"");
    write_escaped(out, value);
    out.push(b'"');
}

/// The inside of a JSON string.
fn write_escaped(out: &mut Vec<u8>, value: &str) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    if !value.bytes().any(|b| b < 0x20 || matches!(b, b'"' | b'\\' | 0x7f)) {
        return out.extend_from_slice(value.as_bytes());
    }
    for byte in value.bytes() {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0..0x20 | 0x7f => {
                let digit = |value: u8| HEX.get(usize::from(value)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            byte => out.push(byte),
        }
    }
}

fn number_field(out: &mut Vec<u8>, before: &[u8], value: u64) {
    out.extend_from_slice(before);
    write_number(out, value);
}

/// Decimal digits. `write!` would do the same at several times the cost, for every request.
fn write_number(out: &mut Vec<u8>, mut value: u64) {
    let start = out.len();
    loop {
        out.push(b'0' + u8::try_from(value % 10).unwrap_or(0));
        value /= 10;
        if value == 0 {
            break;
        }
    }
    if let Some(digits) = out.get_mut(start..) {
        digits.reverse();
    }
}

fn write_address(out: &mut Vec<u8>, address: SocketAddr) {
    match address {
        SocketAddr::V4(address) => {
            for (place, octet) in address.ip().octets().into_iter().enumerate() {
                if place > 0 {
                    out.push(b'.');
                }
                write_number(out, octet.into());
            }
        }
        SocketAddr::V6(address) => {
            out.push(b'[');
            out.extend_from_slice(address.ip().to_string().as_bytes());
            out.push(b']');
        }
    }
    out.push(b':');
    write_number(out, address.port().into());
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    fn line<'l>(path: &'l str, host: Option<&'l str>, client: &str) -> Line<'l> {
        Line {
            ended: Moment { instant: Instant::now(), unix_ms: 784_111_777_042 },
            id: "r-1",
            host,
            app: Some("shop"),
            deployment: None,
            method: "GET",
            path,
            status: 200,
            bytes: 1024,
            duration_us: 0,
            client: client.parse().unwrap(),
            complete: true,
            passed_on: None,
            cache: None,
        }
    }

    fn written(line: Line<'_>, style: AccessStyle) -> String {
        let mut out = Vec::new();
        line.write(style, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_line_is_one_json_object_whatever_was_sent() {
        let text = written(line("/a\"\\\n\u{1b}\u{7f}é", Some("h"), "[2001:db8::1]:80"), AccessStyle::Json);
        assert_eq!(text.lines().count(), 1);
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["path"], "/a\"\\\n\u{1b}\u{7f}é");
        assert_eq!(value["timestamp"], "1994-11-06T08:49:37.042Z");
        assert_eq!(value["client"], "[2001:db8::1]:80");
        assert_eq!((&value["bytes"], &value["duration_us"]), (&1024.into(), &0.into()));
        assert!(value.get("deployment").is_none());
    }

    #[test]
    fn a_terminal_is_not_told_what_to_do() {
        let text = written(line("/\u{1b}[2J", None, "127.0.0.1:9"), AccessStyle::Text);
        assert_eq!(
            text,
            "1994-11-06T08:49:37.042Z  INFO access: GET - /?[2J 200 bytes=1024 us=0 client=127.0.0.1:9 id=r-1\n"
        );
    }

    #[test]
    fn numbers_are_those_of_the_standard_library() {
        for value in [0, 9, 10, 99, 100, 12_345, u64::MAX] {
            let mut out = Vec::new();
            write_number(&mut out, value);
            assert_eq!(out, value.to_string().into_bytes());
        }
    }
}

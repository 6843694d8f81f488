//! Server-sent events: bytes in, events out. No IO.
//!
//! Follows the WHATWG grammar (line ends, comments, `data` in several lines) and is strict where a wrong answer could
//! be taken for a right one: bytes that are not UTF-8, and events beyond a size, are errors.

use std::mem;

/// The largest event, in bytes.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    /// The event's id, where it has one of its own.
    pub id: Option<String>,
    /// The event's type; empty where none is given.
    pub event: String,
    /// The data, lines joined by `\n`.
    pub data: String,
}

/// Why bytes are no event stream.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidStream {
    #[error("an event that is not UTF-8")]
    Encoding,
    #[error("an event of more than {EVENT_BYTES_MAX} bytes")]
    TooLarge,
}

/// Takes bytes as they come and gives events as they are complete.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    frame: Frame,
    has_data: bool,
    after_cr: bool,
    past_bom: bool,
}

impl Parser {
    /// Adds bytes; returns the events they complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, InvalidStream> {
        let mut frames = Vec::new();
        for &byte in bytes {
            let after_cr = mem::replace(&mut self.after_cr, byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => frames.extend(self.end_line()?),
                _ => self.line.push(byte),
            }
            if self.line.len() + self.frame.data.len() > EVENT_BYTES_MAX {
                return Err(InvalidStream::TooLarge);
            }
        }
        Ok(frames)
    }

    fn end_line(&mut self) -> Result<Option<Frame>, InvalidStream> {
        let line = String::from_utf8(mem::take(&mut self.line)).map_err(|_| InvalidStream::Encoding)?;
        let line = if mem::replace(&mut self.past_bom, true) { &*line } else { line.trim_start_matches('\u{feff}') };
        if line.is_empty() {
            let frame = mem::take(&mut self.frame);
            return Ok(mem::take(&mut self.has_data).then_some(frame));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "data" => {
                if mem::replace(&mut self.has_data, true) {
                    self.frame.data.push('\n');
                }
                self.frame.data.push_str(value);
            }
            "event" => value.clone_into(&mut self.frame.event),
            "id" if !value.contains('\0') => self.frame.id = Some(value.to_owned()),
            // Comments (an empty field), `retry` and fields of later versions.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(stream: &str, expected: &[(&str, &str, &str)]) {
        let expected: Vec<Frame> = expected
            .iter()
            .map(|(id, event, data)| Frame {
                id: (*id != "-").then(|| (*id).to_owned()),
                event: (*event).to_owned(),
                data: (*data).to_owned(),
            })
            .collect();
        assert_eq!(Parser::default().push(stream.as_bytes()).unwrap(), expected, "in one piece: {stream:?}");
        let mut parser = Parser::default();
        let bytewise: Vec<Frame> = stream.bytes().flat_map(|byte| parser.push(&[byte]).unwrap()).collect();
        assert_eq!(bytewise, expected, "byte by byte: {stream:?}");
    }

    #[test]
    fn events_are_the_same_however_the_bytes_arrive() {
        check("id: 1\nevent: log\ndata: x\n\n", &[("1", "log", "x")]);
        check("data:a\r\ndata: b\r\n\r\ndata: c\r\r", &[("-", "", "a\nb"), ("-", "", "c")]);
        check("\u{feff}data: bom\n\n", &[("-", "", "bom")]);
        check(": keep alive\n\nid: 7\n\ndata\n\n", &[("-", "", "")]);
        check("data: cut off\n", &[]);
        check("retry: 10\nfuture: x\ndata: { \"a\": 1 }\n\n", &[("-", "", "{ \"a\": 1 }")]);
    }

    #[test]
    fn what_is_not_utf_8_or_endless_is_refused() {
        assert_eq!(Parser::default().push(b"data: \xff\n"), Err(InvalidStream::Encoding));
        let mut parser = Parser::default();
        let refused = (0..20).find_map(|_| parser.push(&[b'x'; 1 << 16]).err());
        assert_eq!(refused, Some(InvalidStream::TooLarge));
    }
}

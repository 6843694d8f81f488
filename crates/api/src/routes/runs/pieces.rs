//! What a run printed, cut into events.

use axum::response::sse::Event as Frame;
use serde::Serialize;
use skylift_model::run::Encoding;
use skylift_queue::{Printed, Seen};

/// Where a client is in a run's events: what it has seen. As an event's id it says where to go on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) seen: Seen,
}

impl Position {
    /// Reads what [`Position::to_text`] wrote; the beginning, where it is anything else.
    pub(super) fn parse(text: &str) -> Self {
        let mut numbers = text.trim().split('.').map(str::parse);
        let (Some(Ok(stdout)), Some(Ok(stderr))) = (numbers.next(), numbers.next()) else { return Self::default() };
        Self { seen: Seen { stdout, stderr, began: true, compiled: true } }
    }

    pub(super) fn to_text(self) -> String {
        format!("{}.{}", self.seen.stdout, self.seen.stderr)
    }
}

#[derive(Serialize)]
struct Piece<'a> {
    data: &'a str,
}

/// Some of what a run printed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    pub(crate) is_stdout: bool,
    /// In the run's encoding.
    pub(crate) data: String,
    /// What a client has seen with it.
    pub(crate) seen: Seen,
}

impl Cut {
    /// What the stream is called that it is of.
    pub(crate) fn stream(&self) -> &'static str {
        if self.is_stdout { "stdout" } else { "stderr" }
    }
}

/// What is new, as texts; `is_all` where nothing follows it. A character of several bytes is not cut, as long as more may come.
pub(crate) fn cut(new: &Printed, seen: &mut Seen, encoding: Encoding, is_all: bool) -> Vec<Cut> {
    let mut cuts = Vec::new();
    for (is_stdout, bytes) in [(true, &new.stdout), (false, &new.stderr)] {
        let length = if is_all || encoding != Encoding::Utf8 { bytes.len() } else { whole_characters(bytes) };
        let Some(bytes) = bytes.get(..length).filter(|bytes| !bytes.is_empty()) else { continue };
        *(if is_stdout { &mut seen.stdout } else { &mut seen.stderr }) += length;
        cuts.push(Cut { is_stdout, data: encoding.encode(bytes), seen: *seen });
    }
    cuts
}

/// The events for what is new, as [`cut`] has it.
pub(super) fn frames(new: &Printed, position: &mut Position, encoding: Encoding, is_all: bool) -> Vec<Frame> {
    let cuts = cut(new, &mut position.seen, encoding, is_all);
    let tell = |cut: &Cut| frame(cut.stream(), &Position { seen: cut.seen }.to_text(), &Piece { data: &cut.data });
    cuts.iter().map(tell).collect()
}

pub(super) fn frame(name: &str, id: &str, value: &impl Serialize) -> Frame {
    // Plain structs: serialising them cannot fail.
    Frame::default().id(id).event(name).data(serde_json::to_string(value).unwrap_or_default())
}

/// How many bytes there are before a character that has only begun.
fn whole_characters(bytes: &[u8]) -> usize {
    let length = bytes.len();
    let begun = (1..=3.min(length)).find(|back| {
        let needs = match bytes.get(length - back) {
            Some(0xc0..=0xdf) => 2,
            Some(0xe0..=0xef) => 3,
            Some(0xf0..=0xff) => 4,
            _ => 0,
        };
        needs > *back
    });
    length - begun.unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_character_is_not_cut_unless_nothing_follows() {
        for (bytes, whole) in [
            (&b"abc"[..], 3),
            ("aé".as_bytes(), 3),
            (b"a\xc3", 1),
            (b"a\xe2\x82", 1),
            (b"a\xf0\x9f\x98", 1),
            (b"\x80\x80\x80\x80", 4),
            (b"", 0),
        ] {
            assert_eq!(whole_characters(bytes), whole, "{bytes:?}");
        }
        let new = Printed { stdout: b"a\xc3".to_vec(), stderr: Vec::new() };
        let mut position = Position::default();
        assert_eq!(frames(&new, &mut position, Encoding::Utf8, false).len(), 1);
        assert_eq!(position.seen.stdout, 1);
        frames(&new, &mut position, Encoding::Base64, false);
        assert_eq!(position.seen.stdout, 3);
    }

    #[test]
    fn an_id_says_where_to_go_on() {
        let position = Position { seen: Seen { stdout: 12, stderr: 3, began: true, compiled: true } };
        assert_eq!(Position::parse(&position.to_text()), position);
        assert_eq!(Position::parse("x"), Position::default());
    }
}

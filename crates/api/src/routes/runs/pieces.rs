//! What a run printed, cut into events.

use axum::response::sse::Event as Frame;
use serde::Serialize;
use skylift_model::run::{Encoding, RunState};
use skylift_queue::{Printed, Seen};

/// Where a client is in a run's events: what it was told. As an event's id it says where to go on.
///
/// Each event is behind the one before it: of a later stage, or of the same one with more printed. So no two share an id, and
/// the ids of a run, compared number by number, only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) stage: Stage,
    pub(super) seen: Seen,
}

/// The last that a client was told of how far a run is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stage {
    /// Nothing.
    #[default]
    Begin,
    /// That it waits.
    Queued,
    /// That it runs, or something that it printed.
    Running,
    /// Its end.
    Settled,
}

impl Stage {
    const ALL: [(Self, &str); 3] = [(Self::Queued, "0"), (Self::Running, "1"), (Self::Settled, "2")];
}

impl Position {
    /// Reads what [`Position::to_text`] wrote, and nothing else: an id that was never told says nowhere to go on.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let (Some(stage), Some(stdout), Some(stderr)) = (parts.next(), parts.next(), parts.next()) else { return None };
        let (stage, _) = Stage::ALL.into_iter().find(|(_, number)| *number == stage)?;
        let seen = Seen { stdout: stdout.parse().ok()?, stderr: stderr.parse().ok()?, began: true, compiled: true };
        let position = Self { stage, seen };
        let is_told = stage > Stage::Queued || (seen.stdout, seen.stderr) == (0, 0);
        (is_told && position.to_text() == text).then_some(position)
    }

    pub(super) fn to_text(self) -> String {
        let number = Stage::ALL.iter().find(|(stage, _)| *stage == self.stage).map_or("0", |(_, number)| number);
        format!("{number}.{}.{}", self.seen.stdout, self.seen.stderr)
    }

    /// Where to go on in the events of a run that is so far; `None` where all of them were told. Of one that was given up, and is queued
    /// again since, there are new ones.
    pub(super) fn within(self, state: RunState) -> Option<Self> {
        match (self.stage, state.is_settled()) {
            (Stage::Settled, true) => None,
            (Stage::Settled, false) => Some(Self::default()),
            _ => Some(self),
        }
    }

    /// The same, once that was told as well.
    pub(super) fn at(&mut self, stage: Stage) -> String {
        self.stage = stage;
        self.to_text()
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
    if !cuts.is_empty() {
        position.stage = Stage::Running;
    }
    let id = |cut: &Cut| Position { seen: cut.seen, ..*position }.to_text();
    cuts.iter().map(|cut| frame(cut.stream(), &id(cut), &Piece { data: &cut.data })).collect()
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
    fn an_id_says_where_to_go_on_and_what_was_never_one_says_nothing() {
        let seen = |stdout, stderr| Seen { stdout, stderr, began: true, compiled: true };
        for (stage, seen, text) in [
            (Stage::Queued, seen(0, 0), "0.0.0"),
            (Stage::Running, seen(0, 0), "1.0.0"),
            (Stage::Running, seen(12, 3), "1.12.3"),
            (Stage::Settled, seen(12, 3), "2.12.3"),
        ] {
            let position = Position { stage, seen };
            assert_eq!((position.to_text().as_str(), Position::parse(text)), (text, Some(position)));
        }
        let told = Position { stage: Stage::Settled, seen: seen(1, 0) };
        assert_eq!(told.within(RunState::Done), None);
        assert_eq!(told.within(RunState::Queued), Some(Position::default()), "it is run again");
        assert_eq!(Position::default().within(RunState::Done), Some(Position::default()));
        for text in [
            "",
            "x",
            "1",
            "1.2",
            "1.2.3.4",
            "3.0.0",
            "-1.0.0",
            "0.5.0",
            "0.0.1",
            "1.+1.0",
            "1.01.0",
            "1. 1.0",
            "1.1.0 ",
            "1.99999999999999999999.0",
            "1.0.0x",
        ] {
            assert_eq!(Position::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn no_two_events_have_one_id_and_each_is_behind_the_one_before() {
        let mut position = Position::default();
        let mut ids = vec![position.at(Stage::Queued), position.at(Stage::Running)];
        let printed = |stdout: &str, stderr: &str| Printed { stdout: stdout.into(), stderr: stderr.into() };
        for new in [printed("ab", "c"), printed("", "d"), printed("", ""), printed("e", "")] {
            for cut in cut(&new, &mut position.seen, Encoding::Utf8, false) {
                ids.push(Position { seen: cut.seen, ..position }.to_text());
            }
        }
        ids.push(position.at(Stage::Settled));
        assert_eq!(ids, ["0.0.0", "1.0.0", "1.2.0", "1.2.1", "1.2.2", "1.3.2", "2.3.2"]);
    }
}

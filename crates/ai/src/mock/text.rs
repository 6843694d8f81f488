//! What the mock says: words that follow from the question alone.

use super::Numbers;
use super::prompt::Prompt;
use crate::tokens;

/// How long an answer is by itself, in words.
const WORDS_MIN: u64 = 12;
const WORDS_MORE: u64 = 36;
/// How many pieces of the question are said again.
const ECHO: usize = 12;
/// How many numbers a context has at most.
const CONTEXT_MAX: usize = 2048;

const WORDS: [&str; 64] = [
    "amber", "and", "anchor", "answer", "any", "arrow", "as", "basin", "beacon", "before", "bridge", "calm", "cedar",
    "channel", "clear", "cloud", "corner", "course", "dawn", "delta", "drift", "east", "echo", "ember", "every",
    "field", "forest", "from", "garden", "gentle", "glass", "harbor", "hill", "into", "island", "lantern", "leaf",
    "letter", "light", "meadow", "mirror", "moss", "narrow", "north", "open", "orbit", "over", "paper", "pattern",
    "quiet", "rain", "reason", "river", "signal", "silver", "simple", "slow", "stone", "thread", "under", "valley",
    "water", "window", "with",
];

/// Why there is no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    /// It was done, or came to where it should stop.
    Stop,
    /// It had said as much as it should.
    Length,
    /// There was nothing to say.
    Load,
    Unload,
}

impl Reason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::Length => "length",
            Self::Load => "load",
            Self::Unload => "unload",
        }
    }

    /// Whether anything was answered.
    pub(super) const fn is_work(self) -> bool {
        matches!(self, Self::Stop | Self::Length)
    }
}

/// An answer's text.
#[derive(Debug)]
pub(super) struct Text {
    pieces: Vec<String>,
    pub(super) reason: Reason,
}

impl Text {
    pub(super) fn about(model: &str, prompt: &Prompt) -> Self {
        let Some(last) = prompt.last().filter(|text| !text.is_empty()) else {
            let reason = if prompt.unloads { Reason::Unload } else { Reason::Load };
            return Self { pieces: Vec::new(), reason };
        };
        let text = sentence(last, Numbers::of(&prompt.bytes(model)));
        let text = if prompt.wants_json { serde_json::json!({ "answer": text }).to_string() } else { text };
        let stops = prompt.options.stop.as_ref().map_or(&[][..], |stops| stops.all());
        let stop = stops.iter().filter(|stop| !stop.is_empty()).filter_map(|stop| text.find(stop.as_str())).min();
        let text = stop.and_then(|at| text.get(..at)).unwrap_or(&text);
        let mut pieces: Vec<String> = tokens::split(text).map(str::to_owned).collect();
        let most = prompt.options.num_predict.filter(|most| *most > 0).and_then(|most| usize::try_from(most).ok());
        let is_cut = most.is_some_and(|most| pieces.len() > most);
        pieces.truncate(most.unwrap_or(usize::MAX));
        Self { pieces, reason: if is_cut { Reason::Length } else { Reason::Stop } }
    }

    pub(super) fn pieces(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().map(String::as_str)
    }

    pub(super) fn whole(&self) -> String {
        self.pieces.concat()
    }

    pub(super) fn tokens(&self) -> u64 {
        u64::try_from(self.pieces.len()).unwrap_or(u64::MAX)
    }

    /// A number for each piece of question and answer, for the next question.
    pub(super) fn context(&self, prompt: &Prompt) -> Vec<u32> {
        let number = |piece: &str| u32::try_from(Numbers::of(piece.as_bytes()).next() % 32_000).unwrap_or_default();
        let pieces: Vec<&str> = prompt.pieces().chain(self.pieces()).collect();
        let room = CONTEXT_MAX.saturating_sub(pieces.len());
        let before = prompt.context();
        let before = before.iter().skip(before.len().saturating_sub(room)).copied();
        let now = pieces.iter().skip(pieces.len().saturating_sub(CONTEXT_MAX)).map(|piece| number(piece));
        before.chain(now).collect()
    }
}

/// What was asked, in its first words, and then words in sentences.
fn sentence(asked: &str, mut numbers: Numbers) -> String {
    let echo = tokens::split(asked).take(ECHO).collect::<String>();
    let mut text = format!("You said: {}.", echo.trim());
    let count = WORDS_MIN + numbers.next() % WORDS_MORE;
    let mut begins = true;
    for number in 1..=count {
        let index = usize::try_from(numbers.next() % WORDS.len() as u64).unwrap_or_default();
        let word = WORDS.get(index).copied().unwrap_or_default();
        text.push(' ');
        match word.split_at_checked(1).filter(|_| begins) {
            Some((first, rest)) => text.extend([&first.to_ascii_uppercase(), rest]),
            None => text.push_str(word),
        }
        begins = number == count || numbers.next().is_multiple_of(8);
        if begins {
            text.push('.');
        }
    }
    text
}

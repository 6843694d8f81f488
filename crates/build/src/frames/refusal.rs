//! Why files were not taken, in words for the person who sent them.

use std::fmt;

use super::format::MESSAGE_BYTES_MAX;

/// Why files were not taken. It is the user's failure, told with what to do next; not an error of ours.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// For programs.
    pub code: RefusalCode,
    /// What happened, with the entry it happened at.
    pub message: String,
    /// What to do next; may be empty.
    pub hint: String,
}

macro_rules! refusal_codes {
    ($($(#[$doc:meta])* $variant:ident = $text:literal,)*) => {
        /// The kinds of [`Refusal`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum RefusalCode { $($(#[$doc])* $variant,)* }

        impl RefusalCode {
            const ALL: &[(Self, &'static str)] = &[$((Self::$variant, $text),)*];
        }
    };
}

refusal_codes! {
    /// Not an archive, a damaged one, or one with entries that are not taken.
    InvalidArchive = "invalid_archive",
    /// A folder with entries that are not taken.
    InvalidTree = "invalid_tree",
    /// More files or bytes than the limits allow.
    TooLarge = "too_large",
    /// The Git server wants other credentials.
    GitAuth = "git_auth",
    /// The Git server knows no such repository.
    GitNotFound = "git_not_found",
    /// The repository has no such branch, tag or commit.
    GitRef = "git_ref",
    /// The branch was overwritten while it was cloned.
    GitMoved = "git_moved",
    /// The Git server's address is one that may not be reached.
    GitForbidden = "git_forbidden",
    /// The Git server cannot be reached.
    GitUnreachable = "git_unreachable",
    /// The Git server took too long.
    GitTimedOut = "git_timed_out",
    /// The repository's objects are named in another way than was expected.
    GitFormat = "git_format",
    /// Git refused what the server sent.
    GitRefused = "git_refused",
    /// Git failed otherwise.
    GitFailed = "git_failed",
    /// The sandbox itself failed: no room, no right to read.
    Sandbox = "sandbox",
}

impl RefusalCode {
    /// The code as text.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(code, _)| *code == self).map_or("", |(_, text)| text)
    }

    pub(super) fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, known)| *known == text).map(|(code, _)| *code)
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Refusal {
    /// A refusal with what to do next.
    pub fn new(code: RefusalCode, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: hint.into() }
    }
}

/// A text as it may stand in a message: no control characters, none that turn the direction of writing, not too long.
pub(super) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len().min(MESSAGE_BYTES_MAX));
    for c in text.chars() {
        let c = if c == '\n' { ' ' } else { c };
        let shown = if is_hidden(c) { char::REPLACEMENT_CHARACTER } else { c };
        if plain.len() + shown.len_utf8() > MESSAGE_BYTES_MAX {
            break;
        }
        plain.push(shown);
    }
    plain
}

fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_way_through_a_stream() {
        for (code, text) in RefusalCode::ALL {
            assert_eq!(RefusalCode::parse(text), Some(*code));
            assert_eq!(code.as_str(), *text);
        }
    }

    #[test]
    fn a_message_cannot_move_the_cursor_or_turn_the_text() {
        assert_eq!(plain("a\x1b[2Jb\u{202e}c\nd"), "a\u{fffd}[2Jb\u{fffd}c d");
        assert!(plain(&"ä".repeat(5000)).len() <= MESSAGE_BYTES_MAX);
    }
}

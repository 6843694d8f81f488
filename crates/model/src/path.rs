//! Paths of users' files: relative, forward slashes, nothing that could lead elsewhere on any platform.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The longest path, in bytes.
pub const PATH_BYTES_MAX: usize = 1024;
/// The longest part of a path, in bytes (what Linux file systems take).
pub const PART_BYTES_MAX: usize = 255;
/// The deepest nesting of a path.
pub const PARTS_MAX: usize = 64;

/// A relative path such as `src/index.html`: UTF-8, parts joined by `/`, no part empty, `.` or `..`, no control
/// characters or backslashes, no drive letter, and no part that Git would take for its own folder.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FilePath(Box<str>);

/// Why a text is not the path of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPath {
    #[error("the path is empty")]
    Empty,
    #[error("the path is longer than {PATH_BYTES_MAX} bytes, or a part of it longer than {PART_BYTES_MAX}")]
    TooLong,
    #[error("the path has more than {PARTS_MAX} parts")]
    TooDeep,
    #[error("the path is absolute")]
    Absolute,
    #[error("the path has an empty, `.` or `..` part")]
    Dots,
    #[error("the path has a control character or a backslash")]
    Character,
    #[error("the path has a part that Git keeps for itself (`.git` in any spelling)")]
    Git,
}

impl FilePath {
    /// The path as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its parts, outermost first.
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.0.split('/')
    }

    /// The folders it lies in, outermost first.
    pub fn folders_above(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').filter_map(|(at, _)| self.0.get(..at))
    }

    /// The last part.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// What follows `folder/`, where the path lies below it; the whole path for the empty folder.
    pub fn below(&self, folder: &str) -> Option<&str> {
        if folder.is_empty() {
            return Some(&self.0);
        }
        self.0.strip_prefix(folder)?.strip_prefix('/')
    }
}

impl FromStr for FilePath {
    type Err = InvalidPath;

    fn from_str(text: &str) -> Result<Self, InvalidPath> {
        if text.is_empty() {
            return Err(InvalidPath::Empty);
        }
        if text.len() > PATH_BYTES_MAX {
            return Err(InvalidPath::TooLong);
        }
        if text.starts_with('/') || is_drive(text) {
            return Err(InvalidPath::Absolute);
        }
        if text.chars().any(|c| c.is_control() || c == '\\') {
            return Err(InvalidPath::Character);
        }
        let mut count = 0;
        for part in text.split('/') {
            count += 1;
            match part {
                "" | "." | ".." => return Err(InvalidPath::Dots),
                _ if part.len() > PART_BYTES_MAX => return Err(InvalidPath::TooLong),
                _ if is_git(part) => return Err(InvalidPath::Git),
                _ => {}
            }
        }
        if count > PARTS_MAX {
            return Err(InvalidPath::TooDeep);
        }
        Ok(Self(text.into()))
    }
}

fn is_drive(text: &str) -> bool {
    matches!(text.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic())
}

/// `.git` in the spellings that case-folding, Windows and HFS+ file systems take for it (git's own `verify_path`).
fn is_git(part: &str) -> bool {
    let plain: String = part.chars().filter(|c| !is_ignored_by_hfs(*c)).collect();
    let plain = plain.trim_end_matches(['.', ' ']).to_ascii_lowercase();
    let plain = plain.split(':').next().unwrap_or_default();
    plain == ".git" || plain == "git~1"
}

/// Characters that HFS+ leaves out when it compares names.
fn is_ignored_by_hfs(c: char) -> bool {
    matches!(c, '\u{200c}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{206a}'..='\u{206f}' | '\u{feff}')
}

impl fmt::Display for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for FilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for FilePath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for FilePath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_paths_pass() {
        for path in
            ["index.html", "a/b/c.txt", ".gitignore", ".github/x.yml", "ünïcode/日本.txt", "a b/c", "git", "..."]
        {
            assert!(path.parse::<FilePath>().is_ok(), "{path}");
        }
    }

    #[test]
    fn paths_that_lead_elsewhere_are_refused() {
        let cases = [
            ("", InvalidPath::Empty),
            ("/etc/x", InvalidPath::Absolute),
            ("C:/x", InvalidPath::Absolute),
            ("C:\\x", InvalidPath::Absolute),
            ("../x", InvalidPath::Dots),
            ("a/../../x", InvalidPath::Dots),
            ("a//b", InvalidPath::Dots),
            ("a/", InvalidPath::Dots),
            ("./a", InvalidPath::Dots),
            ("a\0b", InvalidPath::Character),
            ("a\\b", InvalidPath::Character),
            ("a\nb", InvalidPath::Character),
            (".git/config", InvalidPath::Git),
            ("a/.GIT/hooks/x", InvalidPath::Git),
            (".git./x", InvalidPath::Git),
            ("git~1/x", InvalidPath::Git),
            (".git::$INDEX_ALLOCATION/x", InvalidPath::Git),
            (".g\u{200c}it/x", InvalidPath::Git),
        ];
        for (path, reason) in cases {
            assert_eq!(path.parse::<FilePath>().unwrap_err(), reason, "{path:?}");
        }
        assert_eq!("a/".repeat(70).trim_end_matches('/').parse::<FilePath>().unwrap_err(), InvalidPath::TooDeep);
        assert_eq!("a".repeat(300).parse::<FilePath>().unwrap_err(), InvalidPath::TooLong);
    }
}

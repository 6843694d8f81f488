//! Branches, tags and commits by name.

use std::fmt;
use std::str::FromStr;

/// The longest name, in bytes.
const NAME_BYTES_MAX: usize = 244;

/// The name of a branch or tag (git-check-ref-format(1), and of its characters only those that nobody could take for
/// something else), or a full commit hash.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitRef(String);

/// Text that is neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is neither the name of a branch or tag nor a full commit hash")]
pub struct InvalidRef;

impl GitRef {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it is a full commit hash.
    pub fn is_hash(&self) -> bool {
        matches!(self.0.len(), 40 | 64) && self.0.bytes().all(|b| b.is_ascii_hexdigit())
    }
}

impl FromStr for GitRef {
    type Err = InvalidRef;

    fn from_str(text: &str) -> Result<Self, InvalidRef> {
        let character = |c: char| c.is_alphanumeric() || "._-+#=@/".contains(c);
        let part = |part: &str| {
            !part.is_empty() && !part.starts_with(['.', '-']) && !part.ends_with('.') && !part.ends_with(".lock")
        };
        let fine = !text.is_empty()
            && text.len() <= NAME_BYTES_MAX
            && text != "@"
            && text.chars().all(character)
            && text.split('/').all(part)
            && !text.contains("..");
        if fine { Ok(Self(text.to_owned())) } else { Err(InvalidRef) }
    }
}

impl fmt::Display for GitRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_branches_tags_and_commits_pass() {
        for name in
            ["main", "feature/x-1", "v1.2.3", "release/2026.11", "fix#12", "größe", "user@topic", &"a".repeat(40)]
        {
            assert!(name.parse::<GitRef>().is_ok(), "{name}");
        }
        assert!("0123456789abcdef0123456789abcdef01234567".parse::<GitRef>().unwrap().is_hash());
    }

    #[test]
    fn everything_that_could_be_something_else_is_refused() {
        for name in [
            "",
            "@",
            "main;id",
            "$(id)",
            "`id`",
            "-c",
            "--output=x",
            "@{u}",
            "main@{1}",
            "refs/heads/../x",
            "a..b",
            "a b",
            "a\nb",
            "a\0b",
            "a~1",
            "a^",
            "a:b",
            "a?b",
            "a*b",
            "a[b",
            "a\\b",
            "/a",
            "a/",
            "a//b",
            ".a",
            "a/.b",
            "a.lock",
            "a.",
            "a|b",
            "a&b",
            "a>b",
            "a'b",
            "a\"b",
            "x/-y",
            &"a".repeat(10_000),
        ] {
            assert!(name.parse::<GitRef>().is_err(), "{name:?}");
        }
    }
}

//! The commit that was cloned, on its way out of the sandbox.

use skylift_model::source::Commit;

use super::reference::GitRef;

/// What `git log` prints for [`parse_commit`]: hash, author and message, with a NUL between.
pub(super) const LOG_FORMAT: &str = "--format=%H%x00%an <%ae>%x00%B";
const AUTHOR_CHARS_MAX: usize = 200;
const MESSAGE_CHARS_MAX: usize = 8000;

/// What is said of a commit is not what Git says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the description of the commit is malformed")]
pub(super) struct InvalidCommit;

/// Reads what `git log -1` printed.
pub(super) fn parse_commit(printed: &[u8]) -> Result<Commit, InvalidCommit> {
    let text = String::from_utf8_lossy(printed);
    let mut parts = text.splitn(3, '\0');
    let (Some(hash), Some(author), Some(message)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(InvalidCommit);
    };
    cleaned(Commit { hash: hash.to_owned(), author: author.to_owned(), message: message.to_owned() })
}

/// A commit as it may be shown, whoever described it.
pub(super) fn cleaned(commit: Commit) -> Result<Commit, InvalidCommit> {
    if !commit.hash.parse::<GitRef>().is_ok_and(|hash| hash.is_hash()) {
        return Err(InvalidCommit);
    }
    let author = commit.author.chars().filter(|c| !is_disturbing(*c)).take(AUTHOR_CHARS_MAX).collect();
    let message = commit.message.trim_end().chars();
    let message = message.filter(|c| *c == '\n' || *c == '\t' || !is_disturbing(*c)).take(MESSAGE_CHARS_MAX).collect();
    Ok(Commit { hash: commit.hash, author, message })
}

/// Control characters, and those that turn the direction of writing.
pub(super) fn is_disturbing(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef01234567";

    #[test]
    fn a_commit_survives_the_way_out() {
        let printed = format!("{HASH}\0Ada <a@example.org>\0Title\n\nBody\n\n");
        let commit = parse_commit(printed.as_bytes()).unwrap();
        assert_eq!(commit.author, "Ada <a@example.org>");
        assert_eq!(commit.message, "Title\n\nBody");
        assert_eq!(cleaned(commit.clone()), Ok(commit));
    }

    #[test]
    fn a_commit_that_disturbs_is_cleaned_and_a_malformed_one_refused() {
        let printed = format!("{HASH}\0A\x1b[2J\r<x>\0m\u{202e}\0n\x07");
        let commit = parse_commit(printed.as_bytes()).unwrap();
        assert_eq!((commit.author.as_str(), commit.message.as_str()), ("A[2J<x>", "mn"));
        let long = parse_commit(format!("{HASH}\0a\0{}", "x".repeat(100_000)).as_bytes()).unwrap();
        assert_eq!(long.message.len(), MESSAGE_CHARS_MAX);
        for bad in ["", "x\0y\0z", "0123\0a\0b"] {
            assert_eq!(parse_commit(bad.as_bytes()), Err(InvalidCommit));
        }
    }
}

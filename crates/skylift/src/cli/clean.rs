//! Text from elsewhere, made safe for a terminal.

use std::borrow::Cow;

/// The text without control characters, so that a log line can neither move the cursor nor change a title, and
/// without the characters that reorder what follows them. Tabs become spaces.
pub(super) fn clean(text: &str) -> Cow<'_, str> {
    if text.chars().any(|c| is_unsafe(c) || c == '\t') {
        text.chars().filter(|c| !is_unsafe(*c)).map(|c| if c == '\t' { ' ' } else { c }).collect()
    } else {
        Cow::Borrowed(text)
    }
}

/// Like [`clean`], for text of several lines: keeps them.
pub(super) fn clean_lines(text: &str) -> String {
    text.lines().map(clean).collect::<Vec<_>>().join("\n")
}

/// What a program printed, for a terminal: as [`clean_lines`], with the end of its last line. What is no text is told apart.
pub(super) fn clean_output(bytes: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let mut lines = clean_lines(&text);
    lines.extend(text.ends_with('\n').then_some('\n'));
    lines.into_bytes()
}

/// JSON for a terminal: what would steer it or reorder text is in strings alone, where it is escaped as well.
pub(super) fn clean_json(text: &str) -> Cow<'_, str> {
    let is_escaped = |c: char| is_unsafe(c) && c != '\n';
    if !text.contains(is_escaped) {
        return Cow::Borrowed(text);
    }
    let escaped = |c: char| if is_escaped(c) { format!("\\u{:04x}", u32::from(c)) } else { c.to_string() };
    Cow::Owned(text.chars().map(escaped).collect())
}

fn is_unsafe(c: char) -> bool {
    (c.is_control() && c != '\t') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_moves_a_cursor_or_turns_text_around_passes() {
        assert_eq!(clean("a\x1b[2Jb\x07\r\u{9b}31m\u{202e}c\td"), "a[2Jb31mc d");
        assert!(matches!(clean("plain ü"), Cow::Borrowed("plain ü")));
        assert_eq!(clean_lines("a\x1b\nb"), "a\nb");
        assert_eq!(clean_output(b"a\x1b]0;x\x07\n\nb\xff\n"), "a]0;x\n\nb\u{fffd}\n".as_bytes());
        let json = "{\n  \"a\": \"\u{9b}2J\u{7f}\u{202e}\u{fc}\"\n}";
        assert_eq!(clean_json(json), "{\n  \"a\": \"\\u009b2J\\u007f\\u202e\u{fc}\"\n}");
        assert_eq!((clean_output(b""), clean_output(b"a")), (Vec::new(), b"a".to_vec()));
    }
}

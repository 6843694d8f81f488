//! How the other platforms' parsers, all written in JavaScript, look at text.

/// Whether JavaScript takes a character for white space (`\s`, `trim`).
pub(crate) fn is_space(c: char) -> bool {
    matches!(c, '\t'..='\r' | ' ' | '\u{a0}' | '\u{1680}' | '\u{2000}'..='\u{200a}' | '\u{2028}' | '\u{2029}' | '\u{202f}'
        | '\u{205f}' | '\u{3000}' | '\u{feff}')
}

/// `text` without white space at its ends.
pub(crate) fn trim(text: &str) -> &str {
    text.trim_matches(is_space)
}

/// Its words.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(is_space).filter(|word| !word.is_empty())
}

/// The number that a text begins with (`parseInt`), and what follows.
pub(crate) fn leading_integer(text: &str) -> Option<i64> {
    let text = text.trim_start_matches(is_space);
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (digits, radix) = match digits.strip_prefix("0x").or_else(|| digits.strip_prefix("0X")) {
        Some(rest) => (rest, 16),
        None => (digits, 10),
    };
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let digits = digits.get(..end).filter(|digits| !digits.is_empty())?;
    let number = i64::from_str_radix(digits, radix).unwrap_or(i64::MAX);
    Some(if negative { -number } else { number })
}

/// `text` for a log: no control characters, at most `chars` characters.
pub(crate) fn plain(text: &str, chars: usize) -> String {
    let mut shown: String = text.chars().take(chars).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    if text.chars().nth(chars).is_some() {
        shown.push('…');
    }
    shown
}

/// The lines of a file with their numbers, from 1, without white space at their ends; neither empty ones nor comments.
pub(crate) fn lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let numbered = text.split('\n').enumerate().map(|(at, line)| (at + 1, trim(line)));
    numbered.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
}

/// Whether a text may stand in a header field's value.
pub(crate) fn has_control(text: &str) -> bool {
    text.chars().any(|c| c.is_control() && c != '\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_as_far_as_they_go() {
        for (text, expected) in [
            ("301!", Some(301)),
            ("302x", Some(302)),
            ("0x10", Some(16)),
            ("-1", Some(-1)),
            ("1e3", Some(1)),
            ("!302", None),
            ("", None),
            ("0x", None),
            ("99999999999999999999", Some(i64::MAX)),
        ] {
            assert_eq!(leading_integer(text), expected, "{text}");
        }
    }
}

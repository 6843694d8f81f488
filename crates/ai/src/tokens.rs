//! Words and their pieces, as the mock counts them and as is guessed where a server does not say.

/// The longest piece of a word.
const PIECE_CHARS_MAX: usize = 6;

/// The pieces of a text: each a few letters with the white space before them, or one other character. Together they are the text.
pub(crate) fn split(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut begin, mut letters) = (0, 0);
    for (at, c) in text.char_indices() {
        let is_full = letters == PIECE_CHARS_MAX;
        let ends = match c {
            c if c.is_whitespace() => letters > 0,
            c if c.is_alphanumeric() => is_full,
            _ => letters > 0,
        };
        if ends {
            pieces.extend(text.get(begin..at));
            (begin, letters) = (at, 0);
        }
        if c.is_alphanumeric() {
            letters += 1;
        } else if !c.is_whitespace() {
            // It stands for itself.
            letters = PIECE_CHARS_MAX;
        }
    }
    pieces.extend(text.get(begin..).filter(|rest| !rest.is_empty()));
    pieces
}

/// How many there are.
pub(crate) fn count(text: &str) -> u64 {
    u64::try_from(split(text).len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_short_words_and_single_signs() {
        assert_eq!(split("Hello,  big world!"), ["Hello", ",", "  big", " world", "!"]);
        assert_eq!(split("unbelievably"), ["unbeli", "evably"]);
        assert_eq!(split("  \n"), ["  \n"]);
        assert!(split("").is_empty());
        assert_eq!(count("print(40+2)"), 6);
    }

    proptest::proptest! {
        #[test]
        fn pieces_together_are_the_text(text in ".{0,200}") {
            proptest::prop_assert_eq!(split(&text).concat(), text);
        }
    }
}

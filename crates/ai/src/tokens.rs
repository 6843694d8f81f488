//! Words and their pieces, as the mock counts them and as is guessed where a server does not say.

/// The longest piece of a word.
const PIECE_CHARS_MAX: usize = 6;

/// The pieces of a text: each a few letters with the white space before them, or one other character. Together they are the text.
pub(crate) fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, behind) = rest.split_at_checked(end_of_first(rest))?;
        rest = behind;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Where the first piece ends.
fn end_of_first(text: &str) -> usize {
    let mut letters = 0;
    for (at, c) in text.char_indices() {
        match c {
            c if c.is_alphanumeric() && letters < PIECE_CHARS_MAX => letters += 1,
            c if c.is_whitespace() && letters == 0 => {}
            // It stands for itself.
            c if !c.is_alphanumeric() && letters == 0 => return at + c.len_utf8(),
            _ => return at,
        }
    }
    text.len()
}

/// How many there are.
pub(crate) fn count(text: &str) -> u64 {
    split(text).fold(0, |count, _| count + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_short_words_and_single_signs() {
        let all = |text: &'static str| split(text).collect::<Vec<_>>();
        assert_eq!(all("Hello,  big world!"), ["Hello", ",", "  big", " world", "!"]);
        assert_eq!(all("unbelievably"), ["unbeli", "evably"]);
        assert_eq!(all("  \n"), ["  \n"]);
        assert!(all("").is_empty());
        assert_eq!(count("print(40+2)"), 6);
    }

    proptest::proptest! {
        #[test]
        fn pieces_together_are_the_text(text in ".{0,200}") {
            proptest::prop_assert_eq!(split(&text).collect::<String>(), text);
        }
    }
}

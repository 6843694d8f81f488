//! Which of the words that there are was meant by one that there is not.

/// Of shorter words nobody can tell what they stand for; longer ones are no slips of anything here.
const CHARACTERS_MIN: usize = 3;
const CHARACTERS_MAX: usize = 40;
/// How much of a word is told again.
const SHOWN_MAX: usize = 100;

/// The word that is nearest, where it is near: one slip for each three characters, whatever is written large.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let word: String = word.trim().to_lowercase();
    let count = word.chars().count();
    if !(CHARACTERS_MIN..=CHARACTERS_MAX).contains(&count) {
        return None;
    }
    let slips_max = (count / 3).max(1);
    let slips = known.into_iter().map(|known| (strsim::osa_distance(&word, &known.to_lowercase()), known));
    slips
        .filter(|(slips, known)| *slips <= slips_max && *slips < known.len())
        .min_by_key(|(slips, _)| *slips)
        .map(|(_, known)| known)
}

/// Words in code marks, with commas between.
pub fn listed<'k>(words: impl IntoIterator<Item = &'k str>) -> String {
    words.into_iter().map(|word| format!("`{word}`")).collect::<Vec<_>>().join(", ")
}

/// As much of it as anybody reads, and nothing that a terminal would heed.
pub fn shown(text: &str) -> String {
    let cut: String = text.chars().take(SHOWN_MAX).collect();
    let more = if cut.len() < text.len() { "…" } else { "" };
    format!("{}{more}", cut.escape_debug())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_seen_through_and_another_word_is_not() {
        let known = ["source", "stdin", "stdins", "c", "c++", "go"];
        let near = |word: &str| nearest(word, known);
        assert_eq!(
            [near("sourc"), near("SOURCE"), near("sorce "), near("stdni")],
            [Some("source"), Some("source"), Some("source"), Some("stdin")]
        );
        assert_eq!([near("code"), near("x"), near(""), near(&"s".repeat(10_000))], [None; 4]);
        let languages = ["python", "py", "node", "js", "go", "c", "c++", "rust"];
        let near = |word: &str| nearest(word, languages);
        assert_eq!(
            ["pyhton", "Pyton", "ndoe", "rsut", "jss"].map(near),
            ["python", "python", "node", "rust", "js"].map(Some)
        );
        assert_eq!(["ruby", "perl", "x", "d", "txt"].map(near), [None; 5]);
        assert_eq!(listed(known.into_iter().take(2)), "`source`, `stdin`");
    }
}

//! What may stand in a log: text, without anything that moves a terminal's cursor or hides, and without secrets.

/// The shortest value that is masked: shorter ones would mask half the log.
const SECRET_BYTES_MIN: usize = 4;
const MASKED: &str = "••••••";

/// The values that must not be seen.
#[derive(Debug, Default)]
pub struct Mask(Vec<String>);

impl Mask {
    /// Masks each value, and each line of a value that has several.
    pub fn new(values: impl IntoIterator<Item = String>) -> Self {
        let mut secrets = Vec::new();
        for value in values {
            let lines = value.lines().map(str::trim).map(str::to_owned);
            secrets.extend(lines.chain([value.clone()]).filter(|line| line.len() >= SECRET_BYTES_MIN));
        }
        // The longest first: one value may contain another.
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        secrets.dedup();
        Self(secrets)
    }

    /// The same, with further values.
    #[must_use]
    pub fn and(&self, values: impl IntoIterator<Item = String>) -> Self {
        Self::new(self.0.iter().cloned().chain(values))
    }

    /// How long the longest of them is, in bytes.
    pub(crate) fn longest(&self) -> usize {
        self.0.first().map_or(0, String::len)
    }

    fn apply(&self, text: String) -> String {
        self.0.iter().fold(text, |text, secret| {
            if text.contains(secret.as_str()) { text.replace(secret.as_str(), MASKED) } else { text }
        })
    }
}

/// A line as it may be stored and shown.
pub(crate) fn clean(line: &str, mask: &Mask) -> String {
    // Masked twice: escapes inside a value must not save it, nor may masking see only what cleaning joined.
    mask.apply(without_escapes(&mask.apply(line.to_owned())))
}

/// Drops escape sequences (ECMA-48 CSI, OSC and the rest), control characters but tab, and the characters that turn
/// the direction of text around.
fn without_escapes(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    let mut characters = line.chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '\u{1b}' => skip_escape(&mut characters),
            '\u{9b}' => skip_until(&mut characters, |c| matches!(c, '\u{40}'..='\u{7e}')),
            '\t' => text.push(c),
            _ if c.is_control() || turns_around(c) => {}
            _ => text.push(c),
        }
    }
    text
}

fn skip_escape(characters: &mut std::iter::Peekable<std::str::Chars<'_>>) {
    match characters.next() {
        Some('[') => skip_until(characters, |c| matches!(c, '\u{40}'..='\u{7e}')),
        // OSC, DCS, SOS, PM, APC: strings that end with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            skip_until(characters, |c| matches!(c, '\u{7}' | '\u{1b}' | '\u{9c}'));
            characters.next_if_eq(&'\\');
        }
        // Sequences with intermediates, such as ESC ( B.
        Some('\u{20}'..='\u{2f}') => skip_until(characters, |c| matches!(c, '\u{30}'..='\u{7e}')),
        _ => {}
    }
}

fn skip_until(characters: &mut std::iter::Peekable<std::str::Chars<'_>>, is_last: impl Fn(char) -> bool) {
    for c in characters.by_ref() {
        if is_last(c) {
            return;
        }
    }
}

fn turns_around(c: char) -> bool {
    matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cleaned(line: &str, secrets: &[&str]) -> String {
        clean(line, &Mask::new(secrets.iter().map(|&secret| secret.to_owned())))
    }

    #[test]
    fn escapes_and_controls_are_dropped() {
        for (line, text) in [
            ("\u{1b}[32m✓\u{1b}[0m built", "✓ built"),
            ("\u{1b}]8;;http://evil\u{7}link\u{1b}]8;;\u{7}", "link"),
            ("\u{1b}]52;c;aGk=\u{1b}\\copied", "copied"),
            ("a\0b\u{8}c\td", "abc\td"),
            ("user\u{202e}gpj.exe", "usergpj.exe"),
            ("\u{1b}(Bplain\u{9b}31m", "plain"),
            ("<script>alert(1)</script>", "<script>alert(1)</script>"),
            ("\u{1b}", ""),
        ] {
            assert_eq!(cleaned(line, &[]), text);
        }
    }

    #[test]
    fn secrets_are_masked_even_when_escapes_split_them() {
        assert_eq!(cleaned("token=hunter2!", &["hunter2"]), "token=••••••!");
        assert_eq!(cleaned("hun\u{1b}[0mter2", &["hunter2"]), MASKED);
        assert_eq!(cleaned("-----KEY-----", &["-----KEY-----\nabcd"]), MASKED);
        assert_eq!(cleaned("long-secret", &["secret", "long-secret"]), MASKED);
        assert_eq!(cleaned("a=1", &["1"]), "a=1", "what is too short to be a secret stays");
    }

    #[test]
    fn values_that_come_later_are_masked_as_well() {
        let later = Mask::new(["hunter2".to_owned()]).and(["a longer secret".to_owned()]);
        assert_eq!(clean("hunter2: a longer secret", &later), format!("{MASKED}: {MASKED}"));
        assert_eq!(later.longest(), 15);
    }

    proptest::proptest! {
        #[test]
        fn no_control_character_is_left(line in ".{0,200}") {
            let text = cleaned(&line, &[]);
            proptest::prop_assert!(!text.chars().any(|c| (c.is_control() && c != '\t') || turns_around(c)));
        }
    }
}

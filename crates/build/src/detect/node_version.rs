//! Which Node versions a project asks for.

use nodejs_semver::{Range, Version};

use super::view::{View, join, parent};

/// What `lts/*` stands for: the lines with long-term support at the end of 2026.
const LTS: &str = "^22 || ^24 || ^26";

/// The code names of long-term support lines, as `nvm` takes them.
const CODE_NAMES: &[(&str, &str)] = &[
    ("argon", "4"),
    ("boron", "6"),
    ("carbon", "8"),
    ("dubnium", "10"),
    ("erbium", "12"),
    ("fermium", "14"),
    ("gallium", "16"),
    ("hydrogen", "18"),
    ("iron", "20"),
    ("jod", "22"),
    ("krypton", "24"),
];

/// Longer ranges than any project writes are not parsed.
const RANGE_BYTES_MAX: usize = 128;

/// A version or range as people pin it (`v20`, `20.x`, `lts/iron`, `>=18`) as the text of a semver range, or `None`
/// where it is none.
pub fn normalise(text: &str) -> Option<String> {
    let text = text.trim();
    if text.is_empty() || text.len() > RANGE_BYTES_MAX {
        return None;
    }
    match text.to_ascii_lowercase().as_str() {
        "lts" | "lts/*" => return Some(LTS.into()),
        "node" | "stable" | "latest" | "current" | "*" | "x" => return Some("*".into()),
        lower => {
            if let Some(name) = lower.strip_prefix("lts/") {
                let (_, major) = CODE_NAMES.iter().find(|(known, _)| *known == name)?;
                return Some((*major).into());
            }
        }
    }
    parse_range(text)
}

/// Whether a version, with or without `v`, lies in a range; not where either is unreadable.
pub fn satisfies(range: &str, version: &str) -> bool {
    let Some(range) = normalise(range) else { return false };
    let version = version.trim();
    let version = version.strip_prefix('v').unwrap_or(version);
    match (Range::parse(&range), Version::parse(version)) {
        (Ok(range), Ok(version)) => range.satisfies(&version),
        _ => false,
    }
}

/// A semver range in plain spelling: single spaces, no `v`.
pub(crate) fn parse_range(text: &str) -> Option<String> {
    if text.len() > RANGE_BYTES_MAX {
        return None;
    }
    let words: Vec<&str> = text.split_whitespace().collect();
    // The parser skips words it does not understand; a pin with such a word is no pin.
    if words.is_empty() || !words.iter().all(|word| word.split("||").all(is_comparator)) {
        return None;
    }
    let plain = without_v(&words.join(" "));
    Range::parse(&plain).ok().map(|_| plain)
}

fn is_comparator(word: &str) -> bool {
    let version = word.trim_start_matches(['<', '>', '=', '~', '^']);
    if matches!(version, "" | "-" | "x" | "X" | "*") {
        return true;
    }
    let version = version.strip_prefix(['v', 'V']).unwrap_or(version);
    version.starts_with(|c: char| c.is_ascii_digit())
        && version.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '+' | '*'))
}

fn without_v(range: &str) -> String {
    let mut plain = String::with_capacity(range.len());
    let mut chars = range.chars().peekable();
    while let Some(c) = chars.next() {
        let starts = plain.chars().next_back().is_none_or(|before| !before.is_ascii_alphanumeric() && before != '-');
        let is_prefix = matches!(c, 'v' | 'V') && starts && chars.peek().is_some_and(char::is_ascii_digit);
        if !is_prefix {
            plain.push(c);
        }
    }
    plain
}

/// A pin as it is written in a file.
pub(crate) struct Pin {
    pub(crate) text: String,
    pub(crate) from: String,
}

/// Every pin in the files that version managers read, nearest folder first: what holds for a folder holds below it.
pub(crate) fn pins(view: &View<'_>, root: &str) -> Vec<Pin> {
    let mut pins = Vec::new();
    let mut folder = Some(root);
    while let Some(current) = folder {
        for (name, read) in PIN_FILES {
            let path = join(current, name);
            if view.has(&path)
                && let Some(text) = read(&view.glance(&path))
            {
                pins.push(Pin { text, from: path });
            }
        }
        folder = parent(current);
    }
    pins
}

type ReadPin = fn(&str) -> Option<String>;
const PIN_FILES: &[(&str, ReadPin)] =
    &[(".nvmrc", first_line), (".node-version", first_line), (".tool-versions", tool_version)];

fn first_line(text: &str) -> Option<String> {
    let mut lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.find(|line| !line.is_empty()).map(str::to_owned)
}

fn tool_version(text: &str) -> Option<String> {
    for line in text.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        if matches!(words.next(), Some("nodejs" | "node")) {
            return words.next().map(str::to_owned);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_a_range() {
        for (text, range) in [
            ("v20", "20"),
            ("20.x", "20.x"),
            (">=18", ">=18"),
            (">= v18.17", ">= 18.17"),
            ("^18.0.0 || >=20", "^18.0.0 || >=20"),
            ("18||20", "18||20"),
            ("18 - 22", "18 - 22"),
            ("20.11.0", "20.11.0"),
            ("lts/*", LTS),
            ("LTS/Iron", "20"),
            ("node", "*"),
            ("*", "*"),
            (" v22.1.0-nightly.1 ", "22.1.0-nightly.1"),
        ] {
            assert_eq!(normalise(text).as_deref(), Some(range), "{text}");
        }
    }

    #[test]
    fn what_is_no_version_is_no_range() {
        for text in
            ["", "lts/unknown", "banana", "20; rm -rf /", "--help", "ref:abc", "20 banana", "file:../x", "$(id)"]
        {
            assert_eq!(normalise(text), None, "{text}");
        }
        assert_eq!(normalise(&"1".repeat(200)), None);
    }

    #[test]
    fn versions_satisfy_the_ranges_they_lie_in() {
        for (range, version, holds) in [
            ("20", "v20.20.2", true),
            ("20.x", "20.0.0", true),
            (">=18", "20.20.2", true),
            ("^18 || >=22", "20.20.2", false),
            ("lts/*", "20.20.2", false),
            ("lts/*", "v24.1.0", true),
            ("*", "20.20.2", true),
            ("20", "banana", false),
            ("banana", "20.0.0", false),
        ] {
            assert_eq!(satisfies(range, version), holds, "{range} {version}");
        }
    }

    #[test]
    fn pins_are_read_past_comments() {
        assert_eq!(first_line("# ours\n\nv20 # pinned\n").as_deref(), Some("v20"));
        assert_eq!(tool_version("python 3.12\nnodejs 20.11.0 18.0.0\n").as_deref(), Some("20.11.0"));
        assert_eq!(tool_version("# nodejs 18\n"), None);
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_ranges_panic(range in "\\PC{0,40}", semver in "[0-9xv.*~^<>=| -]{0,40}", version in "\\PC{0,20}") {
            let _ = satisfies(&range, &version);
            let _ = satisfies(&semver, "20.1.0");
            if let Some(plain) = normalise(&semver) {
                proptest::prop_assert_eq!(normalise(&plain), Some(plain.clone()));
            }
        }
    }
}

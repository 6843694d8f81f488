//! Which headers a source includes before anything else: pure.

use std::collections::BTreeSet;

/// More than this nobody includes.
const MOST: usize = 32;

/// The headers, in the order in which they are included, up to the first line that is anything else. Between them there may be nothing
/// but blanks and comments, so that to have read them before the source is to have read them where they are. Whatever is written
/// in an unusual way ends the list: continued lines, trigraphs, headers that are not known.
pub(crate) fn leading(source: &[u8], known: &BTreeSet<String>) -> Vec<String> {
    let mut names = Vec::new();
    let mut rest = source;
    while names.len() < MOST
        && let Some(after) = skip_blanks(rest)
        && let Some((name, after)) = include(after)
        && let Some(name) = std::str::from_utf8(name).ok().filter(|name| known.contains(*name))
    {
        names.push(name.to_owned());
        rest = after;
    }
    names
}

/// The first of what all sources begin with.
pub(super) fn in_common(mut all: impl Iterator<Item = Vec<String>>) -> Vec<String> {
    let first = all.next().unwrap_or_default();
    all.fold(first, |mut common, other| {
        let same = common.iter().zip(&other).take_while(|(one, other)| one == other).count();
        common.truncate(same);
        common
    })
}

/// What follows blanks, ends of lines and comments; nothing where there is something unusual among them.
fn skip_blanks(mut rest: &[u8]) -> Option<&[u8]> {
    loop {
        rest = match rest {
            [b' ' | b'\t' | b'\n', after @ ..] | [b'\r', b'\n', after @ ..] => after,
            [b'/', b'/', ..] => {
                let (comment, after) = line(rest);
                plain(comment)?;
                after
            }
            [b'/', b'*', comment @ ..] => {
                let end = comment.windows(2).position(|two| two == b"*/")?;
                let (comment, after) = comment.split_at_checked(end + 2)?;
                plain(comment)?;
                after
            }
            _ => return Some(rest),
        }
    }
}

/// `#include <name>` on a line of its own, and what follows that line.
fn include(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    let (line, after) = line(rest);
    plain(line)?;
    let line = blanks(line.strip_prefix(b"#")?).strip_prefix(b"include")?;
    let line = blanks(line).strip_prefix(b"<")?;
    let (name, end) = line.split_at_checked(line.iter().position(|byte| *byte == b'>')?)?;
    let end = blanks(end.strip_prefix(b">")?);
    matches!(end, [] | [b'\r'] | [b'/', b'/', ..]).then_some((name, after))
}

/// To the end of the line, and what follows that.
fn line(rest: &[u8]) -> (&[u8], &[u8]) {
    match rest.iter().position(|byte| *byte == b'\n') {
        Some(end) => rest.split_at_checked(end).unwrap_or((rest, &[])),
        None => (rest, &[]),
    }
}

fn blanks(mut rest: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', after @ ..] = rest {
        rest = after;
    }
    rest
}

/// Nothing where a line may be continued, or be another than it seems.
fn plain(text: &[u8]) -> Option<()> {
    let is_odd = text.contains(&b'\\') || text.contains(&0) || text.windows(2).any(|two| two == b"??");
    (!is_odd).then_some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(source: &str) -> String {
        let known = ["iostream", "vector", "map", "bits/stdc++.h"].map(str::to_owned).into();
        leading(source.as_bytes(), &known).join(" ")
    }

    #[test]
    fn what_is_included_first_is_found_in_its_order() {
        for (source, headers) in [
            ("#include <iostream>\nint main() {}", "iostream"),
            ("#include <vector>\n#include <iostream>\n", "vector iostream"),
            ("\n\t // a comment\r\n/* and\n another */ # include\t<bits/stdc++.h> // why\r\nint x;", "bits/stdc++.h"),
            ("#include<map>", "map"),
            ("#include <map>\n#include <map>\n", "map map"),
            ("#include <map>\nusing namespace std;\n#include <vector>", "map"),
            ("#include <map>\n#define X\n#include <vector>", "map"),
            ("#include <map>\n#include \"vector\"\n", "map"),
            ("#include <map>\n#include <other>\n#include <vector>", "map"),
            ("", ""),
            ("int main() {}", ""),
        ] {
            assert_eq!(found(source), headers, "{source:?}");
        }
    }

    #[test]
    fn whatever_is_written_in_an_unusual_way_ends_it() {
        for source in [
            "#define NDEBUG\n#include <map>",
            "#pragma once\n#include <map>",
            "#if 0\n#include <map>\n#endif",
            "// a comment that goes on \\\n#include <map>\n",
            "// and one by a trigraph ??/\n#include <map>\n",
            "/* that ends *\\\n/ here\n#include <map>\n*/",
            "/* that never ends\n#include <map>",
            "#include <map> /* that goes on\n */",
            "#include <map> int x;",
            "#include <map\\\n>",
            "#inc\\\nlude <map>",
            "%:include <map>",
            "#include_next <map>",
            "#import <map>",
            "#include <map",
            "#include < map>",
            "#include <../include/map>",
            "#include MAP\n",
            "\u{feff}#include <map>",
            "\r#include <map>",
            "\u{b}#include <map>",
            "R\"(\n#include <map>\n)\"",
            "#include <map>\r#include <vector>",
            "#include <map>\0",
        ] {
            assert_eq!(found(source), "", "{source:?}");
        }
    }

    #[test]
    fn several_sources_have_in_common_what_all_begin_with() {
        let common = |all: &[&[&str]]| {
            in_common(all.iter().map(|one| one.iter().map(|name| (*name).to_owned()).collect())).join(" ")
        };
        assert_eq!(common(&[&["a", "b", "c"], &["a", "b"], &["a", "b", "d"]]), "a b");
        assert_eq!(common(&[&["a"], &[]]), "");
        assert_eq!(common(&[&["a", "b"]]), "a b");
        assert_eq!(common(&[]), "");
    }
}

//! A line of words, split as a shell would, without one: nothing in it is ever run, looked up or expanded.

/// What Judge0 takes out before its shell sees the line.
const TAKEN_OUT: [char; 7] = ['$', '&', ';', '<', '>', '|', '`'];

/// The words of a line: apart by blanks; quotes and backslashes keep blanks, as in a shell. A quote that is not closed reaches to the end.
pub(super) fn split(line: &str) -> Vec<String> {
    let (mut words, mut word) = (Vec::new(), None::<String>);
    let mut characters = line.chars().filter(|one| !TAKEN_OUT.contains(one));
    while let Some(one) = characters.next() {
        match one {
            blank if blank.is_ascii_whitespace() => words.extend(word.take()),
            '\'' => word.get_or_insert_default().extend(characters.by_ref().take_while(|one| *one != '\'')),
            '"' => double(word.get_or_insert_default(), &mut characters),
            '\\' => word.get_or_insert_default().extend(characters.next()),
            other => word.get_or_insert_default().push(other),
        }
    }
    words.extend(word);
    words
}

/// Between double quotes a backslash stands for itself, unless a quote or another follows.
fn double(word: &mut String, characters: &mut impl Iterator<Item = char>) {
    while let Some(one) = characters.next() {
        match one {
            '"' => return,
            '\\' => match characters.next() {
                Some(next @ ('"' | '\\')) => word.push(next),
                Some(next) => word.extend(['\\', next]),
                None => word.push('\\'),
            },
            other => word.push(other),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_apart_by_blanks_and_quotes_keep_them() {
        for (line, words) in [
            ("", vec![]),
            ("  \t\n", vec![]),
            ("-O3 -Wall", vec!["-O3", "-Wall"]),
            ("a 'b c' \"d e\" f\\ g", vec!["a", "b c", "d e", "f g"]),
            ("'' \"\"", vec!["", ""]),
            (r#"a"b'c"'d"e'"#, vec![r#"ab'cd"e"#]),
            (r#""a\"b\c""#, vec![r#"a"b\c"#]),
            ("'open", vec!["open"]),
            ("end\\", vec!["end"]),
        ] {
            assert_eq!(split(line), words, "{line:?}");
        }
    }

    #[test]
    fn nothing_of_a_shell_is_left() {
        assert_eq!(
            split("$(reboot) `id` a;b && c | d > /etc/x < y"),
            ["(reboot)", "id", "ab", "c", "d", "/etc/x", "y"]
        );
    }
}

//! Reads settings and tells every mistake of form, not only the first.
//!
//! The parser stops at the first setting that does not fit. That one is blanked out, which keeps the numbers of the
//! lines, and the rest is read again. Where blanking would leave something else than was written, no more is told: better
//! one mistake too few than one that is none.

use std::ops::Range;

use serde::de::DeserializeOwned;
use toml::de::{DeTable, DeValue};

/// The most mistakes told at once.
const MISTAKES_MAX: usize = 30;

/// Reads a `T`, or says in which lines what is wrong.
pub(super) fn read<T: DeserializeOwned>(text: &str) -> Result<T, Vec<String>> {
    let (_, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(in_order(errors.iter().take(MISTAKES_MAX).map(|error| told(text, error)).collect()));
    }
    let (mut left, mut mistakes) = (text.to_owned(), Vec::new());
    loop {
        let error = match toml::from_str(&left) {
            Ok(value) if mistakes.is_empty() => return Ok(value),
            Ok(_) => return Err(in_order(mistakes)),
            Err(error) => error,
        };
        mistakes.push(told(text, &error));
        let rest = error.span().and_then(|span| without(&left, span.start));
        match rest.filter(|_| mistakes.len() < MISTAKES_MAX) {
            Some(rest) => left = rest,
            None => return Err(in_order(mistakes)),
        }
    }
}

fn in_order(mut mistakes: Vec<(usize, String)>) -> Vec<String> {
    mistakes.sort();
    mistakes.into_iter().map(|(_, mistake)| mistake).collect()
}

/// The line of a mistake, and what to say.
fn told(text: &str, error: &toml::de::Error) -> (usize, String) {
    let message = error.message().replace('\n', ", ");
    let Some(span) = error.span() else { return (0, message) };
    let before = text.as_bytes().get(..span.start).unwrap_or_default();
    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
    let shown = text.lines().nth(line - 1).unwrap_or_default().trim();
    (line, format!("line {line}, `{shown}`: {message}"))
}

/// The text without the setting, or the whole section, that is at `at`; `None` where what is left cannot be read.
fn without(text: &str, at: usize) -> Option<String> {
    let line = line_start(text, at);
    let is_header = text.get(line..)?.trim_start().starts_with('[');
    let gone = if is_header { line..section_end(text, line) } else { setting(text, line, at)? };
    let blank = |(index, c): (usize, char)| if gone.contains(&index) && c != '\n' { ' ' } else { c };
    // Blanks take as many bytes as what they replace, so that places stay what they are.
    let rest: String = text
        .char_indices()
        .flat_map(|(index, c)| {
            let shown = blank((index, c));
            std::iter::repeat_n(shown, if shown == c { 1 } else { c.len_utf8() })
        })
        .collect();
    (rest != text && DeTable::parse(&rest).is_ok()).then_some(rest)
}

/// From the beginning of its line to the end of its value.
fn setting(text: &str, line: usize, at: usize) -> Option<Range<usize>> {
    let tree = DeTable::parse(text).ok()?;
    let end = value_end(text, tree.get_ref(), at)?;
    Some(line_start(text, line)..end)
}

/// Where the value ends that is at `at`, or whose key is.
fn value_end(text: &str, table: &DeTable<'_>, at: usize) -> Option<usize> {
    for (key, value) in table.iter() {
        let is_section =
            matches!(value.get_ref(), DeValue::Table(_)) && !text.get(value.span().start..)?.starts_with('{');
        if is_section {
            if let DeValue::Table(below) = value.get_ref()
                && let Some(end) = value_end(text, below, at)
            {
                return Some(end);
            }
        } else if (key.span().start..value.span().end).contains(&at) {
            return Some(value.span().end);
        }
    }
    None
}

fn line_start(text: &str, at: usize) -> usize {
    text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |newline| newline + 1)
}

/// Where the next section begins.
fn section_end(text: &str, header: usize) -> usize {
    let lines = text.get(header..).unwrap_or_default().split_inclusive('\n');
    let mut end = header;
    for (number, line) in lines.enumerate() {
        if number > 0 && line.trim_start().starts_with('[') {
            break;
        }
        end += line.len();
    }
    end
}

#[cfg(test)]
mod tests {
    use super::super::Config;
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        let mistakes = read::<Config>(text).map(|_| ()).unwrap_err();
        mistakes.into_iter().map(|mistake| mistake.split(',').next().unwrap().to_owned()).collect()
    }

    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "listen = 8080 # ü\ndomian = 'x'\n\n[keep]\ndeployments = 'ten'\nbytes = 1\n[build]\nmemroy = [\n 1,\n 2,\n]\n\
                    egress.allow = 'x'\npids = -1\n[build.git]\nallow_file_paths = 'x'\n[biuld]\npids = 'any'\n[upload]\nx = 1\n";
        assert_eq!(
            lines(text),
            ["line 1", "line 2", "line 5", "line 8", "line 12", "line 13", "line 15", "line 16", "line 19"]
        );
    }

    #[test]
    fn what_is_no_toml_is_told_before_anything_else() {
        assert_eq!(lines("a = \n[keep\ndeployments = 'ten'\n").first().map(String::as_str), Some("line 1"));
    }

    #[test]
    fn what_is_in_order_is_read_and_nothing_is_told_of_it() {
        let config: Config = read("[keep]\ndeployments = 3\n[build]\nclient.env = { A = 'b' }\n").unwrap();
        assert_eq!(config.keep.deployments, 3);
        assert_eq!(lines("[build]\nclient.env = { A = 1, B = 2 }\npids = 'x'\n"), ["line 2", "line 3"]);
    }
}

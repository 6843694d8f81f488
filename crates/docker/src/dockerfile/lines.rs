//! The lines of a Dockerfile as the engine joins them. Pure.

use std::collections::BTreeSet;

/// Each instruction with the number of its first line. Where engines differ in whether a line begins one, it is among them as
/// well. An error is the number of a line that ends so that engines differ in whether it goes on.
pub(super) fn logical_lines(text: &str) -> Result<Vec<(usize, String)>, usize> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let lines: Vec<&str> = text.split('\n').map(|line| line.trim_end_matches('\r')).collect();
    let escape = escape_of(&lines);
    let mut starts = BTreeSet::from([0]);
    let mut found = Vec::new();
    while let Some(start) = starts.pop_first() {
        let Some(first) = lines.get(start) else { continue };
        if first.trim().is_empty() || first.trim_start().starts_with('#') {
            starts.insert(start + 1);
            continue;
        }
        let (joined, next) = join(&lines, start, escape, &mut starts)?;
        found.push((start + 1, joined));
        starts.insert(next);
    }
    Ok(found)
}

/// The instruction that begins at a line, and where the next does. Other lines that may begin one go to `starts`.
fn join(lines: &[&str], start: usize, escape: char, starts: &mut BTreeSet<usize>) -> Result<(String, usize), usize> {
    let mut joined = String::new();
    let mut at = start;
    while let Some(line) = lines.get(at) {
        let number = at + 1;
        at += 1;
        if number > start + 1 {
            if line.starts_with('#') || line.trim().is_empty() {
                continue;
            }
            if line.trim_start().starts_with('#') {
                // Older engines take an indented comment for a part of the instruction, which may end with it.
                starts.insert(at);
                continue;
            }
        }
        let Some(rest) = line.trim_end_matches([' ', '\t']).strip_suffix(escape) else {
            joined.push_str(line);
            break;
        };
        if rest.ends_with(escape) {
            return Err(number);
        }
        joined.push_str(rest);
    }
    Ok((joined, at))
}

/// The character that lets a line go on: a directive among the first comments may say another.
fn escape_of(lines: &[&str]) -> char {
    for line in lines {
        let Some(directive) = line.trim().strip_prefix('#') else { break };
        let Some((name, value)) = directive.split_once('=') else { break };
        if name.trim().eq_ignore_ascii_case("escape") {
            return if value.trim() == "`" { '`' } else { '\\' };
        }
    }
    '\\'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_go_on_over_comments_and_empty_lines() {
        let text = "# escape=\\\n\nFROM a \\\n# one\n\n  as b\nRUN x\n";
        assert_eq!(logical_lines(text).unwrap(), [(3, "FROM a   as b".to_owned()), (7, "RUN x".to_owned())]);
        assert_eq!(logical_lines("RUN x \\\\\nADD y").unwrap_err(), 1);
    }
}

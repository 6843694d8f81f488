//! The Procfile: which processes a project has, by their names.
//!
//! `name: command`, one a line; lines that start with `#` or `//` say nothing. Names are DNS labels, since they name
//! instances, and a name that stands twice is a mistake.

use std::collections::BTreeMap;

use super::error::DetectError;
use super::view::{View, join};
use crate::app_config::{ConfigMistakes, Mistake};

/// The longest name of a process.
const NAME_BYTES_MAX: usize = 63;
/// More than anybody reads at once.
const MISTAKES_MAX: usize = 20;

/// The processes of a project.
pub(crate) struct Procfile {
    /// Its path in the source.
    pub(crate) file: String,
    pub(crate) processes: BTreeMap<String, String>,
}

impl Procfile {
    /// The Procfile of a folder, where it has one.
    pub(crate) fn load(view: &View<'_>, folder: &str) -> Result<Option<Self>, DetectError> {
        let file = join(folder, "Procfile");
        let Some(text) = view.text(&file)? else { return Ok(None) };
        match parse(&text) {
            Ok(processes) => Ok(Some(Self { file, processes })),
            Err(mistakes) => Err(DetectError::Procfile { file, mistakes }),
        }
    }
}

fn parse(text: &str) -> Result<BTreeMap<String, String>, ConfigMistakes> {
    let mut processes = BTreeMap::new();
    let mut mistakes = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') || line.starts_with("//") {
            continue;
        }
        match process(line) {
            Ok((name, _)) if processes.contains_key(name) => {
                mistakes.push(Mistake { line: index + 1, message: format!("`{name}` is there twice") });
            }
            Ok((name, command)) => drop(processes.insert(name.to_owned(), command.to_owned())),
            Err(message) => mistakes.push(Mistake { line: index + 1, message }),
        }
    }
    mistakes.truncate(MISTAKES_MAX);
    if mistakes.is_empty() { Ok(processes) } else { Err(ConfigMistakes(mistakes)) }
}

fn process(line: &str) -> Result<(&str, &str), String> {
    let Some((name, command)) = line.split_once(':') else {
        return Err("a line is `name: command`".to_owned());
    };
    let (name, command) = (name.trim_end(), command.trim());
    if !is_label(name) {
        let shown: String = name.chars().filter(|c| !c.is_control()).take(NAME_BYTES_MAX).collect();
        return Err(format!(
            "`{shown}` is no name of a process: small letters, digits and `-` (not first or last), at most \
             {NAME_BYTES_MAX} of them"
        ));
    }
    if command.is_empty() {
        return Err(format!("`{name}` has no command"));
    }
    if command.chars().any(|c| c.is_control() && c != '\t') {
        return Err(format!("the command of `{name}` has a control character"));
    }
    Ok((name, command))
}

fn is_label(name: &str) -> bool {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    is_plain && !name.is_empty() && name.len() <= NAME_BYTES_MAX && !name.starts_with('-') && !name.ends_with('-')
}

#[cfg(test)]
mod tests {
    use super::*;
    use expect_test::{Expect, expect};

    fn check(text: &str, expected: Expect) {
        let told = match parse(text) {
            Ok(processes) => format!("{processes:?}"),
            Err(mistakes) => mistakes.to_string().replace("; line", "\nline"),
        };
        expected.assert_eq(&told);
    }

    #[test]
    fn processes_are_read_by_name() {
        check(
            "# one\r\nweb: gunicorn app:app --bind 0.0.0.0:$PORT\r\n\r\n// two\nworker-2:python worker.py # kept\n",
            expect![[r#"{"web": "gunicorn app:app --bind 0.0.0.0:$PORT", "worker-2": "python worker.py # kept"}"#]],
        );
        check("", expect!["{}"]);
    }

    #[test]
    fn all_mistakes_are_told_at_once_with_their_lines() {
        let long = "x".repeat(64);
        check(
            &format!("web: a\nweb: b\nWeb: c\nmy_worker: d\n-x: e\nrelease:\njust words\n{long}: f\nw: \u{1b}[2J\n"),
            expect![[r#"
                line 2: `web` is there twice
                line 3: `Web` is no name of a process: small letters, digits and `-` (not first or last), at most 63 of them
                line 4: `my_worker` is no name of a process: small letters, digits and `-` (not first or last), at most 63 of them
                line 5: `-x` is no name of a process: small letters, digits and `-` (not first or last), at most 63 of them
                line 6: `release` has no command
                line 7: a line is `name: command`
                line 8: `xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx` is no name of a process: small letters, digits and `-` (not first or last), at most 63 of them
                line 9: the command of `w` has a control character"#]],
        );
    }

    proptest::proptest! {
        #[test]
        fn no_text_makes_it_panic(text in "(\\PC|\n|:){0,200}") {
            let _ = parse(&text);
        }
    }
}

//! The words behind `skylift run`: the first is what to run, all others are what that is given.

use clap::CommandFactory;

use crate::cli::CommandLine;

/// Says that whatever follows is the program's.
const ESCAPE: &str = "--";

/// What to run, and what with.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Words {
    pub(super) what: String,
    /// What the program is given.
    pub(super) rest: Vec<String>,
    /// The first of them, where it looks like an option that was meant for us.
    pub(super) stray: Option<String>,
}

/// Takes them apart, for options of ours with these names.
pub(super) fn split(words: Vec<String>, ours: &[String]) -> Words {
    let mut words = words.into_iter();
    let what = words.next().unwrap_or_default();
    let mut rest: Vec<String> = words.collect();
    let is_meant = rest.first().is_some_and(|word| word == ESCAPE);
    if is_meant {
        rest.remove(0);
    }
    let stray = rest.first().filter(|_| !is_meant).and_then(|word| {
        let option = word.strip_prefix("--")?.split('=').next()?;
        ours.iter().any(|name| name == option).then(|| format!("--{option}"))
    });
    Words { what, rest, stray }
}

/// The long names of all options that may stand in front.
pub(super) fn ours() -> Vec<String> {
    let mut line = CommandLine::command();
    // Hands down what every command takes.
    line.build();
    let run = line.find_subcommand("run").into_iter().flat_map(clap::Command::get_arguments);
    run.flat_map(|argument| argument.get_long_and_visible_aliases().unwrap_or_default()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(words: &str) -> Words {
        super::split(words.split(' ').map(str::to_owned).collect(), &ours())
    }

    #[test]
    fn all_behind_the_first_is_the_programs_and_what_looks_like_ours_is_told() {
        for (words, rest, stray) in [
            ("a.py", "", None),
            ("a.py x --json", "x --json", None),
            ("a.py --limit 3", "--limit 3", Some("--limit")),
            ("a.py --limits 3", "--limits 3", Some("--limits")),
            ("a.py --json", "--json", Some("--json")),
            ("a.py --url=http://x", "--url=http://x", Some("--url")),
            ("a.py --help", "--help", Some("--help")),
            ("a.py --lim 3", "--lim 3", None),
            ("a.py -x", "-x", None),
            ("a.py -- --json -- x", "--json -- x", None),
            ("a.py --", "", None),
        ] {
            let split = split(words);
            assert_eq!((split.rest.join(" "), split.stray.as_deref()), (rest.to_owned(), stray), "{words}");
        }
    }
}

//! Which language a file of code is written in, and what is said where nobody knows it.

use std::path::Path;

use skylift_client::{Client, ClientError};
use skylift_model::meant::nearest;
use skylift_model::wire::{Code, Language};

use crate::cli::problem::Problem;

/// Where a run's language was taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Named {
    Option(String),
    /// What the names of a language's files end in is one of its names.
    Suffix(String),
}

impl Named {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Option(name) | Self::Suffix(name) => name,
        }
    }
}

/// What was said, else what the file's name says.
pub(super) fn of(option: Option<&str>, what: &str) -> Option<Named> {
    match option {
        Some(name) => Some(Named::Option(name.to_owned())),
        None => Path::new(what).extension()?.to_str().map(|suffix| Named::Suffix(suffix.to_owned())),
    }
}

/// What to say of code that nothing says the language of.
pub(super) async fn not_said(what: &str, client: &Client) -> Problem {
    let message = match what {
        super::sent::STDIN => "nothing says what the code is written in".to_owned(),
        what => format!("`{what}`: its name does not say what it is written in"),
    };
    let hint = format!("say it, as in `skylift run --language python {what}`");
    match client.languages().await {
        Ok(list) => Problem::refused(message, format!("{hint}; {}", there_are(&list.languages))),
        Err(error) if error.is_connection() || error.code().is_some() => error.into(),
        Err(_) => Problem::refused(message, hint),
    }
}

/// A refusal for a language that nobody knows, told with those that there are; any other as it is.
pub(super) async fn explained(problem: Problem, named: &Named, what: &str, client: &Client) -> Problem {
    let Problem::Client(ClientError::Api { body, .. }) = &problem else { return problem };
    // One that is known and missing is told with what it needs.
    if body.code != Code::Invalid || skylift_run::program_of(named.name()).is_some() {
        return problem;
    }
    let Ok(list) = client.languages().await else { return problem };
    if list.languages.iter().flat_map(names).any(|name| name.eq_ignore_ascii_case(named.name())) {
        return problem;
    }
    unknown(named, what, &list.languages)
}

fn unknown(named: &Named, what: &str, languages: &[Language]) -> Problem {
    let meant = nearest(named.name(), languages.iter().flat_map(names));
    let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
    let there_are = there_are(languages);
    match named {
        Named::Option(name) => {
            Problem::refused(format!("there is no language `{name}` here"), format!("{meant}{there_are}"))
        }
        Named::Suffix(suffix) => Problem::refused(
            format!("`{what}`: no language here has files that end in `.{suffix}`"),
            format!("{meant}say it with `--language`, in front of the file; {there_are}"),
        ),
    }
}

fn names(language: &Language) -> impl Iterator<Item = &str> {
    [&language.name].into_iter().chain(&language.aliases).map(String::as_str)
}

fn there_are(languages: &[Language]) -> String {
    let one = |language: &Language| match language.aliases.as_slice() {
        [] => language.name.clone(),
        aliases => format!("{} ({})", language.name, aliases.join(", ")),
    };
    let all: Vec<String> = languages.iter().map(one).collect();
    if all.is_empty() { "there are none here".to_owned() } else { format!("there are {}", all.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_name_says_the_language() {
        let suffix = |what| of(None, what).map(|named| named.name().to_owned());
        assert_eq!(suffix("a/b.py").as_deref(), Some("py"));
        assert_eq!(suffix("x.tar.cc").as_deref(), Some("cc"));
        assert_eq!((suffix("./Makefile"), suffix("-"), suffix("./.hidden")), (None, None, None));
        assert_eq!(of(Some("node"), "a.py"), Some(Named::Option("node".to_owned())));
    }

    #[test]
    fn who_names_a_language_that_there_is_not_is_told_which_there_are() {
        let language = |name: &str, aliases: &[&str]| Language {
            name: name.to_owned(),
            aliases: aliases.iter().map(|alias| (*alias).to_owned()).collect(),
            version: String::new(),
            file_name: String::new(),
            compiled: false,
            compile_options: Vec::new(),
            package_sets: Vec::new(),
            start: None,
        };
        let all = [language("python", &["py"]), language("c", &[])];
        let told = |named| match unknown(&named, "x.pyhton", &all) {
            Problem::Refused { message, hint } => format!("{message}: {hint}"),
            other => panic!("{other:?}"),
        };
        assert_eq!(
            told(Named::Option("pyhton".to_owned())),
            "there is no language `pyhton` here: did you mean `python`? there are python (py), c"
        );
        assert_eq!(
            told(Named::Suffix("txt".to_owned())),
            "`x.pyhton`: no language here has files that end in `.txt`: say it with `--language`, in front of the file; there are python (py), c"
        );
        assert_eq!(there_are(&[]), "there are none here");
    }
}

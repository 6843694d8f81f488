//! A command line that cannot be understood, told like every other problem.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit;
use super::output::{Format, Output};
use super::problem::Problem;

/// Prints help where that was asked for, else what is wrong; returns the exit code.
pub(super) fn report(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let is_asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let is_json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    if is_asked_for {
        let _ = error.print();
        return exit::SUCCESS;
    }
    if !is_json {
        let rendered = error.render();
        let is_terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let text = if is_terminal { rendered.ansi().to_string() } else { rendered.to_string() };
        let _ = std::io::stderr().write_all(in_words(text).as_bytes());
        return exit::USAGE;
    }
    Problem::Usage { message: message(error) }.report(Output::new(Format::Json))
}

/// What the standard library says of numbers, for people.
fn in_words(text: String) -> String {
    const WORDS: [(&str, &str); 3] = [
        ("invalid digit found in string", "a whole number is expected"),
        ("number too large to fit in target type", "the number is too large"),
        ("cannot parse integer from empty string", "a number is missing"),
    ];
    WORDS.iter().fold(text, |text, (theirs, ours)| text.replace(theirs, ours))
}

/// What is wrong, without the usage lines that only fit a terminal.
fn message(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command is given, or a part of it is missing".to_owned();
    }
    let text = in_words(error.render().to_string());
    let first = text.split("\n\n").next().unwrap_or_default();
    let mut message =
        first.strip_prefix("error: ").unwrap_or(first).lines().map(str::trim).collect::<Vec<_>>().join(" ");
    if let Some(ContextValue::String(suggestion)) = error.get(ContextKind::SuggestedSubcommand) {
        message.push_str(&format!("; did you mean `{suggestion}`?"));
    }
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_that_is_none_is_told_in_words() {
        let told = |given: &str| {
            let command = clap::Command::new("x").arg(clap::arg!(--tail <N>).value_parser(clap::value_parser!(u8)));
            message(&command.try_get_matches_from(["x", "--tail", given]).unwrap_err())
        };
        assert_eq!(told("x"), "invalid value 'x' for '--tail <N>': a whole number is expected");
        assert_eq!(told("256"), "invalid value '256' for '--tail <N>': 256 is not in 0..=255");
    }
}

//! A command line that cannot be understood, told like every other problem.

use std::ffi::OsString;
use std::io::{IsTerminal, Write};

use clap::CommandFactory;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::output::{Format, Output};
use super::problem::Problem;
use super::{CommandLine, exit};

/// Prints help where that was asked for, else what is wrong; returns the exit code.
pub(super) fn report(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let is_asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let is_json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    if is_asked_for {
        let _ = error.print();
        return exit::SUCCESS;
    }
    // The codes of `run` are those of what it runs.
    let is_run = command_of(arguments).is_some_and(|command| command == "run");
    if !is_json {
        let rendered = error.render();
        let is_terminal = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
        let mut text = in_words(if is_terminal { rendered.ansi().to_string() } else { rendered.to_string() });
        if let Some(ours) = ours_for(error) {
            text.push_str(&format!("\n  here it is: {ours}\n"));
        }
        let _ = std::io::stderr().write_all(text.as_bytes());
        return if is_run { exit::NOT_RUN } else { exit::USAGE };
    }
    let problem = Problem::Usage { message: message(error) };
    let problem = if is_run { Problem::NotRun(Box::new(problem)) } else { problem };
    problem.report(Output::new(Format::Json))
}

/// Which command was meant, as far as that can be told.
fn command_of(arguments: &[OsString]) -> Option<String> {
    let line = CommandLine::command().ignore_errors(true).try_get_matches_from(arguments).ok()?;
    line.subcommand_name().map(str::to_owned)
}

/// What the command that there is not is called here, where people know it from elsewhere.
fn ours_for(error: &clap::Error) -> Option<&'static str> {
    const THEIRS: [(&[&str], &str); 7] = [
        (&["stop", "pause"], "`skylift scale APP 0` stops an app, `skylift scale APP 1` starts it again"),
        (&["start"], "`skylift scale APP 1` starts an app that was stopped, `skylift up` the platform"),
        (&["destroy", "delete", "remove", "apps:destroy"], "`skylift rm APP`"),
        (&["list", "ls", "apps:create"], "`skylift apps` lists apps, `skylift create APP` makes one"),
        (&["push", "publish"], "`skylift deploy`"),
        (&["exec", "ssh", "shell", "enter"], "`skylift run APP -- COMMAND`, in an instance of its own"),
        (&["secrets", "config:set", "variables"], "`skylift env set APP NAME=VALUE`"),
    ];
    let Some(ContextValue::String(given)) = error.get(ContextKind::InvalidSubcommand) else { return None };
    THEIRS.iter().find(|(theirs, _)| theirs.contains(&given.as_str())).map(|(_, ours)| *ours)
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
    if let Some(ours) = ours_for(error) {
        message.push_str(&format!("; here it is: {ours}"));
    } else if let Some(suggestion) = error.get(ContextKind::SuggestedSubcommand).and_then(first_of) {
        message.push_str(&format!("; did you mean `{suggestion}`?"));
    }
    message
}

fn first_of(value: &ContextValue) -> Option<&String> {
    match value {
        ContextValue::String(one) => Some(one),
        ContextValue::Strings(all) => all.first(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_called_otherwise_elsewhere_is_named() {
        let told = |given: &str| {
            let command = clap::Command::new("x").subcommand(clap::Command::new("restart")).subcommand_required(true);
            message(&command.try_get_matches_from(["x", given]).unwrap_err())
        };
        assert_eq!(told("destroy"), "unrecognized subcommand 'destroy'; here it is: `skylift rm APP`");
        assert!(told("stop").contains("skylift scale APP 0"));
        assert!(told("restrat").contains("did you mean `restart`?"));
    }

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

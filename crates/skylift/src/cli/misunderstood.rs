//! A command line that cannot be understood, told like every other problem.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::exit;
use super::output::{Format, Output};
use super::problem::Problem;

/// Prints help where that was asked for, else what is wrong; returns the exit code.
pub(super) fn report(error: &clap::Error, arguments: &[OsString]) -> u8 {
    let is_asked_for = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    let is_json = arguments.iter().take_while(|word| *word != "--").any(|word| word == "--json");
    if is_asked_for || !is_json {
        let _ = error.print();
        return if is_asked_for { exit::SUCCESS } else { exit::USAGE };
    }
    Problem::Usage { message: message(error) }.report(Output::new(Format::Json))
}

/// What is wrong, without the usage lines that only fit a terminal.
fn message(error: &clap::Error) -> String {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return "no command is given, or a part of it is missing".to_owned();
    }
    let text = error.render().to_string();
    let first = text.split("\n\n").next().unwrap_or_default();
    let mut message =
        first.strip_prefix("error: ").unwrap_or(first).lines().map(str::trim).collect::<Vec<_>>().join(" ");
    if let Some(ContextValue::String(suggestion)) = error.get(ContextKind::SuggestedSubcommand) {
        message.push_str(&format!("; did you mean `{suggestion}`?"));
    }
    message
}

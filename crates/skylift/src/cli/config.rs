//! `skylift config show`: the platform's settings as they count on this machine.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::Context;
use super::problem::Problem;

/// Show the platform's settings
#[derive(Args)]
pub(crate) struct ConfigArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Print the settings that count, defaults included, secrets left out
    Show {
        /// The file to read [default: config.toml in the data folder]
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

/// Gives the settings as TOML.
pub(super) type Show = fn(Option<&Path>, Option<&Path>) -> anyhow::Result<String>;

pub(super) fn run(args: &ConfigArgs, context: &Context, show: Show) -> Result<(), Problem> {
    let Verb::Show { config } = &args.verb;
    let toml =
        show(context.flags.data.as_deref(), config.as_deref()).map_err(|error| Problem::usage(format!("{error:#}")))?;
    if !context.output.is_json() {
        return context.output.text(&toml);
    }
    let settings: toml::Table = toml::from_str(&toml)
        .map_err(|error| Problem::Internal { what: "read our own settings".to_owned(), source: Some(error.into()) })?;
    context.output.result(&settings, |_| String::new())
}

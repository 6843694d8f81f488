//! `skylift completions`: what a shell needs to complete this command line.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::problem::Problem;
use super::{CommandLine, Context};

/// Print completions for a shell
#[derive(Args)]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

pub(super) fn run(args: &CompletionsArgs, context: &Context) -> Result<(), Problem> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut CommandLine::command(), "skylift", &mut script);
    context.output.bytes(&script)
}

//! `skylift man`: manual pages, made from the command line's own definition.

use std::fs;
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory};
use clap_mangen::Man;

use super::output::say;
use super::problem::Problem;
use super::{CommandLine, Context};

/// Print the manual page, or write all of them to a folder
#[derive(Args)]
pub(crate) struct ManArgs {
    /// The folder to write `skylift.1`, `skylift-deploy.1` and the others to
    dir: Option<PathBuf>,
}

pub(super) fn run(args: &ManArgs, context: &Context) -> Result<(), Problem> {
    let mut command = CommandLine::command();
    command.build();
    let Some(dir) = &args.dir else { return context.output.bytes(&render(command)?) };
    fs::create_dir_all(dir).map_err(|source| Problem::WriteFile { path: dir.clone(), source })?;
    let count = write_all(dir, "skylift", command)?;
    say(&format!("{count} pages in {}", dir.display()));
    Ok(())
}

fn write_all(dir: &Path, name: &str, command: Command) -> Result<usize, Problem> {
    let mut count = 1;
    for below in command.get_subcommands().filter(|below| !below.is_hide_set() && below.get_name() != "help") {
        count += write_all(dir, &format!("{name}-{}", below.get_name()), below.clone())?;
    }
    let path = dir.join(format!("{name}.1"));
    let page = render(command.display_name(name.to_owned()))?;
    fs::write(&path, page).map_err(|source| Problem::WriteFile { path, source })?;
    Ok(count)
}

fn render(command: Command) -> Result<Vec<u8>, Problem> {
    let mut page = Vec::new();
    Man::new(command).render(&mut page).map_err(Problem::Write)?;
    Ok(page)
}

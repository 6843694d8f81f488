//! `skylift rm`: deletes an app, after its name was said twice.

use std::io::{self, BufRead, IsTerminal};

use clap::Args;
use serde::Serialize;
use skylift_model::AppName;

use super::Context;
use super::output::ask;
use super::problem::Problem;

/// Delete an app with its deployments, files and variables
#[derive(Args)]
pub(crate) struct RmArgs {
    /// The app
    app: AppName,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Serialize)]
struct Removed {
    removed: AppName,
}

pub(super) async fn run(args: RmArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    if !args.yes {
        client.app(&args.app).await?;
        confirm(&args.app)?;
    }
    client.delete_app(&args.app).await?;
    context.output.result(&Removed { removed: args.app }, |removed| format!("removed {}", removed.removed))
}

fn confirm(app: &AppName) -> Result<(), Problem> {
    let stdin = io::stdin();
    if !stdin.is_terminal() {
        return Err(Problem::usage(format!("deleting {app} cannot be undone; say --yes where nobody can be asked")));
    }
    ask(&format!("This deletes {app} with all its deployments and cannot be undone. Type its name to go on: "));
    let mut line = String::new();
    stdin.lock().read_line(&mut line).map_err(|source| Problem::read("standard input", source))?;
    if line.trim() == app.as_str() {
        return Ok(());
    }
    Err(Problem::refused(format!("that was not its name: {app} is left as it is"), "type the app's name, or say --yes"))
}

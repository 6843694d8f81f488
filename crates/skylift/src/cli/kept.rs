//! What an app keeps, its databases and volumes: what is said of one that is made, and how one goes.

use clap::Args;
use serde::Serialize;
use skylift_client::ClientError;
use skylift_model::{AppName, VolumeName};

use super::Context;
use super::confirm::confirm;
use super::output::say;
use super::problem::Problem;

// Clap would show a doc comment here in place of that of the command.
#[derive(Args)]
pub(super) struct RmArgs {
    /// Its name
    name: VolumeName,
    /// The app
    #[arg(long)]
    app: AppName,
    /// Do not ask
    #[arg(short, long)]
    yes: bool,
}

#[derive(Serialize)]
struct Removed {
    removed: VolumeName,
}

/// Says what it costs that only one instance may write. `does`: what that one does, as in "writes to it".
pub(super) fn say_one_writes(app: &AppName, does: &str) {
    say(&format!("one instance of {app} {does}: there is never a second, also while a new version takes over"));
}

/// Removes one by `remove`, once the user has said so. `kind`: what it is, as in "database".
pub(super) async fn rm(
    args: RmArgs,
    context: &Context,
    kind: &str,
    remove: impl AsyncFnOnce(&AppName, &VolumeName) -> Result<(), ClientError>,
) -> Result<(), Problem> {
    let RmArgs { name, app, yes } = args;
    if !yes {
        confirm(name.as_str(), &format!("deletes the {kind} {name} of {app} with everything in it"))?;
    }
    remove(&app, &name).await?;
    context.output.result(&Removed { removed: name }, |removed| format!("removed {}", removed.removed))
}

//! What an app keeps, its databases and volumes: what is said of one that is made, and how one goes.

use clap::Args;
use serde::Serialize;
use skylift_client::{Client, ClientError};
use skylift_model::{AppName, VolumeName};

use super::Context;
use super::confirm::confirm;
use super::output::say;
use super::problem::Problem;
use super::standing::Standing;

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

/// Says who has what was made. `what`: as in "the database". `one_does`: what one instance alone does, as in "writes to it"; `None` where
/// several may.
pub(super) async fn say_who_has_it(client: &Client, app: &AppName, what: &str, one_does: Option<&str>) {
    let standing = Standing::of(client, app).await.unwrap_or(Standing::Runs);
    if let Some(text) = who_has_it(app, standing, what, one_does) {
        say(&text);
    }
}

fn who_has_it(app: &AppName, standing: Standing, what: &str, one_does: Option<&str>) -> Option<String> {
    match standing {
        Standing::Site => {
            Some(format!("{app} is a site and has no instances: {what} waits for a version of it that runs"))
        }
        Standing::Undeployed => Some(format!("nothing of {app} is live: {what} waits for a version of it that runs")),
        Standing::Stopped | Standing::Asleep | Standing::Runs => one_does.map(|does| {
            format!("one instance of {app} {does}: there is never a second, also while a new version takes over")
        }),
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_instances_writes_nothing() {
        let app = "shop".parse().unwrap();
        let told = |standing, one_does| who_has_it(&app, standing, "the database", one_does);
        for standing in [Standing::Site, Standing::Undeployed] {
            for one_does in [None, Some("writes to it")] {
                let text = told(standing, one_does).unwrap();
                assert!(text.ends_with("the database waits for a version of it that runs"), "{text}");
            }
        }
        assert!(
            told(Standing::Stopped, Some("writes to it")).unwrap().starts_with("one instance of shop writes to it")
        );
        assert_eq!(told(Standing::Runs, None), None);
    }
}

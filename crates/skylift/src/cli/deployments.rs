//! `skylift deployments`: an app's deployments, or those of every app.

use clap::Args;
use skylift_model::AppName;
use skylift_model::source::Source;
use skylift_model::wire::{Deployment, DeploymentList, Failure};

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::table::table;

/// List deployments, newest first
#[derive(Args)]
#[command(visible_alias = "releases")]
pub(crate) struct DeploymentsArgs {
    /// The app; all apps where none is given
    app: Option<AppName>,
}

pub(super) async fn run(args: DeploymentsArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let deployments = match &args.app {
        Some(app) => client.deployments(app).await?,
        None => client.all_deployments().await?,
    };
    if deployments.is_empty() {
        say("no deployments yet; `skylift deploy` makes one");
    }
    context.output.result(&DeploymentList { deployments }, |list| {
        let row = |d: &Deployment| {
            let (id, app, created) = (d.id.to_string(), d.app.to_string(), ago(d.created_at, now()));
            [
                id,
                app,
                d.state.to_string(),
                created,
                source(&d.source),
                d.failure.as_ref().map(reason).unwrap_or_default(),
            ]
        };
        table(["DEPLOYMENT", "APP", "STATE", "CREATED", "SOURCE", "REASON"], list.deployments.iter().map(row))
    })
}

/// In one line; `skylift logs DEPLOYMENT` has the rest.
fn reason(failure: &Failure) -> String {
    format!("{}: {}", failure.step, failure.message.lines().next().unwrap_or_default())
}

fn source(source: &Source) -> String {
    match source {
        Source::Folder => "folder".to_owned(),
        Source::Archive => "archive".to_owned(),
        Source::Git { url, commit: None, .. } => url.clone(),
        Source::Git { url, commit: Some(commit), .. } => {
            let hash: String = commit.hash.chars().take(10).collect();
            format!("{url} {hash} {}", commit.message.lines().next().unwrap_or_default())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_one_line() {
        let message = "exited with code 1\nand more".to_owned();
        let failure = Failure { step: "build".to_owned(), message, exit_code: Some(1), hint: None };
        assert_eq!(reason(&failure), "build: exited with code 1");
    }
}

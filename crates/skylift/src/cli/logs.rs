//! `skylift logs`: the build log of an app's newest deployment, or of a given one.

use clap::Args;
use serde::Serialize;
use skylift_client::Client;
use skylift_model::wire::LogLine;
use skylift_model::{AppName, DeploymentId};

use super::Context;
use super::clean::clean;
use super::problem::Problem;
use super::target::Target;

/// Show the log of an app's newest deployment
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// The app whose newest deployment is meant, or a deployment
    #[arg(value_name = "APP|DEPLOYMENT")]
    of: Target,
    /// Wait for more until the deployment is done and runs no longer
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<u64>,
    /// The log of this deployment of the app rather than of the newest
    #[arg(long, value_name = "DEPLOYMENT")]
    build: Option<DeploymentId>,
}

#[derive(Serialize)]
struct Lines {
    lines: Vec<LogLine>,
}

pub(super) async fn run(args: LogsArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let of = match (&args.of, &args.build) {
        (Target::App(app), Some(id)) => {
            let other = client.deployment(id).await?.app;
            if other != *app {
                let hint = format!("`skylift deployments {app}` lists those of {app}");
                return Err(Problem::NotFound { message: format!("{id} is a deployment of {other}"), hint });
            }
            Target::Deployment(id.clone())
        }
        (Target::Deployment(id), Some(build)) if id != build => {
            let hint = "give one of them".to_owned();
            return Err(Problem::Refused { message: format!("{id} and {build} are two deployments"), hint });
        }
        (of, _) => of.clone(),
    };
    if args.follow {
        follow(&of, args.tail, &client, context).await
    } else {
        show(&of, args.tail, &client, context).await
    }
}

async fn show(of: &Target, tail: Option<u64>, client: &Client, context: &Context) -> Result<(), Problem> {
    let lines = match of {
        Target::Deployment(id) => client.log_lines(id, tail).await?,
        Target::App(app) => client.app_log_lines(app, tail).await?,
    };
    context.output.result(&Lines { lines }, |shown| shown.lines.iter().map(line_text).collect::<Vec<_>>().join("\n"))
}

async fn follow(of: &Target, tail: Option<u64>, client: &Client, context: &Context) -> Result<(), Problem> {
    let id = match of {
        Target::Deployment(id) => id.clone(),
        Target::App(app) => newest(client, app).await?,
    };
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let following = client.clone();
    let task = tokio::spawn(async move { following.follow_output(&id, tail, |line| drop(sender.send(line))).await });
    while let Some(line) = lines.recv().await {
        context.output.item(&line, line_text)?;
    }
    match task.await {
        Ok(followed) => Ok(followed?),
        Err(error) => Err(Problem::Internal { what: "follow the log".to_owned(), source: Some(error.into()) }),
    }
}

async fn newest(client: &Client, app: &AppName) -> Result<DeploymentId, Problem> {
    let deployment = client.deployments(app).await?.into_iter().next();
    let hint = format!("`skylift deploy --app {app}` makes one");
    deployment
        .map(|deployment| deployment.id)
        .ok_or_else(|| Problem::NotFound { message: format!("{app} has no deployment"), hint })
}

/// A line of a log, for people.
pub(super) fn line_text(line: &LogLine) -> String {
    format!("{:>8} | {}", clean(&line.step), clean(&line.text))
}

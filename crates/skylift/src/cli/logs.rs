//! `skylift logs`: what builds and instances printed: of what is live of an app, or of a given deployment.

use clap::Args;
use serde::Serialize;
use skylift_client::Client;
use skylift_model::wire::LogLine;
use skylift_model::{AppName, DeploymentId};

use super::Context;
use super::clean::clean;
use super::output::say;
use super::problem::Problem;
use super::target::Target;

/// Show the log of what is live: its build, and what its instances print
#[derive(Args)]
pub(crate) struct LogsArgs {
    /// The app, of which what is live is meant (the newest deployment, where nothing is), or a deployment
    #[arg(value_name = "APP|DEPLOYMENT")]
    of: Target,
    /// Wait for more, of an app also what the next deployment prints, until none of it runs any longer
    #[arg(short, long)]
    follow: bool,
    /// Only the last lines
    #[arg(short = 'n', long, value_name = "N")]
    tail: Option<u64>,
    /// The log of this deployment of the app rather than of what is live
    #[arg(long, value_name = "DEPLOYMENT", alias = "build")]
    deployment: Option<DeploymentId>,
    /// Say when each line was written
    #[arg(short, long)]
    timestamps: bool,
}

/// Whether lines say when they were written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stamps {
    Shown,
    Left,
}

#[derive(Serialize)]
struct Lines {
    lines: Vec<LogLine>,
}

pub(super) async fn run(args: LogsArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let of = match (&args.of, &args.deployment) {
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
    let stamps = if args.timestamps { Stamps::Shown } else { Stamps::Left };
    if args.follow {
        follow(&of, args.tail, stamps, &client, context).await
    } else {
        show(&of, args.tail, stamps, &client, context).await
    }
}

async fn show(
    of: &Target,
    tail: Option<u64>,
    stamps: Stamps,
    client: &Client,
    context: &Context,
) -> Result<(), Problem> {
    let lines = match of {
        Target::Deployment(id) => client.log_lines(id, tail).await?,
        Target::App(app) => client.app_log_lines(app, tail).await?,
    };
    context.output.result(&Lines { lines }, |shown| {
        shown.lines.iter().map(|line| line_text(line, stamps)).collect::<Vec<_>>().join("\n")
    })
}

async fn follow(
    of: &Target,
    tail: Option<u64>,
    stamps: Stamps,
    client: &Client,
    context: &Context,
) -> Result<(), Problem> {
    let app = match of {
        Target::Deployment(id) => return follow_one(id.clone(), tail, stamps, client, context).await,
        Target::App(app) => app,
    };
    let (mut id, mut tail) = (live_or_newest(client, app).await?, tail);
    loop {
        follow_one(id.clone(), tail, stamps, client, context).await?;
        match client.app(app).await?.live {
            Some(next) if next != id => {
                say(&format!("{next} is live"));
                (id, tail) = (next, None);
            }
            _ => return Ok(()),
        }
    }
}

/// Follows one deployment until it is done and runs no longer.
async fn follow_one(
    id: DeploymentId,
    tail: Option<u64>,
    stamps: Stamps,
    client: &Client,
    context: &Context,
) -> Result<(), Problem> {
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let following = client.clone();
    let task = tokio::spawn(async move { following.follow_output(&id, tail, |line| drop(sender.send(line))).await });
    while let Some(line) = lines.recv().await {
        context.output.item(&line, |line| line_text(line, stamps))?;
    }
    match task.await {
        Ok(followed) => Ok(followed?),
        Err(error) => Err(Problem::Internal { what: "follow the log".to_owned(), source: Some(error.into()) }),
    }
}

async fn live_or_newest(client: &Client, app: &AppName) -> Result<DeploymentId, Problem> {
    if let Some(live) = client.app(app).await?.live {
        return Ok(live);
    }
    let deployment = client.deployments(app).await?.into_iter().next();
    let hint = format!("`skylift deploy --app {app}` makes one");
    deployment
        .map(|deployment| deployment.id)
        .ok_or_else(|| Problem::NotFound { message: format!("{app} has no deployment"), hint })
}

/// A line of a log, for people.
pub(super) fn line_text(line: &LogLine, stamps: Stamps) -> String {
    let text = format!("{:>8} | {}", clean(&line.step), clean(&line.text));
    match stamps {
        Stamps::Shown => format!("{} {text}", line.at),
        Stamps::Left => text,
    }
}

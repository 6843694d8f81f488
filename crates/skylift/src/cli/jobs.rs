//! `skylift jobs`: the platform's work, and what of it was given up.

use clap::{Args, Subcommand};
use serde::Serialize;
use skylift_client::job::JobList;
use skylift_model::JobId;

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::table::table;

/// List jobs, and queue again what was given up
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct JobsArgs {
    /// Only those that were given up
    #[arg(long)]
    dead: bool,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Queue a dead job again
    Replay {
        /// The job
        id: JobId,
    },
}

#[derive(Serialize)]
struct Replayed {
    replayed: JobId,
}

pub(super) async fn run(args: JobsArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    if let Some(Verb::Replay { id }) = args.verb {
        client.replay_job(&id).await?;
        return context.output.result(&Replayed { replayed: id }, |done| format!("queued {} again", done.replayed));
    }
    let list = JobList { jobs: client.jobs(args.dead.then_some("dead")).await? };
    if list.jobs.is_empty() {
        say("no jobs");
    }
    context.output.result(&list, |list| {
        let rows = list.jobs.iter().map(|job| {
            let on = job.deployment.as_ref().map(ToString::to_string).or(job.app.as_ref().map(ToString::to_string));
            let error = job.error.clone().unwrap_or_default();
            let (id, on) = (job.id.to_string(), on.unwrap_or_else(|| "-".to_owned()));
            [id, job.kind.clone(), job.state.clone(), job.attempts.to_string(), on, error]
        });
        table(["JOB", "KIND", "STATE", "ATTEMPTS", "ON", "ERROR"], rows)
    })
}

//! `skylift jobs`: the platform's work, and what of it was given up.

use clap::{Args, Subcommand};
use serde::Serialize;
use skylift_model::JobId;
use skylift_model::wire::{Job, JobList};

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
        let row = |job: &Job| {
            let (id, attempts, error) = (job.id.to_string(), job.attempts.to_string(), job.error.clone());
            [id, job.kind.clone(), job.state.clone(), attempts, job.subject.clone(), error.unwrap_or_default()]
        };
        table(["JOB", "KIND", "STATE", "ATTEMPTS", "ON", "ERROR"], list.jobs.iter().map(row))
    })
}

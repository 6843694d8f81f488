//! `skylift runs`: runs that are kept, what came of them, and what is to become of them.

use std::time::Duration;

use clap::{Args, Subcommand};
use skylift_client::Client;
use skylift_model::RunId;
use skylift_model::run::RunState;
use skylift_model::wire::{Run, RunBrief, RunList};

use super::Context;
use super::output::{complain, say};
use super::problem::Problem;
use super::quantity::{ago, now};
use super::run::{as_text, decoded, why};
use super::table::table;

/// How often it is asked whether a run has settled.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// List runs of code that were queued or are kept; show one, end one, queue one again
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct RunsArgs {
    /// Only those in this state: `queued`, `running`, `done`, `cancelled` or `dead`
    #[arg(long)]
    state: Option<RunState>,
    #[command(subcommand)]
    verb: Option<Verb>,
}

#[derive(Subcommand)]
enum Verb {
    /// Show what a run printed, and how it ended
    Show {
        /// The run
        id: RunId,
        /// Wait until it has settled
        #[arg(long)]
        wait: bool,
    },
    /// End a run that waits or runs
    Cancel {
        /// The run
        id: RunId,
    },
    /// Queue a run again that was given up
    Redrive {
        /// The run
        id: RunId,
    },
}

pub(super) async fn run(args: RunsArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match args.verb {
        None => list(&client.runs(args.state.map(RunState::as_str)).await?, context),
        Some(Verb::Show { id, wait }) => show(settled(&client, &id, wait).await?, context),
        Some(Verb::Cancel { id }) => {
            let run = client.cancel_run(&id).await?;
            context.output.result(&run, |run| format!("{} is {}", run.id, run.state.as_str()))
        }
        Some(Verb::Redrive { id }) => {
            let run = client.redrive_run(&id).await?;
            context.output.result(&run, |run| format!("queued {} again", run.id))
        }
    }
}

fn list(list: &RunList, context: &Context) -> Result<(), Problem> {
    if list.runs.is_empty() {
        say("no runs are kept: those that are only waited for (`skylift run`) are not, unless they are asked to be");
    }
    let row = |run: &RunBrief| {
        [
            run.id.to_string(),
            run.language.clone(),
            run.state.as_str().to_owned(),
            run.status.clone().unwrap_or_else(|| "-".to_owned()),
            run.attempts.to_string(),
            ago(run.created_at, now()),
            run.error.clone().unwrap_or_default(),
        ]
    };
    let header = ["RUN", "LANGUAGE", "STATE", "STATUS", "ATTEMPTS", "ASKED FOR", "ERROR"];
    context.output.result(list, |list| table(header, list.runs.iter().map(row)))
}

/// A run, as it is, or once it waits and runs no more.
async fn settled(client: &Client, id: &RunId, wait: bool) -> Result<Run, Problem> {
    loop {
        let run = client.run(id).await?;
        if !wait || !matches!(run.state, RunState::Queued | RunState::Running) {
            return Ok(run);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// What it printed goes where it would have gone, and how it ended is said.
fn show(run: Run, context: &Context) -> Result<(), Problem> {
    if context.output.is_json() {
        return context.output.result(&as_text(run), |_| String::new());
    }
    context.output.bytes(&decoded(&run, &run.stdout))?;
    complain(&decoded(&run, &run.stderr));
    say(&format!("skylift: {}", standing(&run)));
    Ok(())
}

fn standing(run: &Run) -> String {
    let because = run.error.as_ref().map_or(String::new(), |error| format!(": {error}"));
    match (run.state, why(run), run.exit_code) {
        (RunState::Done, Some(why), _) => format!("it ended: {why}"),
        (RunState::Done, None, Some(code)) => format!("it ended with exit code {code}"),
        (state, ..) => format!("it is {}{because}", state.as_str()),
    }
}

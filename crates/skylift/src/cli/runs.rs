//! `skylift runs`: runs that are kept, what came of them, and what is to become of them.

use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use skylift_client::Client;
use skylift_model::RunId;
use skylift_model::run::RunState;
use skylift_model::wire::{Run, RunBrief, RunCallback, RunCallbackState};

use super::Context;
use super::clean::{clean, clean_output};
use super::output::{complain, say, stdout_is_terminal};
use super::problem::Problem;
use super::quantity::{ago, bytes, count, now};
use super::run::{as_text, bring, decoded, warned, why};
use super::table::table;

/// How many are listed, as usual and at most.
const LIMIT: u32 = 50;
const LIMIT_MAX: u32 = 500;
/// How often it is asked whether a run has settled.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// List runs of code that were queued or are kept; show one, end one, queue one again
#[derive(Args)]
pub(crate) struct RunsArgs {
    #[command(flatten)]
    which: Which,
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// Which are listed.
#[derive(Args)]
struct Which {
    /// Only those in this state: `queued`, `running`, `done`, `cancelled` or `dead`
    #[arg(long)]
    state: Option<RunState>,
    /// How many, the newest first; left out 50, at most 500
    #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..=500))]
    limit: Option<u32>,
}

#[derive(Subcommand)]
enum Verb {
    /// List them: the same as without a word
    #[command(visible_alias = "list")]
    Ls(Which),
    /// Show what a run printed, and how it ended
    Show {
        /// The run
        id: RunId,
        /// Wait until it has settled
        #[arg(long)]
        wait: bool,
        /// Where the files are put that it left of those that were wanted
        #[arg(long, value_name = "DIR")]
        output_dir: Option<PathBuf>,
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
    if args.verb.is_some() && (args.which.state.is_some() || args.which.limit.is_some()) {
        return Err(Problem::usage("`--state` and `--limit` are for the list: `skylift runs ls --state dead`"));
    }
    let client = context.client()?;
    match args.verb {
        None => list(&client, args.which, context).await,
        Some(Verb::Ls(which)) => list(&client, which, context).await,
        Some(Verb::Show { id, wait, output_dir }) => {
            show(settled(&client, &id, wait).await?, output_dir.as_deref(), context)
        }
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

async fn list(client: &Client, which: Which, context: &Context) -> Result<(), Problem> {
    let limit = which.limit.unwrap_or(LIMIT);
    let list = client.runs(which.state.map(RunState::as_str), limit).await?;
    match (list.runs.len(), which.state) {
        (0, Some(state)) => say(&format!("no run that is kept is {}", state.as_str())),
        (0, None) => {
            say("no runs are kept: those that are only waited for (`skylift run`) are not, unless that is asked")
        }
        (many, _) if many == limit as usize && limit < LIMIT_MAX => {
            say(&format!("the newest {many}; `--limit N` shows more"));
        }
        _ => {}
    }
    let row = |run: &RunBrief| {
        [
            run.id.to_string(),
            run.language.clone(),
            run.state.as_str().to_owned(),
            run.status.clone().unwrap_or_else(|| "-".to_owned()),
            run.attempts.to_string(),
            ago(run.created_at, now()),
            run.waits_for
                .as_ref()
                .map(|what| format!("waits for {what}"))
                .or_else(|| run.error.clone())
                .unwrap_or_default(),
        ]
    };
    let header = ["RUN", "LANGUAGE", "STATE", "STATUS", "ATTEMPTS", "ASKED FOR", "WHY"];
    context.output.result(&list, |list| table(header, list.runs.iter().map(row)))
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
fn show(run: Run, folder: Option<&Path>, context: &Context) -> Result<(), Problem> {
    if context.output.is_json() {
        return context.output.result(&as_text(run), |_| String::new());
    }
    let (stdout, stderr) = (decoded(&run, &run.stdout), decoded(&run, &run.stderr));
    complain(&for_reader(warned(&run), std::io::stderr().is_terminal()));
    context.output.bytes(&for_reader(stdout, stdout_is_terminal()))?;
    complain(&for_reader(stderr, std::io::stderr().is_terminal()));
    say(&format!("skylift: {}", standing(&run)));
    if let Some(callback) = &run.callback {
        say(&clean(&format!("skylift: {}", told(callback))));
    }
    match folder {
        Some(folder) => bring(&run, folder)?,
        None if !run.files.is_empty() => {
            say(&format!("skylift: it left {}: `--output-dir DIR` brings them", count(run.files.len() as u64, "file")));
        }
        None => {}
    }
    Ok(())
}

/// What a program printed for whoever looks at it: it may be somebody else's, and has no say over their terminal.
fn for_reader(printed: Vec<u8>, is_terminal: bool) -> Vec<u8> {
    if is_terminal { clean_output(&printed) } else { printed }
}

/// How far whoever is to be told was.
fn told(callback: &RunCallback) -> String {
    let RunCallback { url, state, attempts, last_error } = callback;
    let last = last_error.as_ref().map_or(String::new(), |error| format!("; at the last: {error}"));
    let tried = count(*attempts, "time");
    match state {
        RunCallbackState::Delivered => format!("{url} was told"),
        RunCallbackState::Waiting if *attempts == 0 => format!("{url} is to be told"),
        RunCallbackState::Waiting => format!("{url} is to be told, and was tried {tried}{last}"),
        RunCallbackState::Failed => format!("{url} was not told, tried {tried}{last}"),
    }
}

fn standing(run: &Run) -> String {
    let because = |why: &Option<String>| why.as_ref().map_or(String::new(), |why| format!(": {why}"));
    let used = run.usage.as_ref().map_or(String::new(), |usage| {
        let ms = |us: u64| us as f64 / 1000.0;
        let (wall, cpu, memory) = (ms(usage.wall_us), ms(usage.cpu_us), bytes(usage.peak_memory_bytes));
        format!(
            " ({} {}, {wall:.0} ms, {cpu:.0} ms of processors, {memory})",
            run.language,
            run.version.as_deref().unwrap_or("-")
        )
    });
    match (run.state, why(run), run.exit_code) {
        (RunState::Done, Some(why), _) => format!("it ended: {why}{used}"),
        (RunState::Done, None, Some(code)) => format!("it ended with exit code {code}{used}"),
        (RunState::Queued, ..) if run.waits_for.is_some() => {
            format!("it is queued, and waits for {}", run.waits_for.as_deref().unwrap_or_default())
        }
        (RunState::Dead, ..) => {
            format!("it was given up{}; `skylift runs redrive {}` queues it again", because(&run.error), run.id)
        }
        (state, ..) => format!("it is {}{}", state.as_str(), because(&run.error)),
    }
}

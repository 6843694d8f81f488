//! `skylift detect`: the plan for a source, and where each decision came from.

use std::path::{Path, PathBuf};

use clap::Args;
use skylift_model::plan::Plan;

use super::Context;
use super::clean::clean;
use super::problem::Problem;
use super::table::table;

/// Show what would be built, and why, without building it
#[derive(Args)]
pub(crate) struct DetectArgs {
    /// The source's folder
    #[arg(default_value = ".")]
    path: PathBuf,
    /// The folder in it that holds the project
    #[arg(long, value_name = "SUB")]
    dir: Option<String>,
}

/// Makes the plan for the source at a path, with the project in the given folder of it.
pub(super) type Detect = fn(&Path, Option<&str>) -> anyhow::Result<Plan>;

pub(super) fn run(args: &DetectArgs, context: &Context, detect: Detect) -> Result<(), Problem> {
    let plan = detect(&args.path, args.dir.as_deref())
        .map_err(|error| Problem::refused(format!("{}: {error:#}", args.path.display()), ""))?;
    if !plan.kind.is_static() {
        super::output::say("this is a server program: it is recognised, but this version cannot run it yet");
    }
    context.output.result(&plan, text)
}

fn text(plan: &Plan) -> String {
    let decisions = plan.decisions.iter().map(|d| [d.what.clone(), d.value.clone(), d.from.clone()]);
    let mut lines = vec![table(["WHAT", "VALUE", "FROM"], decisions)];
    let commands = [("install", &plan.install), ("build", &plan.build), ("test", &plan.test)];
    for (step, command) in commands {
        lines.extend(command.as_ref().map(|command| format!("{step}: {}", clean(command))));
    }
    let output = if plan.output.is_empty() { "." } else { &plan.output };
    lines.push(format!("output: {}", clean(output)));
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

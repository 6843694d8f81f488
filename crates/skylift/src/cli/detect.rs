//! `skylift detect`: the plan for a source, and where each decision came from.

use std::path::PathBuf;

use clap::Args;
use skylift_client::folder::{Walked, walk};
use skylift_model::plan::{Plan, ProjectKind};

use super::Context;
use super::clean::clean;
use super::left_out::LeftOut;
use super::output::say;
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

/// Makes the plan for a source, of which only what would be sent counts, with the project in the given folder of it.
pub(crate) type Detect = fn(&Walked, Option<&str>) -> anyhow::Result<Result<Plan, NotPlanned>>;

/// Why a source has no plan, and what to do about it.
pub(crate) struct NotPlanned {
    pub(crate) message: String,
    pub(crate) hint: String,
}

pub(super) fn run(args: &DetectArgs, context: &Context, detect: Detect) -> Result<(), Problem> {
    let walked = walk(&args.path)?;
    let left_out = LeftOut::of_walked(&walked);
    let dir = args.dir.as_deref();
    let planned = detect(&walked, dir).map_err(|error| {
        Problem::refused(format!("{}: {error:#}", args.path.display()), "name a folder that you may read")
    })?;
    let plan = planned.map_err(|NotPlanned { message, hint }| {
        let hints: Vec<_> = left_out.explains_failure(dir, &message).into_iter().chain([hint]).collect();
        Problem::refused(format!("{}: {message}", args.path.display()), hints.join("\n"))
    })?;
    if plan.kind == ProjectKind::Dockerfile {
        say("this is an image: it needs a server whose owner names a Docker engine ([docker] socket)");
    }
    for line in left_out.overlooked(&plan) {
        say(&format!("note: {line}"));
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
    for (name, command) in [("release", &plan.release), ("start", &plan.start)] {
        lines.extend(command.as_ref().map(|command| format!("{name}: {}", clean(command))));
    }
    if !plan.kind.is_static() {
        lines.retain(|line| !line.is_empty());
        return lines.join("\n");
    }
    let output = if plan.output.is_empty() { "." } else { &plan.output };
    lines.push(format!("output: {}", clean(output)));
    lines.retain(|line| !line.is_empty());
    lines.join("\n")
}

//! `skylift detect`: the plan for a source, and where each decision came from.

use std::path::{Component, Path, PathBuf};

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

impl NotPlanned {
    /// The same for whoever named the source; what was left out of it may explain it.
    pub(super) fn problem(self, source: &Path, dir: Option<&str>, left_out: &LeftOut) -> Problem {
        let Self { message, hint } = self;
        let hints: Vec<_> = left_out.explains_failure(dir, &message).into_iter().chain([hint]).collect();
        Problem::refused(format!("{}: {message}", source.display()), hints.join("\n"))
    }
}

/// Refuses a folder of the project that is not there, before it is taken for anything else.
pub(super) fn require_dir(source: &Path, dir: Option<&str>) -> Result<(), Problem> {
    let Some(dir) = dir else { return Ok(()) };
    let inside = Path::new(dir);
    // What leads out of the source is refused by whoever reads it.
    let is_plain = inside.components().all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !is_plain || !source.is_dir() || source.join(inside).is_dir() {
        return Ok(());
    }
    let what = if source.join(inside).exists() { "is no folder" } else { "does not exist" };
    Err(Problem::NotFound {
        message: format!("the folder `{dir}` that --dir names {what} in {}", source.display()),
        hint: "--dir is the project's folder below the source, such as `apps/web`".to_owned(),
    })
}

pub(super) fn run(args: &DetectArgs, context: &Context, detect: Detect) -> Result<(), Problem> {
    require_dir(&args.path, args.dir.as_deref())?;
    let walked = walk(&args.path)?;
    let left_out = LeftOut::of_walked(&walked);
    let dir = args.dir.as_deref();
    let planned = detect(&walked, dir).map_err(|error| {
        Problem::refused(format!("{}: {error:#}", args.path.display()), "name a folder that you may read")
    })?;
    let plan = planned.map_err(|not| not.problem(&args.path, dir, &left_out))?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_there_is_told_as_such() {
        let source = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(source.path().join("apps/web")).unwrap();
        std::fs::write(source.path().join("file"), "").unwrap();
        let told = |dir| require_dir(source.path(), dir).err().map(|problem| problem.to_string()).unwrap_or_default();
        for dir in [None, Some("apps"), Some("./apps/web/"), Some("."), Some("../other")] {
            assert_eq!(told(dir), "", "{dir:?}");
        }
        assert!(told(Some("apps/wep")).contains("`apps/wep` that --dir names does not exist in "));
        assert!(told(Some("file")).contains("is no folder in "));
    }
}

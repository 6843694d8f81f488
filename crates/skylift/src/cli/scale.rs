//! `skylift scale`: how many instances an app has.

use clap::Args;
use skylift_model::AppName;

use super::Context;
use super::output::say;
use super::problem::Problem;

/// Set how many instances an app has
#[derive(Args)]
pub(crate) struct ScaleArgs {
    /// The app
    app: AppName,
    /// How many; 0 stops them all
    #[arg(value_name = "INSTANCES")]
    wanted: u32,
}

pub(super) async fn run(args: ScaleArgs, context: &Context) -> Result<(), Problem> {
    let set = context.client()?.set_instances(&args.app, args.wanted).await?;
    say(&format!("{} is to have {} instances; `skylift ps {}` shows them", args.app, set.wanted, args.app));
    context.output.result(&set, |set| set.wanted.to_string())
}

//! `skylift purge`: drops answers of other hosts that are kept for an app.

use clap::Args;
use skylift_model::AppName;
use skylift_model::wire::Purge;

use super::Context;
use super::problem::Problem;

/// Drop answers of other hosts that are kept for an app
#[derive(Args)]
pub(crate) struct PurgeArgs {
    /// The app
    app: AppName,
    /// Only those of this path, with any query; `/blog/*` for all below one
    #[arg(long, value_name = "PATH", conflicts_with = "tag")]
    path: Option<String>,
    /// Only those with this name in their Cache-Tag
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
}

pub(super) async fn run(args: PurgeArgs, context: &Context) -> Result<(), Problem> {
    let purge = Purge { path: args.path, tag: args.tag };
    let purged = context.client()?.purge(&args.app, &purge).await?;
    context.output.result(&purged, |purged| match purged.applied {
        true => "purged".to_owned(),
        false => "asked for; not every edge has said that it is done".to_owned(),
    })
}

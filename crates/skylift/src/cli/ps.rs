//! `skylift ps`: the instances of an app.

use clap::Args;
use skylift_model::AppName;

use super::Context;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::table::table;

/// Show the instances of an app
#[derive(Args)]
pub(crate) struct PsArgs {
    /// The app
    app: AppName,
}

pub(super) async fn run(args: PsArgs, context: &Context) -> Result<(), Problem> {
    let list = context.client()?.instances(&args.app).await?;
    context.output.result(&list, |list| {
        let rows = list.instances.iter().map(|instance| {
            let why = instance.reason.clone().unwrap_or_default();
            let since = ago(instance.ended_at.or(instance.ready_at).unwrap_or(instance.created_at), now());
            [instance.id.to_string(), instance.state.to_string(), since, instance.deployment.to_string(), why]
        });
        table(["INSTANCE", "STATE", "SINCE", "DEPLOYMENT", "REASON"], rows)
    })
}

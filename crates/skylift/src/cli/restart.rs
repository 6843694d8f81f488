//! `skylift restart`: replaces every instance of an app, one by one.

use clap::Args;
use skylift_model::AppName;
use skylift_model::InstanceState;
use skylift_model::program::WEB;

use super::Context;
use super::clean::clean;
use super::output::say;
use super::problem::Problem;

/// What helps where a node is full.
const MAKE_ROOM: &str = "fewer instances of another app (`skylift scale OTHER --max N`) or a smaller instance type (`--type`) make some; \
    as soon as there is room, the restart goes on";

/// Replace the instances of an app one by one, without a failed request
#[derive(Args)]
pub(crate) struct RestartArgs {
    /// The app
    app: AppName,
}

pub(super) async fn run(args: RestartArgs, context: &Context) -> Result<(), Problem> {
    let (client, app) = (context.client()?, &args.app);
    let restarted = client.restart(app).await?;
    let list = client.instances(app).await?;
    let is_old = list
        .instances
        .iter()
        .any(|one| one.process == WEB && one.state == InstanceState::Ready && one.created_at < restarted.at);
    if let (true, Some(missing)) = (is_old, &list.waits_for) {
        return Err(Problem::refused(
            format!("no room for another instance of {app}: {}; the old ones go on", clean(missing)),
            MAKE_ROOM,
        ));
    }
    if is_old {
        return Err(Problem::refused(
            format!("the new instances of {app} do not answer yet; the old ones go on"),
            format!("`skylift ps {app} --why` shows why one ended"),
        ));
    }
    match client.explain_scaling(app).await?.stopped {
        true => say(&format!("{app} is stopped, nothing was restarted; `skylift scale {app} 1` starts it")),
        false => say(&format!("restarted {app}")),
    }
    if context.output.is_json() { context.output.result(&restarted, |_| String::new()) } else { Ok(()) }
}

//! `skylift apps`: every app and what of it is live.

use clap::Args;
use skylift_model::wire::AppList;

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::table::table;

/// List apps
#[derive(Args)]
#[command(visible_alias = "ls")]
pub(crate) struct AppsArgs {}

pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let list = AppList { apps: context.client()?.apps().await? };
    if list.apps.is_empty() {
        say("no apps yet; `skylift deploy` makes one");
    }
    context.output.result(&list, |list| {
        let rows = list.apps.iter().map(|app| {
            let live = app.live.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
            [app.name.to_string(), live, ago(app.created_at, now()), app.url.clone()]
        });
        table(["APP", "LIVE", "CREATED", "URL"], rows)
    })
}

//! `skylift open`: an app's address, in a browser where there is one.

use std::process::{Command, Stdio};

use clap::Args;
use skylift_model::AppName;

use super::Context;
use super::output::say;
use super::problem::Problem;

/// What opens an address in the user's browser.
const OPENERS: [&str; 3] = ["xdg-open", "open", "wslview"];

/// Open an app in the browser
#[derive(Args)]
pub(crate) struct OpenArgs {
    /// The app
    app: AppName,
}

pub(super) async fn run(args: OpenArgs, context: &Context) -> Result<(), Problem> {
    let app = context.client()?.app(&args.app).await?;
    if app.live.is_none() {
        say(&format!("{} has nothing live yet", app.name));
    }
    // The address is the server's word: what is no web address is not handed to a program.
    let is_web = app.url.starts_with("http://") || app.url.starts_with("https://");
    if !is_web || !OPENERS.iter().any(|opener| start(opener, &app.url)) {
        say("no browser could be started; this is the address");
    }
    context.output.result(&app, |app| app.url.clone())
}

fn start(opener: &str, url: &str) -> bool {
    let mut command = Command::new(opener);
    command.arg(url).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().is_ok()
}

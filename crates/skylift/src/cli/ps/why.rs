//! `skylift ps APP --why`: why the last instance that ended by itself did, and what it printed before.

use serde::Serialize;
use skylift_client::Client;
use skylift_model::wire::{Instance, InstanceList, LogLine};
use skylift_model::{AppName, InstanceState};

use crate::cli::Context;
use crate::cli::clean::clean;
use crate::cli::logs::{Stamps, line_text};
use crate::cli::output::say;
use crate::cli::problem::Problem;
use crate::cli::quantity::{ago, now};

/// How many of its last lines are shown.
const LINES: u64 = 100;

#[derive(Serialize)]
struct Why<'i> {
    instance: &'i Instance,
    lines: Vec<LogLine>,
}

pub(super) async fn show(
    client: &Client,
    app: &AppName,
    list: &InstanceList,
    context: &Context,
) -> Result<(), Problem> {
    let ended = list.instances.iter().filter(|one| one.state == InstanceState::Ended && one.reason.is_some());
    let Some(instance) = ended.max_by_key(|one| one.ended_at) else {
        say(&format!("no instance of {app} has ended by itself lately"));
        return if context.output.is_json() {
            context.output.result(&serde_json::Value::Null, |_| String::new())
        } else {
            Ok(())
        };
    };
    let lines = client.instance_log_lines(&instance.id, Some(LINES)).await?;
    context.output.result(&Why { instance, lines }, |why| {
        let mut text: Vec<String> = why.lines.iter().map(|line| line_text(line, Stamps::Shown)).collect();
        text.push(summary(why.instance));
        text.join("\n")
    })
}

fn summary(instance: &Instance) -> String {
    let reason = instance.reason.as_deref().unwrap_or_default();
    let ended = instance.ended_at.map_or_else(String::new, |at| format!(" {}", ago(at, now())));
    let Instance { id, process, deployment, .. } = instance;
    format!("{id} ({} of {deployment}) ended{ended}: {}", clean(process), clean(reason))
}

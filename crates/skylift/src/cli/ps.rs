//! `skylift ps`: the instances of an app, and why the last one ended.

mod template;
mod why;

use clap::Args;
use skylift_client::Client;
use skylift_model::program::WEB;
use skylift_model::wire::{CrashLoop, Deployment, Instance, InstanceList};
use skylift_model::{AppName, DeploymentState, InstanceState};

use super::Context;
use super::clean::clean;
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::standing::Standing;
use super::table::table;

/// How many of those that ended are shown.
const ENDED_SHOWN: usize = 5;

/// Show the instances of an app
#[derive(Args)]
pub(crate) struct PsArgs {
    /// The app
    app: AppName,
    /// Show why the last one that ended by itself did, with the last lines that it printed
    #[arg(long)]
    why: bool,
    /// Show what new instances are started from, whole
    #[arg(long, conflicts_with = "why")]
    template: bool,
    /// Show all that ended in the last ten minutes, not only the newest
    #[arg(long, conflicts_with_all = ["why", "template"])]
    all: bool,
}

pub(super) async fn run(args: PsArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    if args.template {
        return template::show(&client, &args.app, context).await;
    }
    let list = client.instances(&args.app).await?;
    if args.why {
        return why::show(&client, &args.app, &list, context).await;
    }
    if !context.output.is_json() {
        if !is_web_there(&list) {
            say_why_none(&client, &args.app).await;
        }
        say_what_failed(&client, &args.app).await;
    }
    let ended = if args.all { usize::MAX } else { ENDED_SHOWN };
    context.output.result(&list, |list| text(list, ended))
}

/// Whether something answers requests, or is to do so soon.
fn is_web_there(list: &InstanceList) -> bool {
    let is_there = |one: &Instance| matches!(one.state, InstanceState::Starting | InstanceState::Ready);
    list.instances.iter().any(|one| one.process == WEB && is_there(one))
}

/// A list without instances does not tell why. That this cannot be had is no failure of the list.
async fn say_why_none(client: &Client, app: &AppName) {
    if let Some(why) = Standing::of(client, app).await.ok().and_then(|standing| standing.why_none(app)) {
        say(&why);
    }
}

/// What kept the instances of the newest version from being ready is gone with them; its deployment knows. That this cannot be had is no
/// failure of the list.
async fn say_what_failed(client: &Client, app: &AppName) {
    let newest = client.deployments(app).await.ok().and_then(|all| all.into_iter().next());
    if let Some(text) = newest.as_ref().and_then(what_failed) {
        say(&text);
    }
}

/// Why the newest deployment is not live, where it failed.
fn what_failed(newest: &Deployment) -> Option<String> {
    let failure = newest.failure.as_ref().filter(|_| newest.state == DeploymentState::Failed)?;
    let (id, step, why) = (&newest.id, clean(&failure.step), clean(&failure.message));
    Some(format!("the newest deployment, {id}, failed in the step {step}: {why}"))
}

/// The text, with so many of those that ended.
fn text(list: &InstanceList, ended: usize) -> String {
    let (over, running): (Vec<_>, Vec<_>) =
        list.instances.iter().partition(|instance| instance.state == InstanceState::Ended);
    let left_out = over.len().saturating_sub(ended);
    let instances = running.into_iter().chain(over.into_iter().take(ended)).map(row);
    let rows = list.crash_looping.iter().map(crash_loop_row).chain(instances);
    let waits = list.waits_for.iter().map(|missing| format!("no room for another instance: {missing}\n"));
    let shown = table(["INSTANCE", "PROCESS", "STATE", "SINCE", "DEPLOYMENT", "TEMPLATE", "REASON"], rows);
    let more = if left_out > 0 { format!("\n{left_out} more ended: `--all` shows them") } else { String::new() };
    waits.chain([shown, more]).collect()
}

fn row(instance: &Instance) -> [String; 7] {
    let since = ago(instance.ended_at.or(instance.ready_at).unwrap_or(instance.created_at), now());
    let (id, process) = (instance.id.to_string(), instance.process.clone());
    let state = match instance.unhealthy_since {
        Some(_) if instance.state == InstanceState::Ready => "unhealthy".to_owned(),
        _ => instance.state.to_string(),
    };
    let template = instance.template.map(|version| version.to_string()).unwrap_or_default();
    let reason = instance.reason.clone().unwrap_or_default();
    [id, process, state, since, instance.deployment.to_string(), template, reason]
}

/// Above the instances, of which none may be there at this moment.
fn crash_loop_row(one: &CrashLoop) -> [String; 7] {
    let since = ago(one.last_at, now());
    [
        "-".to_owned(),
        one.process.clone(),
        "crash-looping".to_owned(),
        since,
        one.deployment.to_string(),
        String::new(),
        one.text(now()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_loop_stands_above_what_ended() {
        let list = serde_json::json!({
            "wanted": 1,
            "crash_looping": [{
                "process": "web", "deployment": "d-000000000zzzzzzz", "ends": 3, "reason": "exited with code 1",
                "last_at": "2026-01-01T00:00:00.000Z", "next_start_at": null
            }],
            "instances": [{
                "id": "i-000000000zzzzzzz", "deployment": "d-000000000zzzzzzz", "node": "n", "state": "ended",
                "created_at": "2026-01-01T00:00:00.000Z", "reason": "exited with code 1"
            }]
        });
        let text = text(&serde_json::from_value(list).unwrap(), ENDED_SHOWN);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("-") && lines[1].contains("crash-looping, started again; last: exited with code 1")
        );
        assert!(lines[2].starts_with("i-000000000zzzzzzz  web"), "{text}");
    }

    #[test]
    fn of_many_that_ended_the_newest_are_shown_and_the_others_counted() {
        let one = |number: u64, state: &str| {
            serde_json::json!({
                "id": format!("i-00000000000000{number:02}"), "deployment": "d-000000000zzzzzzz", "node": "n",
                "state": state, "created_at": "2026-01-01T00:00:00.000Z"
            })
        };
        let ended = (2..10).map(|number| one(number, "ended"));
        let instances: Vec<_> = [one(1, "ready")].into_iter().chain(ended).collect();
        let list = serde_json::from_value(serde_json::json!({ "wanted": 1, "instances": instances })).unwrap();
        let (few, all) = (text(&list, 5), text(&list, usize::MAX));
        assert_eq!(few.lines().count(), 1 + 1 + 5 + 1, "{few}");
        assert!(few.ends_with("3 more ended: `--all` shows them"), "{few}");
        assert_eq!(all.lines().count(), 1 + 9, "{all}");
    }
}

//! `skylift status`: how the platform is.

use std::time::Duration;

use clap::Args;
use skylift_model::instance_type::cpus;
use skylift_model::wire::{NodeStatus, QueueStatus, Status};

use super::Context;
use super::clean::clean;
use super::problem::Problem;
use super::quantity::{bytes, count, span};
use super::table::table;

/// Show health, queues, disk and memory of the platform
#[derive(Args)]
pub(crate) struct StatusArgs {}

pub(super) async fn run(context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    let status = client.status().await?;
    context.output.result(&status, |status| text(&client.base_url().to_string(), status))
}

fn text(url: &str, status: &Status) -> String {
    let health = match (status.healthy, status.problems.is_empty()) {
        (true, true) => "healthy",
        (true, false) => "degraded",
        (false, _) => "NOT healthy",
    };
    let up = span(Duration::from_millis(status.uptime_ms));
    let mut lines = vec![format!("{url}  {health}, version {}, up {up}", clean(&status.version))];
    lines.extend(status.problems.iter().map(|problem| format!("  problem: {}", clean(problem))));
    lines.extend(status.crash_looping.iter().map(|process| format!("  {}", clean(process))));
    lines.push(format!("apps     {}, {} kept", status.apps, count(status.deployments, "deployment")));
    lines.extend(status.nodes.iter().map(node));
    lines.push(format!(
        "disk     {} of {} used by what was sent and built; {} free, {} of it kept in reserve",
        bytes(status.disk.used_bytes),
        bytes(status.disk.budget_bytes),
        bytes(status.disk.free_bytes),
        bytes(status.disk.reserve_bytes)
    ));
    let memory = &status.memory;
    lines.push(format!("memory   {}; {} available", bytes(memory.resident_bytes), bytes(memory.available_bytes)));
    let sandbox = if status.sandbox.complete { "complete" } else { "NOT complete" };
    lines.push(format!("sandbox  {sandbox}"));
    lines.extend(status.sandbox.missing.iter().map(|missing| format!("  missing: {}", clean(missing))));
    let queues = table(["QUEUE", "READY", "RUNNING", "DEAD", "OLDEST"], status.queues.iter().map(row));
    if !queues.is_empty() {
        lines.push(queues);
    }
    lines.join("\n")
}

fn node(node: &NodeStatus) -> String {
    format!(
        "node     {}: {} may use {} of {} and {} of {}",
        clean(&node.name),
        count(node.instances, "instance"),
        bytes(node.memory_taken_bytes),
        bytes(node.memory_bytes),
        cpus(node.cpu_taken_millicores),
        cpus(node.cpu_millicores)
    )
}

fn row(queue: &QueueStatus) -> [String; 5] {
    let oldest = if queue.ready == 0 { "-".to_owned() } else { span(Duration::from_millis(queue.oldest_ms)) };
    let (ready, leased, dead) = (queue.ready.to_string(), queue.leased.to_string(), queue.dead.to_string());
    [queue.kind.clone(), ready, leased, dead, oldest]
}

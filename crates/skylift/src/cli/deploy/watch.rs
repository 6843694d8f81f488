//! Waits until a deployment is settled and shows its steps, its place in the queue and its log on the way.

use std::time::Duration;

use skylift_client::{Client, ClientError};
use skylift_model::wire::{Deployment, Event, LogLine};
use skylift_model::{AppName, DeploymentId, DeploymentState};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::progress::StateLine;
use crate::cli::clean::clean;
use crate::cli::logs::line_text;
use crate::cli::problem::Problem;

/// How often a waiting deployment's place in the queue is asked for.
const QUEUE_ASKED_EVERY: Duration = Duration::from_secs(2);
/// How long the rest of the log is waited for, once the deployment is live. Nobody waits for it: they want the address.
const LOG_AFTER_LIVE: Duration = Duration::from_millis(50);
/// How long it is waited for where it says why the deployment failed.
const LOG_AFTER_FAILURE: Duration = Duration::from_secs(3);

/// Whether the log was shown to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shown {
    Whole,
    Part,
}

enum News {
    Event(Event),
    Line(LogLine),
    LogEnded,
    Place(Box<Deployment>),
    Settled(Box<Result<Deployment, ClientError>>),
}

/// Waits until the deployment is settled. Interrupted, it says how to go on: the server does so by itself.
pub(super) async fn watch(client: &Client, deployment: &Deployment) -> Result<(Deployment, Shown), Problem> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(no_signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(no_signals)?;
    let (sender, mut news) = unbounded_channel();
    spawn_watchers(client, &deployment.id, sender);
    let mut line = StateLine::new();
    line.state(waiting(deployment));
    let interrupted = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        settled = until_settled(&mut news, &mut line) => settled,
        () = interrupted => Err(interrupted_while(&deployment.app, &deployment.id)),
    }
}

async fn until_settled(
    news: &mut UnboundedReceiver<News>,
    line: &mut StateLine,
) -> Result<(Deployment, Shown), Problem> {
    let mut shown = Shown::Part;
    let mut is_queued = true;
    while let Some(next) = news.recv().await {
        match next {
            News::Event(event) => {
                is_queued = event.state == DeploymentState::Queued;
                line.state(event_text(&event));
            }
            News::Place(deployment) if is_queued => line.state(waiting(&deployment)),
            News::Place(_) => {}
            News::Line(log) => line.line(&line_text(&log)),
            News::LogEnded => shown = Shown::Whole,
            News::Settled(settled) => {
                let deployment = (*settled)?;
                if shown == Shown::Part {
                    shown = show_rest(news, line, &deployment).await;
                }
                return Ok((deployment, shown));
            }
        }
    }
    Err(Problem::Internal { what: "wait for the deployment".to_owned(), source: None })
}

/// Shows what is left of the log, within limits.
async fn show_rest(news: &mut UnboundedReceiver<News>, line: &StateLine, deployment: &Deployment) -> Shown {
    let is_live = deployment.state == DeploymentState::Live;
    let patience = tokio::time::sleep(if is_live { LOG_AFTER_LIVE } else { LOG_AFTER_FAILURE });
    tokio::pin!(patience);
    loop {
        tokio::select! {
            () = &mut patience => return Shown::Part,
            next = news.recv() => match next {
                Some(News::Line(log)) => line.line(&line_text(&log)),
                Some(News::LogEnded) => return Shown::Whole,
                Some(News::Event(_) | News::Place(_) | News::Settled(_)) => {}
                None => return Shown::Part,
            },
        }
    }
}

/// Three watchers, one channel: whichever has news never takes the turn of another that is connecting.
fn spawn_watchers(client: &Client, id: &DeploymentId, sender: UnboundedSender<News>) {
    let (events, id_of_events, to) = (client.clone(), id.clone(), sender.clone());
    tokio::spawn(async move {
        let settled = events.wait_until_settled(&id_of_events, |event| drop(to.send(News::Event(event)))).await;
        let _ = to.send(News::Settled(Box::new(settled)));
    });
    let (log, id_of_log, to) = (client.clone(), id.clone(), sender.clone());
    tokio::spawn(async move {
        let followed = log.follow_log(&id_of_log, None, |line| drop(to.send(News::Line(line)))).await;
        if followed.is_ok() {
            let _ = to.send(News::LogEnded);
        }
    });
    let (queue, id) = (client.clone(), id.clone());
    tokio::spawn(async move {
        loop {
            tokio::time::sleep(QUEUE_ASKED_EVERY).await;
            match queue.deployment(&id).await {
                Ok(deployment) if deployment.state == DeploymentState::Queued => {
                    let _ = sender.send(News::Place(Box::new(deployment)));
                }
                Ok(_) => return,
                Err(_) => {}
            }
        }
    });
}

fn waiting(deployment: &Deployment) -> String {
    match deployment.queue_position {
        Some(1) => format!("{} {}: 1 deployment before it", deployment.id, deployment.state),
        Some(before) if before > 0 => format!("{} {}: {before} deployments before it", deployment.id, deployment.state),
        _ => format!("{} {}", deployment.id, deployment.state),
    }
}

/// An event's message names the state by itself, or is given it.
fn event_text(event: &Event) -> String {
    let (state, message) = (event.state.as_str(), clean(&event.message));
    if message.starts_with(state) { message.into_owned() } else { format!("{state}: {message}") }
}

fn interrupted_while(app: &AppName, id: &DeploymentId) -> Problem {
    let hint = format!("{id} goes on; `skylift logs {app} -f --build {id}` follows it, `skylift cancel {id}` stops it");
    Problem::Interrupted { hint }
}

fn no_signals(error: std::io::Error) -> Problem {
    Problem::Internal { what: "listen for signals".to_owned(), source: Some(error.into()) }
}

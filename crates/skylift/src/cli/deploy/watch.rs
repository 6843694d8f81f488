//! Waits until a deployment is settled and shows its steps, its place in the queue and its log on the way.

use std::time::Duration;

use skylift_client::{Client, ClientError};
use skylift_model::wire::{Code, Deployment, Event, LogLine};
use skylift_model::{AppName, DeploymentId, DeploymentState};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::time::Instant;

use super::order::Order;
use super::progress::StateLine;
use crate::cli::logs::{Stamps, line_text};
use crate::cli::problem::Problem;
use crate::cli::quantity::count;

/// How often a waiting deployment's place in the queue is asked for.
const QUEUE_ASKED_EVERY: Duration = Duration::from_secs(2);
/// How long the rest of the log is waited for, once the deployment is live. Nobody waits for it: they want the address.
const LOG_AFTER_LIVE: Duration = Duration::from_millis(50);
/// How long a state waits for lines of the build before it.
const LOG_BEFORE_STATE: Duration = Duration::from_millis(200);
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
    // Its place is told when it is asked for again: most are built at once, whatever others are.
    line.state(format!("{} {}", deployment.id, deployment.state));
    let interrupted = async {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    };
    tokio::select! {
        settled = until_settled(&mut news, &mut line) => settled.map_err(|problem| lost_while(deployment, problem)),
        () = interrupted => Err(interrupted_while(&deployment.app, &deployment.id)),
    }
}

async fn until_settled(
    news: &mut UnboundedReceiver<News>,
    line: &mut StateLine,
) -> Result<(Deployment, Shown), Problem> {
    let mut shown = Shown::Part;
    let mut order = Order::default();
    let mut held_until = None;
    loop {
        let next = tokio::select! {
            next = news.recv() => next,
            () = patience(held_until) => {
                held_until = None;
                line.show(order.after_log());
                continue;
            }
        };
        match next {
            Some(News::Event(event)) => line.show(order.event(&event)),
            Some(News::Place(deployment)) if order.is_queued() => line.state(waiting(&deployment)),
            Some(News::Place(_)) => {}
            Some(News::Line(log)) => line.show(order.line(line_text(&log, Stamps::Left))),
            Some(News::LogEnded) => shown = Shown::Whole,
            Some(News::Settled(settled)) => {
                let deployment = (*settled)?;
                if shown == Shown::Part {
                    shown = show_rest(news, line, &mut order, &deployment).await;
                }
                line.show(order.after_log());
                return Ok((deployment, shown));
            }
            None => return Err(Problem::Internal { what: "wait for the deployment".to_owned(), source: None }),
        }
        if shown == Shown::Whole && !order.is_queued() {
            line.show(order.after_log());
        } else if order.is_holding() && held_until.is_none() {
            held_until = Some(Instant::now() + LOG_BEFORE_STATE);
        }
    }
}

/// Waits until then; for ever where there is no such time.
async fn patience(until: Option<Instant>) {
    match until {
        Some(until) => tokio::time::sleep_until(until).await,
        None => std::future::pending().await,
    }
}

/// Shows what is left of the log, within limits.
async fn show_rest(
    news: &mut UnboundedReceiver<News>,
    line: &mut StateLine,
    order: &mut Order,
    deployment: &Deployment,
) -> Shown {
    let is_live = deployment.state == DeploymentState::Live;
    let patience = tokio::time::sleep(if is_live { LOG_AFTER_LIVE } else { LOG_AFTER_FAILURE });
    tokio::pin!(patience);
    loop {
        tokio::select! {
            () = &mut patience => return Shown::Part,
            next = news.recv() => match next {
                Some(News::Line(log)) => line.show(order.line(line_text(&log, Stamps::Left))),
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
        Some(before) if before > 0 => {
            format!("{} {}: {} before it", deployment.id, deployment.state, count(before, "deployment"))
        }
        _ => format!("{} {}", deployment.id, deployment.state),
    }
}

/// A deployment that was accepted is gone with its app, or is gone on with once there is a server again.
fn lost_while(deployment: &Deployment, problem: Problem) -> Problem {
    match problem {
        Problem::Client(ClientError::Api { status: 404, .. }) => Problem::NotFound {
            message: format!("app `{}` was removed while {} was under way", deployment.app, deployment.id),
            hint: "whoever removed it meant to; to have it again, deploy once more".to_owned(),
        },
        Problem::Client(error) if error.is_connection() || error.code() == Some(Code::Unavailable) => Problem::Lost {
            hint: format!(
                "{} is accepted and goes on once the platform is back; `skylift deployments {}` shows it then",
                deployment.id, deployment.app
            ),
            source: error,
        },
        other => other,
    }
}

fn interrupted_while(app: &AppName, id: &DeploymentId) -> Problem {
    let hint =
        format!("{id} goes on; `skylift logs {app} -f --deployment {id}` follows it, `skylift cancel {id}` stops it");
    Problem::Interrupted { hint }
}

fn no_signals(error: std::io::Error) -> Problem {
    Problem::Internal { what: "listen for signals".to_owned(), source: Some(error.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_the_server_is_gone_it_says_that_the_deployment_goes_on() {
        let accepted = serde_json::json!({
            "id": "d-000000000zzzzzzz", "app": "shop", "state": "building", "url": "", "app_url": "",
            "source": { "kind": "folder" }, "created_at": "2026-01-01T00:00:00.000Z"
        });
        let accepted: Deployment = serde_json::from_value(accepted).unwrap();
        let lost = |error| lost_while(&accepted, Problem::Client(error));
        let gone = ClientError::TimedOut { url: "http://localhost".to_owned(), seconds: 60 };
        let Problem::Lost { hint, .. } = lost(gone) else { panic!("its hint is that of any command") };
        assert!(hint.contains("goes on once the platform is back; `skylift deployments shop`"), "{hint}");
        assert!(matches!(lost(ClientError::InvalidToken), Problem::Client(_)), "another token does not lose it");
    }
}

//! The order in which steps and log lines are shown.
//!
//! They come over two connections, so a line may arrive before the state it belongs to, or after the next one. Lines wait
//! until the build is known to have begun, and what comes after a build waits for the build's lines.

use skylift_model::DeploymentState;
use skylift_model::wire::Event;

use crate::cli::clean::clean;

/// What is to be shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Show {
    /// The deployment is in another state.
    State(String),
    /// What is being done in that state. The log says it, too.
    Step(String),
    /// A line of the log.
    Line(String),
}

/// What waits for its turn.
#[derive(Debug, Default)]
pub(super) struct Order {
    last: Option<DeploymentState>,
    lines: Vec<Show>,
    after_log: Vec<Show>,
}

impl Order {
    /// Whether no builder has begun, as far as is known.
    pub(super) fn is_queued(&self) -> bool {
        matches!(self.last, None | Some(DeploymentState::Queued))
    }

    /// Whether something waits for the end of the log.
    pub(super) fn is_holding(&self) -> bool {
        !self.after_log.is_empty()
    }

    pub(super) fn line(&mut self, text: String) -> Vec<Show> {
        self.lines.push(Show::Line(text));
        if self.is_queued() { Vec::new() } else { std::mem::take(&mut self.lines) }
    }

    pub(super) fn event(&mut self, event: &Event) -> Vec<Show> {
        let before = self.last.replace(event.state);
        let text = text(event);
        match event.state {
            // The first one is what the deployment began with, which is shown already.
            DeploymentState::Queued if before.is_none() => return Vec::new(),
            DeploymentState::Queued => return vec![Show::State(text)],
            DeploymentState::Building if before == Some(DeploymentState::Building) => return vec![Show::Step(text)],
            DeploymentState::Building => {
                let mut shown = vec![Show::State(text)];
                shown.append(&mut self.lines);
                return shown;
            }
            // How it ended is told at length, after everything else.
            state if state.is_settled() => {}
            _ => self.after_log.push(Show::State(text)),
        }
        std::mem::take(&mut self.lines)
    }

    /// No more lines are known to come, or they were waited for long enough.
    pub(super) fn after_log(&mut self) -> Vec<Show> {
        let mut shown = std::mem::take(&mut self.lines);
        shown.append(&mut self.after_log);
        shown
    }
}

/// An event's message names the state by itself, or is given it.
fn text(event: &Event) -> String {
    let (state, message) = (event.state.as_str(), clean(&event.message));
    if message.starts_with(state) { message.into_owned() } else { format!("{state}: {message}") }
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

    use super::*;

    enum Came {
        Event(DeploymentState, &'static str),
        Line(&'static str),
    }

    fn check(came: &[Came], expected: &[&str]) {
        let mut order = Order::default();
        let mut shown = Vec::new();
        for (seq, came) in (1..).zip(came) {
            shown.extend(match came {
                Came::Line(text) => order.line((*text).to_owned()),
                Came::Event(state, message) => {
                    let at = Timestamp::from_millis(0);
                    order.event(&Event { seq, at, state: *state, message: (*message).to_owned() })
                }
            });
        }
        shown.extend(order.after_log());
        let texts: Vec<_> = shown
            .iter()
            .map(|show| match show {
                Show::State(text) => format!("[{text}]"),
                Show::Step(text) => format!("({text})"),
                Show::Line(text) => text.clone(),
            })
            .collect();
        assert_eq!(texts, expected);
    }

    #[test]
    fn lines_come_after_the_state_they_belong_to_and_before_the_next_whatever_arrives_first() {
        use Came::{Event, Line};
        use DeploymentState::{Building, Deploying, Live, Queued, Superseded};
        check(
            &[
                Event(Queued, "queued"),
                Event(Building, "building"),
                Line("a"),
                Event(Building, "npm ci"),
                Line("b"),
                Event(Deploying, "deploying"),
                Event(Live, "live"),
            ],
            &["[building]", "a", "(building: npm ci)", "b", "[deploying]"],
        );
        check(&[Line("a"), Event(Queued, "queued"), Event(Building, "building")], &["[building]", "a"]);
        check(
            &[Event(Building, "building"), Event(Deploying, "deploying"), Line("b")],
            &["[building]", "b", "[deploying]"],
        );
        check(&[Event(Queued, "queued"), Line("superseded by x"), Event(Superseded, "x")], &["superseded by x"]);
        check(
            &[Event(Queued, "queued"), Event(Building, "building"), Event(Queued, "replayed")],
            &["[building]", "[queued: replayed]"],
        );
    }
}

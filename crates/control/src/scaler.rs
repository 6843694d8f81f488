//! Scales apps that run: hears what edges and nodes see, asks `skylift-scale` every second, and writes what follows.
//!
//! Several may do so at once: a decision is written only where the number is still the one it was made from. What is
//! remembered between decisions lies in memory; whoever is new begins with the number it finds.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use skylift_bus::{Message, Received};
use skylift_model::wire::{Scaling, ScalingAnswer, ScalingNow};
use skylift_model::{AppName, chain};
use skylift_scale::{Decision, Observed, Policy, Settings, State, decide};
use skylift_store::{Scaled, StoreError};
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

use crate::sensors::Sensors;
use crate::worker::Queue;

/// How often it is decided.
const TICK: Duration = Duration::from_secs(1);

/// The one task that scales.
pub struct Scaler {
    queue: Queue,
    began: Instant,
    apps: HashMap<AppName, Known>,
}

/// What is known of an app.
#[derive(Default)]
struct Known {
    sensors: Sensors,
    state: State,
    last: Option<(Observed, Decision)>,
}

impl Scaler {
    /// One that remembers nothing yet.
    pub fn new(queue: Queue) -> Self {
        Self { queue, began: Instant::now(), apps: HashMap::new() }
    }

    /// Scales until told to stop.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut messages = self.queue.bus.subscribe();
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while !*stop.borrow() {
            let is_time = tokio::select! {
                // Where a request waits and there is no instance, the next tick would be late.
                received = messages.next() => matches!(received, Received::Message(message) if self.hear(&message)),
                _ = ticks.tick() => true,
                _ = stop.wait_for(|stop| *stop) => false,
            };
            if is_time && let Err(error) = self.decide().await {
                tracing::error!(error = %chain(&error), "cannot scale");
            }
        }
    }

    /// Takes in a message; whether somebody waits for an app's first instance.
    fn hear(&mut self, message: &Message) -> bool {
        let now = Instant::now();
        match message {
            Message::Load(edge, seen) => {
                for (app, load) in seen {
                    self.apps.entry(app.clone()).or_default().sensors.hear_load(edge, *load, now);
                }
                let sleeps = |app: &AppName| self.apps.get(app).is_some_and(|known| known.state.desired() == Some(0));
                return seen.iter().any(|(app, load)| load.waiting > 0 && sleeps(app));
            }
            Message::Used(node, seen) => {
                for (app, used) in seen {
                    self.apps.entry(app.clone()).or_default().sensors.hear_used(node, *used, now);
                }
            }
            Message::ExplainAsked(app) => {
                let now = self.apps.get(app).and_then(|known| known.last.as_ref()).map(explained);
                let json = serde_json::to_string(&now).unwrap_or_default();
                self.queue.bus.publish(Message::Explained(app.clone(), json));
            }
            _ => {}
        }
        false
    }

    async fn decide(&mut self) -> Result<(), StoreError> {
        let rows = self.queue.store.scaled().await?;
        self.apps.retain(|app, _| rows.iter().any(|row| row.app == *app));
        for row in rows {
            let known = self.apps.entry(row.app.clone()).or_default();
            if row.stopped {
                known.last = None;
                continue;
            }
            let decision = known.decide(&row, self.began);
            if decision.desired != row.wanted {
                self.write(row, decision).await?;
            }
        }
        Ok(())
    }

    async fn write(&self, row: Scaled, decision: Decision) -> Result<(), StoreError> {
        let (app, steps, why) = (row.app, (row.wanted, decision.desired), decision.reason);
        if self.queue.store.scale(app.clone(), steps, why.clone(), self.queue.clock.now()).await? {
            tracing::info!(app = %app, from = steps.0, to = steps.1, why, "scaled");
            self.queue.bus.publish(Message::InstancesChanged(app));
        }
        Ok(())
    }
}

impl Known {
    fn decide(&mut self, row: &Scaled, began: Instant) -> Decision {
        // By hand, by somebody else who scales, or never seen: it goes on from what is wanted now.
        if self.state.desired() != Some(row.wanted) {
            self.state.set_desired(row.wanted);
        }
        let now = Instant::now();
        let observed = self.sensors.observe(row, now);
        let now_ms = u64::try_from(now.duration_since(began).as_millis()).unwrap_or(u64::MAX);
        let decision = decide(&observed, &settings(&row.scaling), &mut self.state, now_ms);
        self.last = Some((observed, decision.clone()));
        decision
    }
}

fn settings(scaling: &Scaling) -> Settings {
    let policies = [
        scaling.cpu.map(|percent| Policy::Cpu(f64::from(percent))),
        scaling.in_flight.map(|count| Policy::InFlight(f64::from(count))),
        scaling.rps.map(|rate| Policy::Rps(f64::from(rate))),
    ];
    let defaults = Settings::default();
    let in_hold_ms = u64::from(scaling.hold_seconds) * 1000;
    Settings {
        min: scaling.min,
        max: scaling.max,
        policies: policies.into_iter().flatten().collect(),
        in_hold_ms,
        // As long to the hold as by default, but no longer: who waits less before going in goes sooner, too.
        in_step_ms: (in_hold_ms * 2 / 3).min(defaults.in_step_ms),
        idle_ms: u64::from(scaling.idle_seconds) * 1000,
        idle_grace_ms: 0,
        ..defaults
    }
}

fn explained((observed, decision): &(Observed, Decision)) -> ScalingNow {
    let answers = decision.answers.iter().map(|answer| ScalingAnswer {
        law: answer.law.to_owned(),
        wants: answer.wants,
        why: answer.why.clone(),
    });
    ScalingNow {
        reason: decision.reason.clone(),
        ready: observed.ready,
        starting: observed.starting,
        cpu: observed.cpu.map(|cpu| cpu.percent),
        waiting: observed.waiting,
        in_flight: observed.in_flight,
        rps: observed.arrivals_per_s,
        answers: answers.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shorter_hold_shortens_the_steps_in_and_a_longer_one_does_not_lengthen_them() {
        let step_ms = |hold_seconds| settings(&Scaling { hold_seconds, ..Scaling::default() }).in_step_ms;
        assert_eq!([0, 6, 90, 3600].map(step_ms), [0, 4_000, 60_000, 60_000]);
        assert_eq!(step_ms(Scaling::default().hold_seconds), Settings::default().in_step_ms);
    }
}

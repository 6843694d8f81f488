//! Whether an instance that was ready still answers, as long as it runs: as its template says, or, where that names no path, anything.
//!
//! Whoever is asked for a path has `timeout_seconds` for it. Without one it is asked what it was asked at its start, and has much longer
//! ([`HealthChecks::patience`]): it may be busy with what takes its time, and such an answer says only that it lives.

use std::time::Duration;

use skylift_bus::Message;
use skylift_log::Log;
use skylift_model::health::{Checked, HealthChecks};
use skylift_model::program::Protocol;
use skylift_model::{Program, chain};
use skylift_sandbox::Family;
use tokio::time::sleep;

use super::live::Live;
use super::probe::Unmet;
use super::{Instance, probe, symptoms};

impl Instance {
    /// The Host field of checks.
    pub(super) fn host(&self) -> String {
        format!("{}.{}", self.input.instance.app, self.settings.domain)
    }

    /// Asks on and on, and tells where the answer turns. Returns at once where nothing is to be asked.
    pub(super) async fn keep_checking(&self, live: &Live, program: &Program, log: &Log) {
        let checks = self.input.template.as_ref().map(|template| template.health.checks).unwrap_or_default();
        let (Some(door), 1..) = (live.door(), checks.interval_seconds) else { return };
        let every = Duration::from_secs(u64::from(checks.interval_seconds));
        let (wanted, within) = asked(program, &checks);
        let (host, mut checked, mut told) = (self.host(), Checked::default(), false);
        loop {
            sleep(every).await;
            let found = probe::check(&door, wanted, &host, within).await;
            let is_lost = !matches!(wanted, probe::Wanted::Good(_)) && matches!(found, Err(Unmet::Late(_)));
            checked = if is_lost { checked.after_all_failed() } else { checked.after(found.is_ok(), &checks) };
            if checked.is_unhealthy == told {
                continue;
            }
            let why = match found {
                Ok(()) => None,
                Err(unmet) => Some(self.why(live, door.address(Family::V4).port(), &unmet).await),
            };
            if self.tell(why, log).await {
                told = checked.is_unhealthy;
            }
        }
    }

    /// How it fails, and what its processes show of why.
    async fn why(&self, live: &Live, port: u16, unmet: &Unmet) -> String {
        if matches!(unmet, Unmet::Status { .. }) {
            return unmet.to_string();
        }
        let listening = live.listening();
        let condition = tokio::task::spawn_blocking(move || listening.condition(port)).await.unwrap_or_default();
        format!("stopped answering: {unmet}; {}", symptoms::words(&condition))
    }

    /// Whether it was taken note of.
    async fn tell(&self, why: Option<String>, log: &Log) -> bool {
        let (worker, app) = (&self.worker, &self.input.instance.app);
        let is_unhealthy = why.is_some();
        let told = worker.store.instance_checked(self.id().clone(), why.clone(), worker.clock.now()).await;
        match told {
            Ok(true) => {}
            Ok(false) => return true,
            Err(error) => {
                tracing::warn!(instance.id = %self.id(), error = %chain(&error), "cannot tell how healthy an instance is");
                return false;
            }
        }
        let words = why.map_or_else(|| "healthy again".to_owned(), |why| format!("unhealthy: {why}"));
        log.say(self.step(), words).await;
        tracing::info!(app = %app, instance.id = %self.id(), is_unhealthy, "the health of an instance changed");
        worker.bus.publish(Message::RoutesChanged(app.clone()));
        worker.bus.publish(Message::InstancesChanged(app.clone()));
        true
    }
}

/// What is asked, and how long it may take.
fn asked<'p>(program: &'p Program, checks: &HealthChecks) -> (probe::Wanted<'p>, Duration) {
    let within = Duration::from_secs(u64::from(checks.timeout_seconds));
    match (&program.health_path, program.protocol) {
        (Some(path), Protocol::Http1) => (probe::Wanted::Good(path), within),
        (None, Protocol::Http1) => (probe::Wanted::Any, checks.patience()),
        (_, Protocol::H2c) => (probe::Wanted::Http2, checks.patience()),
    }
}

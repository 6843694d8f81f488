//! Whether an instance that was ready still answers as its template says, as long as it runs.

use std::time::Duration;

use skylift_bus::Message;
use skylift_log::Log;
use skylift_model::health::Checked;
use skylift_model::{Program, chain};
use tokio::time::sleep;

use super::live::Live;
use super::probe::Unmet;
use super::{Instance, probe};

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
        let within = Duration::from_secs(u64::from(checks.timeout_seconds));
        let wanted = program.health_path.as_deref().map_or(probe::Wanted::Connection, probe::Wanted::Good);
        let (host, mut checked, mut told) = (self.host(), Checked::default(), false);
        loop {
            sleep(every).await;
            let found = probe::check(&door, wanted, &host, within).await;
            checked = checked.after(found.is_ok(), &checks);
            if checked.is_unhealthy != told && self.tell(checked.is_unhealthy, found.err(), log).await {
                told = checked.is_unhealthy;
            }
        }
    }

    /// Whether it was taken note of.
    async fn tell(&self, is_unhealthy: bool, unmet: Option<Unmet>, log: &Log) -> bool {
        let (worker, app) = (&self.worker, &self.input.instance.app);
        let told = worker.store.instance_checked(self.id().clone(), is_unhealthy, worker.clock.now()).await;
        match told {
            Ok(true) => {}
            Ok(false) => return true,
            Err(error) => {
                tracing::warn!(instance.id = %self.id(), error = %chain(&error), "cannot tell how healthy an instance is");
                return false;
            }
        }
        let words = unmet.map_or_else(|| "healthy again".to_owned(), |unmet| format!("unhealthy: {unmet}"));
        log.say(self.step(), words).await;
        tracing::info!(app = %app, instance.id = %self.id(), is_unhealthy, "the health of an instance changed");
        worker.bus.publish(Message::RoutesChanged(app.clone()));
        worker.bus.publish(Message::InstancesChanged(app.clone()));
        true
    }
}

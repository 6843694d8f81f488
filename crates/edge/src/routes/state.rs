//! Deployments that are not routed: whether they are on their way, or came to nothing.
//!
//! Asked only for the address of one deployment that leads nowhere. An id is made of the time and of random bits, so that
//! it is hardly guessed, and nothing but the state is told for it.

use std::sync::Arc;
use std::time::Duration;

use skylift_model::{DeploymentId, DeploymentState};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::source::RouteSource;

/// How many questions are under way at once. Who asks for many ids gets the page that knows nothing.
const AT_ONCE: usize = 4;
/// How long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// Asks the source of routes for states, a few at a time.
pub(crate) struct States {
    source: Arc<dyn RouteSource>,
    turns: Semaphore,
}

impl States {
    pub(crate) fn new(source: Arc<dyn RouteSource>) -> Self {
        Self { source, turns: Semaphore::new(AT_ONCE) }
    }

    /// The state of the deployment with this label; `None` where there is none, or it cannot be had at this moment.
    pub(crate) async fn of(&self, label: &str) -> Option<DeploymentState> {
        let id: DeploymentId = label.parse().ok()?;
        let _turn = self.turns.try_acquire().ok()?;
        timeout(PATIENCE, self.source.state(&id)).await.ok()?.ok()?
    }
}

//! Fleets in memory, for tests of plans.

use skylift_model::{DeploymentId, Timestamp};
use skylift_store::{Beside, Fleet};

/// The node of all instances.
pub(crate) const NODE: &str = "n";

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1000)
}

pub(crate) fn deployment(number: i64) -> DeploymentId {
    DeploymentId::new(at(number), 0)
}

/// Without instances, and for as many writers as there are.
pub(crate) fn fleet(live: Option<i64>, next: Option<i64>, wanted: u32) -> Fleet {
    Fleet {
        app: "shop".parse().unwrap(),
        live: live.map(deployment),
        next: next.map(deployment),
        rollout: None,
        trial: None,
        settings: Default::default(),
        wanted,
        one_writer: None,
        restarted_at: at(0),
        outdated: Default::default(),
        unhealthy_for: None,
        instances: Vec::new(),
        crashes: Vec::new(),
        beside: Beside::default(),
    }
}

//! Fleets and what is in them, in memory, for tests of plans.

use skylift_model::program::WEB;
use skylift_model::{DeploymentId, InstanceId, InstanceState, Timestamp};
use skylift_store::{Beside, Fleet, InstanceRow};

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

/// An instance that answers requests once it is ready, as it is made at second 1. Others are it with some of its fields.
pub(crate) fn instance(made: u64, of: &DeploymentId, state: InstanceState) -> InstanceRow {
    InstanceRow {
        id: InstanceId::new(at(1), made),
        app: "shop".parse().unwrap(),
        deployment: of.clone(),
        node: NODE.to_owned(),
        state,
        serves: true,
        process: WEB.to_owned(),
        created_at: at(1),
        ready_at: None,
        ended_at: None,
        reason: None,
        exit_code: None,
        command: None,
        template: None,
        unhealthy_since: None,
    }
}

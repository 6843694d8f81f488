//! What was acknowledged, kept outside the platform, and what follows from it.

use std::collections::BTreeMap;

use skylift_model::DeploymentId;
use skylift_model::wire::{Deployment, Job};
use skylift_tests::acknowledged::Acknowledged;

/// What is known of one app from the answers alone: the reference that the platform is compared with.
#[derive(Debug, Default)]
pub(crate) struct Expected {
    /// Every accepted deployment with the page it brings, in the order they were accepted.
    pub(crate) deployments: Vec<(DeploymentId, String)>,
    /// Those of them that ended with a reason.
    pub(crate) given_up: Vec<DeploymentId>,
    /// What must be live.
    pub(crate) live: Option<DeploymentId>,
}

/// What must hold of every app.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) apps: BTreeMap<String, Expected>,
    pub(crate) deleted: Vec<String>,
    /// The same on disk.
    pub(crate) acknowledged: Acknowledged,
}

impl Ledger {
    pub(crate) fn accepted(&mut self, app: &str, id: &DeploymentId, page: &str) {
        self.acknowledged.note(app, id, page);
        let app = self.apps.entry(app.to_owned()).or_default();
        let known = &mut app.deployments;
        // The newest attempt: those before it were given up.
        match known.iter().rfind(|(_, other)| other == page) {
            Some((earlier, _)) if !app.given_up.contains(earlier) => assert_eq!(earlier, id, "one key, one deployment"),
            _ => known.push((id.clone(), page.to_owned())),
        }
    }

    /// How many deployments of this page were accepted and given up.
    pub(crate) fn given_up(&self, app: &str, page: &str) -> usize {
        let Some(app) = self.apps.get(app) else { return 0 };
        app.deployments.iter().filter(|(id, other)| other == page && app.given_up.contains(id)).count()
    }

    /// Whether a job is dead that ended with its deployment: it can be replayed.
    pub(crate) fn waits_for_the_owner(&self, job: &Job) -> bool {
        let gave_up = |id: &DeploymentId| id.as_str() == job.subject;
        job.state == "dead" && self.apps.values().any(|app| app.given_up.iter().any(gave_up))
    }

    /// The deployment that brought this page: the newest attempt, those before it were given up.
    pub(crate) fn brought(&self, app: &str, page: &str) -> DeploymentId {
        let brought = self.apps[app].deployments.iter().rfind(|(_, other)| other == page);
        brought.expect("deployed before").0.clone()
    }

    /// A deployment failed; it must say why.
    pub(crate) fn gave_up(&mut self, deployment: &Deployment) {
        let failure = deployment.failure.as_ref().expect("a reason");
        assert!(!failure.message.is_empty(), "{failure:?}");
        self.apps.get_mut(deployment.app.as_str()).expect("accepted before").given_up.push(deployment.id.clone());
    }

    pub(crate) fn is_live(&mut self, app: &str, id: &DeploymentId) {
        self.apps.get_mut(app).expect("deployed before").live = Some(id.clone());
    }

    pub(crate) fn deleted(&mut self, app: &str) {
        self.acknowledged.deleted(app);
        self.apps.remove(app);
        self.deleted.push(app.to_owned());
    }
}

//! One route: what a host label leads to, and the deployment that answers.

use std::borrow::Borrow;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use skylift_balance::Group;
use skylift_model::net::InRule;
use skylift_model::route::RoutedDeployment;
use skylift_model::{AppName, DeploymentId, Digest};

use crate::metrics::Counters;
use crate::rate::FullAt;
use crate::site::ServedSite;

/// What one host label leads to.
pub(crate) struct Route {
    pub(crate) app: AppName,
    pub(crate) kind: Kind,
    /// `None` for an app with nothing live.
    pub(crate) target: Option<Target>,
    /// Of an app: what was live before, the last of them first.
    pub(crate) before: Box<[RoutedDeployment]>,
    pub(crate) counters: Arc<Counters>,
    /// Of the app: what it may still be asked.
    pub(crate) bucket: Arc<FullAt>,
    /// Of the app: what goes live, again or not, has a new one.
    pub(crate) generation: u64,
    /// Whether no instance will come, however long a request waits: its owner stopped the app, or this is not live.
    pub(crate) is_stopped: bool,
    /// Of the app: whose requests it takes.
    pub(crate) net_in: Arc<[InRule]>,
}

/// Whose name a host label is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An app's: what is live.
    App,
    /// A deployment's own.
    Deployment,
}

/// A deployment that answers.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) deployment: DeploymentId,
    pub(crate) artifact: Digest,
    /// Held in memory while it is live; others are loaded when asked for.
    pub(crate) site: Option<Arc<ServedSite>>,
    /// Where it runs: who answers. There is no site then.
    pub(crate) group: Option<Group>,
    /// Whether a visitor stays with the instance that answered first.
    pub(crate) sticky: bool,
}

impl Target {
    /// Whether this deployment is the one it was made of. What it speaks may be learned later; what it is may not.
    pub(super) fn is_of(&self, deployment: &RoutedDeployment) -> bool {
        self.artifact == deployment.artifact && self.group.is_some() == deployment.runs
    }
}

impl Route {
    /// The first label of the host names that lead here.
    fn label(&self) -> &str {
        match (self.kind, &self.target) {
            (Kind::Deployment, Some(target)) => target.deployment.as_str(),
            _ => self.app.as_str(),
        }
    }
}

/// A route under its host label, which is in the route: whoever looks one up reads it anyway.
#[derive(Clone)]
pub(super) struct ByLabel(pub(super) Arc<Route>);

impl Borrow<str> for ByLabel {
    fn borrow(&self) -> &str {
        self.0.label()
    }
}

impl Hash for ByLabel {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.label().hash(state);
    }
}

impl PartialEq for ByLabel {
    fn eq(&self, other: &Self) -> bool {
        self.0.label() == other.0.label()
    }
}

impl Eq for ByLabel {}

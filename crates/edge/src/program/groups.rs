//! The target groups: one for each host label that leads to instances.

use std::collections::{HashMap, HashSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use skylift_balance::{Announced, Drain, Group, Hooks, Settings, Share, Split, Target, TargetId, VersionCounts};
use skylift_bus::{Bus, Load, Message};
use skylift_model::route::{AppRoutes, RoutedDeployment, RoutedInstance};
use skylift_model::{AppName, DeploymentId, InstanceId};

use super::sensing::Seen;
use super::{Instances, silent};

/// How long an edge tells drains apart from what is served. Whoever drains an instance waits as long as its settings say, and
/// then stops it, which ends what is under way there.
const DRAIN_WITHIN: Duration = Duration::from_secs(24 * 60 * 60);
/// How often it is told that somebody waits though there is no instance.
const TELL_EVERY: Duration = Duration::from_millis(100);
/// Whoever connects knows the address; a group tells targets apart by their ids.
const NO_ADDRESS: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);

/// All target groups of an edge. Cheap to clone; all clones are the same.
#[derive(Clone)]
pub(crate) struct Groups(Arc<Shared>);

struct Shared {
    bus: Bus,
    /// What this edge is called.
    name: String,
    instances: Arc<dyn Instances>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    apps: HashMap<AppName, OfApp>,
}

#[derive(Default)]
struct OfApp {
    group: Option<Group>,
    deployments: HashMap<DeploymentId, Group>,
    live: Option<DeploymentId>,
    /// Instances to be stopped; `true` where nothing is under way any more.
    draining: HashMap<InstanceId, bool>,
}

impl Groups {
    pub(crate) fn new(bus: Bus, name: String, instances: Arc<dyn Instances>) -> Self {
        Self(Arc::new(Shared { bus, name, instances, state: Mutex::default() }))
    }

    /// Those of an edge that nobody hears.
    #[cfg(any(test, feature = "differential"))]
    pub(crate) fn unheard() -> Self {
        Self::new(Bus::in_process(), String::new(), Arc::new(super::NoInstances))
    }

    /// The group that an app's own host name leads to.
    pub(crate) fn of_app(&self, app: &AppName) -> Group {
        self.state().apps.entry(app.clone()).or_default().group.get_or_insert_with(|| self.new_group(app)).clone()
    }

    /// The group that a deployment's host name leads to.
    pub(crate) fn of_deployment(&self, app: &AppName, deployment: &DeploymentId) -> Group {
        let mut state = self.state();
        let of_app = state.apps.entry(app.clone()).or_default();
        of_app.deployments.entry(deployment.clone()).or_insert_with(|| self.new_group(app)).clone()
    }

    /// Makes the groups of an app what its routes say. Once this has returned nothing new goes to an instance that is to be
    /// stopped; when nothing is under way there either, that is told on the bus.
    pub(crate) fn follow(&self, routes: &AppRoutes) {
        let now = Instant::now();
        let groups = {
            let mut state = self.state();
            if !routes.deployments.iter().any(|deployment| deployment.runs) {
                state.apps.remove(&routes.app);
                return;
            }
            let of_app = state.apps.entry(routes.app.clone()).or_default();
            of_app.deployments.retain(|id, _| routes.deployments.iter().any(|deployment| deployment.id == *id));
            of_app.live.clone_from(&routes.live);
            of_app.draining.retain(|id, _| routes.instances.iter().any(|instance| instance.id == *id));
            let deployments: Vec<_> =
                of_app.deployments.iter().map(|(id, group)| (id.clone(), group.clone())).collect();
            (of_app.group.clone(), deployments)
        };
        let targets = |wanted: &dyn Fn(&RoutedInstance) -> bool| {
            let wanted = routes.instances.iter().filter(|instance| wanted(instance));
            wanted.filter_map(|instance| target(instance, &routes.deployments)).collect::<Vec<_>>()
        };
        if let Some(group) = &groups.0 {
            let split = routes
                .share
                .as_ref()
                .map(|share| Split { canary: share.deployment.clone(), share: Share::hundredths(share.hundredths) });
            group.update(targets(&|instance| instance.serving), split, now);
        }
        for (id, group) in &groups.1 {
            group.update(targets(&|instance| instance.deployment == *id), None, now);
        }
        for instance in routes.instances.iter().filter(|instance| instance.draining) {
            self.drain(&routes.app, instance, now);
        }
    }

    /// What was asked of apps that run, and is, by app: at their own addresses, and at those of what is live.
    pub(super) fn passed(&self, now: Instant) -> Vec<(AppName, Seen)> {
        let state = self.state();
        let of = |of_app: &OfApp| {
            let live = of_app.live.as_ref().and_then(|live| of_app.deployments.get(live));
            of_app.group.iter().chain(live).map(|group| Seen::of(group, now)).fold(Seen::default(), Seen::and)
        };
        state.apps.iter().map(|(app, of_app)| (app.clone(), of(of_app))).collect()
    }

    /// What the versions of apps have answered at the apps' own addresses.
    pub(super) fn versions(&self) -> Vec<VersionCounts> {
        let state = self.state();
        state.apps.values().filter_map(|of_app| of_app.group.as_ref()).flat_map(Group::versions).collect()
    }

    fn new_group(&self, app: &AppName) -> Group {
        let hooks = OfGroup {
            bus: self.0.bus.clone(),
            name: self.0.name.clone(),
            instances: self.0.instances.clone(),
            app: app.clone(),
            told: Mutex::default(),
        };
        Group::telling(Settings::default(), Arc::new(hooks), Instant::now())
    }

    /// Forgets an app that is gone.
    pub(crate) fn forget(&self, app: &AppName) {
        self.state().apps.remove(app);
    }

    /// Says once more where nothing is under way any more, for whoever did not hear it.
    pub(crate) fn say_drained(&self, app: &AppName) {
        let drained: HashSet<InstanceId> = match self.state().apps.get(app) {
            Some(of_app) => of_app.draining.iter().filter(|(_, is_done)| **is_done).map(|(id, _)| id.clone()).collect(),
            None => HashSet::new(),
        };
        for id in drained {
            self.0.bus.publish(Message::Drained(id, self.0.name.clone()));
        }
    }

    fn drain(&self, app: &AppName, instance: &RoutedInstance, now: Instant) {
        let Ok(target) = instance.id.as_str().parse::<TargetId>() else { return };
        let drains: Vec<Drain> = {
            let mut state = self.state();
            let of_app = state.apps.entry(app.clone()).or_default();
            if of_app.draining.contains_key(&instance.id) {
                return;
            }
            of_app.draining.insert(instance.id.clone(), false);
            let groups = of_app.group.iter().chain(of_app.deployments.values());
            groups.filter_map(|group| group.drain(&target, now)).collect()
        };
        let (this, app, id) = (self.clone(), app.clone(), instance.id.clone());
        tokio::spawn(async move {
            for drain in &drains {
                drain.drained(now + DRAIN_WITHIN).await;
            }
            if let Some(is_done) = this.state().apps.get_mut(&app).and_then(|of_app| of_app.draining.get_mut(&id)) {
                *is_done = true;
            }
            this.0.bus.publish(Message::Drained(id, this.0.name.clone()));
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a group of an app has done about it.
struct OfGroup {
    bus: Bus,
    name: String,
    instances: Arc<dyn Instances>,
    app: AppName,
    told: Mutex<Option<Instant>>,
}

impl Hooks for OfGroup {
    /// Tells at once that somebody waits though there is no instance: one may be started then.
    fn nobody(&self) {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_none_or(|told| now.duration_since(told) >= TELL_EVERY) {
            *told = Some(now);
            let waits = Load { waiting: 1, ..Load::default() };
            self.bus.publish(Message::Load(self.name.clone(), vec![(self.app.clone(), waits)]));
        }
    }

    fn silent(&self, group: &Group, target: &Target, lasts: Duration) {
        let of = (self.app.clone(), target.clone());
        tokio::spawn(silent::ask(self.instances.clone(), group.clone(), of, lasts));
    }
}

/// An instance as its group sees it. Its worker has seen it answer, so it is served from the start.
fn target(instance: &RoutedInstance, deployments: &[RoutedDeployment]) -> Option<Target> {
    let deployment = deployments.iter().find(|deployment| deployment.id == instance.deployment);
    let protocol = deployment.map(|deployment| deployment.protocol).unwrap_or_default();
    Some(Target {
        protocol,
        id: instance.id.as_str().parse().ok()?,
        address: NO_ADDRESS,
        node: instance.node.parse().ok()?,
        deployment: instance.deployment.clone(),
        weight: 1,
        announced: match (instance.draining, instance.unhealthy) {
            (true, _) => Announced::Draining,
            (false, true) => Announced::Unhealthy,
            (false, false) => Announced::Serving,
        },
    })
}

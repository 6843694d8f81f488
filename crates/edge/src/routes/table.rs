//! The route table: an immutable snapshot, host label → what answers.
//!
//! A change makes a new table that shares all other routes with the old one. Generations of an app only grow.

mod live;
mod route;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use skylift_model::net::InRule;
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::{AppName, DeploymentId};

use crate::metrics::Counters;
use crate::program::Groups;
use crate::site::ServedSite;

pub(crate) use live::site_of;
use live::{before_of, live_of};
use route::ByLabel;
pub(crate) use route::{Kind, Route, Target};

/// Every route.
#[derive(Clone, Default)]
pub(crate) struct RouteTable {
    hosts: HashSet<ByLabel>,
    apps: BTreeMap<AppName, Arc<AppRoutes>>,
}

/// Why an app's routes cannot be taken.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadRoutes {
    #[error("the live deployment {0} of app {1} is not among its deployments")]
    LiveIsNotKept(DeploymentId, AppName),
    #[error("deployment {0} is listed twice, or belongs to another app")]
    Repeated(DeploymentId),
    #[error("deployment {0} is not what it was: a built deployment never changes")]
    Altered(DeploymentId),
    #[error("nothing is live of app {0}, of which something was: what is live is only ever replaced")]
    LiveIsLost(AppName),
}

/// How new routes of an app compare to those in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// They go in.
    Change,
    /// They are what is in the table.
    Same,
    /// They are from before what is in the table.
    Stale,
}

impl RouteTable {
    pub(crate) fn route(&self, label: &str) -> Option<&Arc<Route>> {
        self.hosts.get(label).map(|route| &route.0)
    }

    pub(crate) fn generation(&self, app: &AppName) -> Option<u64> {
        self.apps.get(app).map(|routes| routes.generation)
    }

    /// The routes this table was made of.
    pub(crate) fn apps(&self) -> impl ExactSizeIterator<Item = &AppRoutes> {
        self.apps.values().map(|routes| &**routes)
    }

    /// How an app's routes compare to those in the table.
    pub(crate) fn compare(&self, routes: &AppRoutes) -> News {
        match self.apps.get(&routes.app) {
            None => News::Change,
            Some(known) if **known == *routes => News::Same,
            Some(known) if routes.generation >= known.generation || is_another_app(known, routes) => News::Change,
            Some(_) => News::Stale,
        }
    }

    /// Whether an app's routes can go in.
    pub(crate) fn check(&self, routes: &AppRoutes) -> Result<(), BadRoutes> {
        let mut seen = HashSet::new();
        for deployment in &routes.deployments {
            let id = &deployment.id;
            let known = self.route(id.as_str());
            if known.is_some_and(|route| route.app != routes.app) || !seen.insert(id) {
                return Err(BadRoutes::Repeated(id.clone()));
            }
            if known.and_then(|route| route.target.as_ref()).is_some_and(|target| !target.is_of(deployment)) {
                return Err(BadRoutes::Altered(id.clone()));
            }
        }
        if routes.live.is_none() && self.apps.get(&routes.app).is_some_and(|known| known.live.is_some()) {
            return Err(BadRoutes::LiveIsLost(routes.app.clone()));
        }
        match &routes.live {
            Some(live) if !seen.contains(live) => Err(BadRoutes::LiveIsNotKept(live.clone(), routes.app.clone())),
            _ => Ok(()),
        }
    }

    /// Puts an app's checked routes in the place of those it had. `live` is the site of its live deployment.
    pub(crate) fn set(
        &mut self,
        routes: AppRoutes,
        live: Option<Arc<ServedSite>>,
        counters: &Arc<Counters>,
        groups: &Groups,
    ) {
        let bucket = self.route(routes.app.as_str()).map(|route| route.bucket.clone()).unwrap_or_default();
        self.remove(&routes.app);
        let of_deployment = |app: &AppName, deployment: &RoutedDeployment| {
            deployment.runs.then(|| groups.of_deployment(app, &deployment.id))
        };
        let target_of = |deployment: &RoutedDeployment| {
            let is_live = Some(&deployment.id) == routes.live.as_ref();
            let site = live.clone().filter(|_| is_live);
            let (app, id) = (&routes.app, &deployment.id);
            Target {
                deployment: id.clone(),
                artifact: deployment.artifact,
                site,
                group: of_deployment(app, deployment),
                sticky: deployment.sticky,
            }
        };
        let net_in: Arc<[InRule]> = routes.net_in.as_slice().into();
        let route = |kind, target: Option<Target>, before| {
            let net_in = net_in.clone();
            let (app, counters, bucket) = (routes.app.clone(), counters.clone(), bucket.clone());
            let is_live = target.as_ref().map(|target| &target.deployment) == routes.live.as_ref();
            let is_stopped = routes.stopped || !is_live;
            let generation = routes.generation;
            ByLabel(Arc::new(Route { app, kind, target, before, counters, bucket, generation, is_stopped, net_in }))
        };
        for deployment in &routes.deployments {
            self.hosts.insert(route(Kind::Deployment, Some(target_of(deployment)), Box::default()));
        }
        let target = live_of(&routes).map(|deployment| Target {
            group: deployment.runs.then(|| groups.of_app(&routes.app)),
            ..target_of(deployment)
        });
        self.hosts.insert(route(Kind::App, target, before_of(&routes)));
        self.apps.insert(routes.app.clone(), Arc::new(routes));
    }

    /// Takes an app out; returns whether it was there.
    pub(crate) fn remove(&mut self, app: &AppName) -> bool {
        let Some(routes) = self.apps.remove(app) else { return false };
        self.hosts.remove(app.as_str());
        for deployment in &routes.deployments {
            self.hosts.remove(deployment.id.as_str());
        }
        true
    }
}

/// Whether routes of a lower generation are those of an app that was removed and made again under its old name: it
/// shares no deployment with what is known, and has one that is newer than all of them (ids sort by time). Old
/// routes of the same app cannot look like that.
fn is_another_app(known: &AppRoutes, routes: &AppRoutes) -> bool {
    let newest = |routes: &AppRoutes| routes.deployments.iter().map(|deployment| deployment.id.clone()).max();
    let shared = routes.deployments.iter().any(|new| known.deployments.iter().any(|old| old.id == new.id));
    !shared && newest(routes) > newest(known)
}

#[cfg(test)]
mod tests {
    use super::*;
    use skylift_model::{Digest, Timestamp};

    fn id(number: i64) -> DeploymentId {
        DeploymentId::new(Timestamp::from_millis(number), 0)
    }

    fn routes(app: &str, generation: u64, deployments: &[i64]) -> AppRoutes {
        let deployment = |number: &i64| RoutedDeployment::new(id(*number), Digest::of(b""));
        AppRoutes {
            app: app.parse().unwrap(),
            generation,
            live: deployments.first().map(|number| id(*number)),
            deployments: deployments.iter().map(deployment).collect(),
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        }
    }

    fn table(all: &[AppRoutes]) -> RouteTable {
        let mut table = RouteTable::default();
        for routes in all {
            table.check(routes).unwrap();
            table.set(routes.clone(), None, &Arc::default(), &Groups::unheard());
        }
        table
    }

    #[test]
    fn generations_only_grow() {
        let table = table(&[routes("a", 5, &[5, 4])]);
        assert_eq!(table.compare(&routes("a", 5, &[5, 4])), News::Same);
        assert_eq!(table.compare(&routes("a", 5, &[5])), News::Change, "one is no longer kept");
        assert_eq!(table.compare(&routes("a", 6, &[4, 5])), News::Change);
        assert_eq!(table.compare(&routes("a", 4, &[4])), News::Stale);
        assert_eq!(table.compare(&routes("a", 4, &[3, 2])), News::Stale);
        assert_eq!(table.compare(&routes("a", 0, &[])), News::Stale);
        assert_eq!(table.compare(&routes("b", 0, &[])), News::Change);
    }

    #[test]
    fn what_an_app_may_still_be_asked_is_not_more_after_a_deploy() {
        let mut table = table(&[routes("a", 1, &[1])]);
        let bucket = table.route("a").unwrap().bucket.clone();
        table.set(routes("a", 2, &[2, 1]), None, &Arc::default(), &Groups::unheard());
        for label in ["a", id(1).as_str(), id(2).as_str()] {
            assert!(Arc::ptr_eq(&table.route(label).unwrap().bucket, &bucket), "{label}");
        }
    }

    #[test]
    fn an_app_made_again_under_its_old_name_is_not_stale() {
        let table = table(&[routes("a", 5, &[5, 4])]);
        assert_eq!(table.compare(&routes("a", 1, &[9])), News::Change);
    }

    #[test]
    fn routes_that_contradict_themselves_or_others_are_refused() {
        let table = table(&[routes("a", 1, &[1])]);
        assert_eq!(table.check(&routes("b", 1, &[1])), Err(BadRoutes::Repeated(id(1))));
        assert_eq!(table.check(&routes("b", 1, &[2, 2])), Err(BadRoutes::Repeated(id(2))));
        let mut dangling = routes("b", 1, &[2]);
        dangling.live = Some(id(3));
        assert_eq!(table.check(&dangling), Err(BadRoutes::LiveIsNotKept(id(3), "b".parse().unwrap())));
        let mut altered = routes("a", 2, &[1, 2]);
        assert_eq!(table.check(&altered), Ok(()));
        altered.deployments[0].artifact = Digest::of(b"other");
        assert_eq!(table.check(&altered), Err(BadRoutes::Altered(id(1))));
        altered.deployments[0] = RoutedDeployment { runs: true, ..routes("a", 2, &[1]).deployments[0].clone() };
        assert_eq!(table.check(&altered), Err(BadRoutes::Altered(id(1))));
        altered.deployments.swap_remove(0);
        altered.live = Some(id(2));
        assert_eq!(table.check(&altered), Ok(()), "it may be kept no longer");
    }

    #[test]
    fn what_is_live_is_replaced_and_never_just_gone() {
        let table = table(&[routes("a", 1, &[1]), routes("b", 0, &[])]);
        let lost = |app: &str| AppRoutes { live: None, ..routes(app, 2, &[1]) };
        assert_eq!(table.check(&lost("a")), Err(BadRoutes::LiveIsLost("a".parse().unwrap())));
        assert_eq!(table.check(&routes("b", 0, &[])), Ok(()), "control: nothing ever was");
    }

    #[test]
    fn what_an_app_no_longer_has_leads_nowhere() {
        let mut table = table(&[routes("a", 1, &[2, 1]), routes("b", 1, &[3])]);
        table.set(routes("a", 2, &[2]), None, &Arc::default(), &Groups::unheard());
        assert!(table.route(id(1).as_str()).is_none());
        assert!(table.remove(&"a".parse().unwrap()));
        assert!(table.route("a").is_none() && table.route(id(2).as_str()).is_none());
        assert!(table.route("b").is_some() && table.route(id(3).as_str()).is_some());
    }

    #[test]
    fn hosts_lead_to_the_same_app_at_any_number_of_routes() {
        for count in [1, 99, 101, 10_000] {
            let all: Vec<AppRoutes> = (1..=count).map(|n| routes(&format!("app-{n}"), 1, &[n])).collect();
            let table = table(&all);
            for n in 1..=count {
                let app = format!("app-{n}");
                assert_eq!(table.route(&app).unwrap().app.as_str(), app);
                assert_eq!(table.route(id(n).as_str()).unwrap().app.as_str(), app);
            }
            assert!(table.route("app-0").is_none() && table.route("APP-1").is_none());
        }
    }
}

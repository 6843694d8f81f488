//! Makes the route table say what the source said: load what goes live, swap, keep, announce.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use skylift_bus::Message;
use skylift_model::route::AppRoutes;
use skylift_model::{AppName, Digest};
use tokio::task::JoinSet;

use super::follow::Follower;
use super::table::{News, RouteTable, site_of};
use super::told::Said;
use crate::metrics::Gauges;
use crate::site::ServedSite;

/// How many sites are loaded at once.
const LOADS_AT_ONCE: usize = 8;

/// Whether an app may be missing from what the source said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Only these apps were asked for; each of them is announced.
    Asked,
    /// Every app was asked for; only changes are announced, since a bus that is flooded makes everybody ask again.
    All,
    /// They are from the file of the last good routes, which is left as it is: it may have more.
    Kept,
}

impl Follower {
    /// Makes the table say what the source said, as far as it can: load, swap, keep, announce.
    pub(super) async fn apply(&mut self, mut said: Vec<Said>, scope: Scope) {
        let gone = said.iter().filter(|(app, routes)| routes.is_none() && self.applied.generation(app).is_some());
        let gone: Vec<AppName> = gone.map(|(app, _)| app.clone()).collect();
        let kept = self.not_removed(gone).await;
        said.retain(|(app, _)| !kept.contains(app));
        self.due.all |= !kept.is_empty();
        if scope == Scope::All {
            Gauges::set(&self.metrics.gauges().lost_apps, kept.len() as u64);
        }
        let mut table = (*self.applied.table()).clone();
        let live = self.load_live(&table, &said).await;
        let mut changed = Vec::new();
        let mut unchanged = Vec::new();
        for (app, routes) in said {
            let did = match routes {
                Some(routes) => self.take(&mut table, routes, &live),
                None => self.take_out(&mut table, &app),
            };
            if did { changed.push(app) } else { unchanged.push(app) }
        }
        if !changed.is_empty() {
            self.applied.replace(table);
            if scope != Scope::Kept {
                self.keep().await;
            }
        }
        let announced = if scope == Scope::Asked { unchanged } else { Vec::new() };
        for app in changed.iter().chain(&announced) {
            self.announce(app);
        }
    }

    /// Puts one app's routes into the table; returns whether that changed it.
    fn take(&mut self, table: &mut RouteTable, routes: AppRoutes, live: &HashMap<Digest, Arc<ServedSite>>) -> bool {
        match table.compare(&routes) {
            News::Change => {}
            News::Same => return false,
            News::Stale => {
                tracing::debug!(app = routes.app.as_str(), generation = routes.generation, "stale routes are ignored");
                return false;
            }
        }
        if let Err(error) = table.check(&routes) {
            tracing::error!(app = routes.app.as_str(), error = &error as &dyn std::error::Error, "routes are refused");
            return false;
        }
        let artifact = site_of(&routes).map(|deployment| deployment.artifact);
        let site = artifact.and_then(|artifact| live.get(&artifact).cloned());
        if artifact.is_some() && site.is_none() {
            // What is live now goes on; an app that had nothing answers that its content cannot be read.
            self.due.apps.insert(routes.app.clone());
            if table.route(routes.app.as_str()).is_some_and(|route| route.target.is_some()) {
                return false;
            }
        }
        let counters = self.metrics.app(&routes.app);
        table.set(routes.clone(), site, &counters, &self.groups);
        self.groups.follow(&routes);
        true
    }

    fn take_out(&mut self, table: &mut RouteTable, app: &AppName) -> bool {
        self.metrics.forget(app);
        self.groups.forget(app);
        table.remove(app)
    }

    /// The sites that are about to be live, by artifact. Those that cannot be loaded are missing.
    async fn load_live(&self, table: &RouteTable, said: &[Said]) -> HashMap<Digest, Arc<ServedSite>> {
        let news = said.iter().filter_map(|(_, routes)| routes.as_ref());
        let news = news.filter(|routes| table.compare(routes) == News::Change);
        let wanted: BTreeSet<Digest> = news.filter_map(site_of).map(|deployment| deployment.artifact).collect();
        let mut loaded = HashMap::new();
        let mut loads = JoinSet::new();
        let mut wanted = wanted.into_iter();
        loop {
            while loads.len() < LOADS_AT_ONCE
                && let Some(artifact) = wanted.next()
            {
                let sites = self.sites.clone();
                loads.spawn(async move { (artifact, sites.get(&artifact).await) });
            }
            match loads.join_next().await {
                Some(Ok((artifact, Ok(site)))) => {
                    loaded.insert(artifact, site);
                }
                Some(Ok((_, Err(error)))) => {
                    tracing::error!(error = &error as &dyn std::error::Error, "an artifact cannot go live");
                }
                Some(Err(_)) => {}
                None => return loaded,
            }
        }
    }

    /// Writes the table to disk. Serving goes on where that fails.
    async fn keep(&self) {
        let (file, table, origin) = (self.last_good.clone(), self.applied.table(), self.origin.clone());
        let write = move || file.write(origin.as_deref(), &table.apps().collect::<Vec<_>>());
        let written = tokio::task::spawn_blocking(write).await;
        if let Ok(Err(error)) = written {
            tracing::error!(error = &error as &dyn std::error::Error, "the last good routes are not kept");
        }
    }

    pub(super) fn announce(&self, app: &AppName) {
        let generation = self.applied.generation(app).unwrap_or(0);
        self.bus.publish(Message::RoutesApplied(app.clone(), generation, self.name.clone()));
        self.groups.say_drained(app);
    }
}

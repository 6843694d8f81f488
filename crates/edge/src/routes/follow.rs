//! Keeps the route table current.
//!
//! A message only wakes: what is due is read again from the source, the sites that go live are loaded, and only then
//! the table is swapped, kept on disk, and announced. What fails stays as it was and stays due.

use std::collections::{BTreeSet, HashMap};
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use skylift_bus::{Bus, Message, Received, Subscription};
use skylift_model::route::AppRoutes;
use skylift_model::{AppName, Digest};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};

use super::last_good::LastGood;
use super::source::{RouteSource, SourceError};
use super::table::{News, RouteTable, site_of};
use super::told::{All, Said, parse_all, parse_one};
use super::view::Applied;
use crate::metrics::{Gauges, Metrics};
use crate::program::Groups;
use crate::site::ServedSite;
use crate::sites::Sites;
use crate::stopping::Stopping;

/// How long the source may take to answer.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon what failed is tried again, at first and at most.
const RETRY_FIRST: Duration = Duration::from_millis(500);
const RETRY_LAST: Duration = Duration::from_secs(30);
/// How often everything is read again without a wake-up: whoever changed something may have died before saying so.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// How many sites are loaded at once.
const LOADS_AT_ONCE: usize = 8;

/// The one task that changes the route table.
pub(crate) struct Follower {
    pub(crate) source: Arc<dyn RouteSource>,
    pub(crate) sites: Arc<Sites>,
    pub(crate) applied: Applied,
    pub(crate) last_good: LastGood,
    pub(crate) groups: Groups,
    pub(crate) bus: Bus,
    /// What this edge is called on the bus.
    pub(crate) name: String,
    pub(crate) metrics: Metrics,
    pub(crate) due: Due,
    pub(crate) retry: Retry,
}

/// What is to be read again.
#[derive(Debug, Default)]
pub(crate) struct Due {
    all: bool,
    apps: BTreeSet<AppName>,
}

/// When what failed is tried again.
#[derive(Debug, Default)]
pub(crate) struct Retry {
    at: Option<Instant>,
    delay: Duration,
}

/// Whether an app may be missing from what the source said.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// Only these apps were asked for; each of them is announced.
    Asked,
    /// Every app was asked for; only changes are announced, since a bus that is flooded makes everybody ask again.
    All,
}

impl Follower {
    /// The first table: from the source, else from the last good routes. Never fails; at worst it is empty.
    pub(crate) async fn start(&mut self) {
        self.due.all = true;
        self.step().await;
        if !self.due.all {
            return;
        }
        let file = self.last_good.clone();
        let read = tokio::task::spawn_blocking(move || file.read()).await;
        match read {
            Ok(Ok(routes)) => {
                tracing::warn!(apps = routes.len(), "routes cannot be read; serving the last good ones");
                let said = routes.into_iter().map(|routes| (routes.app.clone(), Some(routes))).collect();
                self.apply(said, Scope::All).await;
            }
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "there are no last good routes")
            }
            Err(_) => {}
        }
    }

    /// Follows the bus until it is told to stop.
    pub(crate) async fn run(mut self, mut messages: Subscription, mut stopping: Stopping) {
        let mut looking = interval_at(Instant::now() + LOOK_EVERY, LOOK_EVERY);
        looking.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let retry_at = self.retry.at;
            let woken = tokio::select! {
                received = messages.next() => match self.note(received) {
                    Some(concerns) => concerns | self.note_waiting(&mut messages).await,
                    None => return,
                },
                () = until(retry_at) => true,
                _ = looking.tick() => {
                    self.due.all = true;
                    true
                }
                () = stopping.told() => return,
            };
            if woken {
                self.step().await;
            }
        }
    }

    /// Notes what a message makes due; returns whether it does, `None` when the bus is closed.
    fn note(&mut self, received: Received) -> Option<bool> {
        match received {
            Received::Message(Message::RoutesChanged(app)) => {
                self.due.apps.insert(app);
                Some(true)
            }
            Received::Message(_) => Some(false),
            Received::Missed => {
                self.due.all = true;
                Some(true)
            }
            Received::Closed => None,
        }
    }

    /// Notes every message that is there already, so that a burst costs one swap.
    async fn note_waiting(&mut self, messages: &mut Subscription) -> bool {
        let mut concerns = false;
        loop {
            let received = tokio::select! {
                biased;
                received = messages.next() => received,
                () = std::future::ready(()) => return concerns,
            };
            match self.note(received) {
                Some(more) => concerns |= more,
                None => return concerns,
            }
        }
    }

    /// Reads what is due and applies it. What fails stays due.
    async fn step(&mut self) {
        let due = mem::take(&mut self.due);
        if due.all {
            match within(self.source.all()).await {
                Ok(all) => self.apply_all(all, &due.apps).await,
                Err(error) => {
                    tracing::error!(error = &*error, "routes cannot be read");
                    self.due = due;
                }
            }
        } else {
            self.apply_some(due.apps).await;
        }
        self.retry.note(!self.due.is_empty());
        let gauges = self.metrics.gauges();
        Gauges::set(&gauges.routes_stale, u64::from(!self.due.is_empty()));
        Gauges::set(&gauges.routed_apps, self.applied.table().apps().len() as u64);
    }

    async fn apply_some(&mut self, apps: BTreeSet<AppName>) {
        let mut said = Vec::new();
        for app in apps {
            let told = within(self.source.app(&app)).await;
            match told.and_then(|told| Ok(parse_one(app.clone(), told)?)) {
                Ok(one) => said.push(one),
                Err(error) => {
                    tracing::error!(app = app.as_str(), error = &*error, "routes cannot be read");
                    self.due.apps.insert(app);
                }
            }
        }
        self.apply(said, Scope::Asked).await;
    }

    async fn apply_all(&mut self, told: Vec<AppRoutes>, asked: &BTreeSet<AppName>) {
        let All { routes, doubtful } = parse_all(told);
        let table = self.applied.table();
        let gone =
            table.apps().map(|known| &known.app).filter(|app| !routes.contains_key(app) && !doubtful.contains(app));
        let gone: Vec<Said> = gone.map(|app| (app.clone(), None)).collect();
        for app in doubtful {
            tracing::error!(app = app.as_str(), "the source told of an app twice, and not in the same way");
            self.due.apps.insert(app);
        }
        let said = routes.into_iter().map(|(app, routes)| (app, Some(routes))).chain(gone).collect();
        self.apply(said, Scope::All).await;
        for app in asked {
            self.announce(app);
        }
    }

    /// Makes the table say what the source said, as far as it can: load, swap, keep, announce.
    async fn apply(&mut self, said: Vec<Said>, scope: Scope) {
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
            self.keep().await;
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
        let (file, table) = (self.last_good.clone(), self.applied.table());
        let written = tokio::task::spawn_blocking(move || file.write(&table.apps().collect::<Vec<_>>())).await;
        if let Ok(Err(error)) = written {
            tracing::error!(error = &error as &dyn std::error::Error, "the last good routes are not kept");
        }
    }

    fn announce(&self, app: &AppName) {
        let generation = self.applied.generation(app).unwrap_or(0);
        self.bus.publish(Message::RoutesApplied(app.clone(), generation, self.name.clone()));
        self.groups.say_drained(app);
    }
}

impl Due {
    fn is_empty(&self) -> bool {
        !self.all && self.apps.is_empty()
    }
}

impl Retry {
    fn note(&mut self, failed: bool) {
        self.delay = if failed { (self.delay * 2).clamp(RETRY_FIRST, RETRY_LAST) } else { Duration::ZERO };
        self.at = failed.then(|| Instant::now() + self.delay);
    }
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

async fn within<T>(asked: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
    timeout(SOURCE_TIMEOUT, asked).await.unwrap_or_else(|_| Err("the source of routes did not answer in time".into()))
}

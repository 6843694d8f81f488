//! Keeps the route table current.
//!
//! A message only wakes: what is due is read again from the source, the sites that go live are loaded, and only then
//! the table is swapped, kept on disk, and announced. What fails stays as it was and stays due.

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use skylift_bus::{Bus, Message, Received, Subscription};
use skylift_model::AppName;
use skylift_model::route::AppRoutes;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use super::apply::Scope;
use super::due::{Due, Retry, until};
use super::last_good::{Kept, LastGood};
use super::source::{RouteSource, SourceError};
use super::told::{All, Said, parse_all, parse_one};
use super::view::Applied;
use crate::metrics::{Gauges, Metrics};
use crate::program::Groups;
use crate::sites::Sites;
use crate::stopping::Stopping;

/// How long the source may take to answer.
const SOURCE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often everything is read again without a wake-up: whoever changed something may have died before saying so.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// The one task that changes the route table.
#[derive(Clone)]
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
    /// What the source is called that the routes came from; `None` where that is not known.
    pub(crate) origin: Option<String>,
    pub(crate) due: Due,
    pub(crate) retry: Retry,
}

impl Follower {
    /// The first table: from the source, and from the last good routes what that does not tell: all where it is away or not the one
    /// they came from, and what it lost. Never fails; at worst it is empty.
    pub(crate) async fn start(&mut self) {
        self.due.all = true;
        let Kept { origin, apps } = self.kept().await;
        self.origin = origin;
        if !apps.is_empty()
            && let Err(error) = within(self.source.origin()).await
        {
            // Nothing is served before this returns: the source is asked for everything else later.
            tracing::error!(error = &*error, "the source of routes does not answer");
            self.serve_kept(apps).await;
            self.retry = Retry::at_once();
            self.gauge();
            return;
        }
        let unknown = self.not_removed(apps.iter().map(|routes| routes.app.clone()).collect()).await;
        let (unknown, others) = apps.into_iter().partition(|routes| unknown.contains(&routes.app));
        self.serve_kept(unknown).await;
        if !self.step().await {
            self.serve_kept(others).await;
        }
    }

    /// Serves routes of the file, which has them already.
    async fn serve_kept(&mut self, apps: Vec<AppRoutes>) {
        if !apps.is_empty() {
            tracing::warn!(apps = apps.len(), "serving the last good routes");
            let said = apps.into_iter().map(|routes| (routes.app.clone(), Some(routes))).collect();
            self.apply(said, Scope::Kept).await;
        }
    }

    async fn kept(&self) -> Kept {
        let file = self.last_good.clone();
        let read = tokio::task::spawn_blocking(move || file.read()).await;
        match read {
            Ok(Ok(kept)) => kept,
            Ok(Err(error)) => {
                tracing::error!(error = &error as &dyn std::error::Error, "there are no last good routes");
                Kept::default()
            }
            Err(_) => Kept::default(),
        }
    }

    /// The same, where the one before ended in a panic: it reads everything at once.
    pub(crate) fn again(&self) -> (Self, Subscription) {
        let messages = self.bus.subscribe();
        let due = Due { all: true, ..Due::default() };
        (Self { due, retry: Retry::at_once(), ..self.clone() }, messages)
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

    /// Reads what is due and applies it. What fails stays due. Returns whether everything was read, where that was due.
    async fn step(&mut self) -> bool {
        let due = mem::take(&mut self.due);
        let mut read = true;
        if due.all {
            match within(self.source.all()).await {
                Ok(all) => self.apply_all(all, &due.apps).await,
                Err(error) => {
                    tracing::error!(error = &*error, "routes cannot be read");
                    self.due = due;
                    read = false;
                }
            }
        } else {
            self.apply_some(due.apps).await;
        }
        self.retry.note(!self.due.is_empty());
        self.gauge();
        read
    }

    fn gauge(&self) {
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
        if self.origin.is_none() {
            self.may_forget().await;
        }
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
}

pub(super) async fn within<T>(asked: impl Future<Output = Result<T, SourceError>>) -> Result<T, SourceError> {
    timeout(SOURCE_TIMEOUT, asked).await.unwrap_or_else(|_| Err("the source of routes did not answer in time".into()))
}

//! A source of routes that tests control.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use skylift_edge::{RouteSource, SourceFuture};
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::{AppName, DeploymentId, DeploymentState, Timestamp};
use tokio::sync::watch;
use tokio::time::timeout;

use super::PATIENCE;

#[derive(Default)]
pub(crate) struct FakeSource {
    apps: Mutex<BTreeMap<AppName, AppRoutes>>,
    /// What it says besides, when asked for everything; or instead, when asked for one app.
    besides: Mutex<Vec<AppRoutes>>,
    instead: Mutex<BTreeMap<AppName, AppRoutes>>,
    states: Mutex<BTreeMap<DeploymentId, DeploymentState>>,
    /// What it knows to have been removed.
    removed: Mutex<BTreeSet<AppName>>,
    failing: AtomicBool,
    panics: AtomicBool,
    /// It was begun anew so often: it is called otherwise each time.
    emptied: AtomicU64,
    asked: watch::Sender<u64>,
}

impl FakeSource {
    pub(crate) fn set(&self, routes: AppRoutes) {
        self.removed.lock().unwrap().remove(&routes.app);
        self.apps.lock().unwrap().insert(routes.app.clone(), routes);
    }

    /// From here on, whoever asks for every app is told this besides the truth.
    pub(crate) fn say_besides(&self, routes: Vec<AppRoutes>) {
        *self.besides.lock().unwrap() = routes;
    }

    /// From here on, whoever asks for `app` is told this; with `None` the truth.
    pub(crate) fn say_instead(&self, app: &AppName, routes: Option<AppRoutes>) {
        let mut instead = self.instead.lock().unwrap();
        match routes {
            Some(routes) => instead.insert(app.clone(), routes),
            None => instead.remove(app),
        };
    }

    pub(crate) fn set_state(&self, id: DeploymentId, state: DeploymentState) {
        self.states.lock().unwrap().insert(id, state);
    }

    pub(crate) fn remove(&self, app: &AppName) {
        self.apps.lock().unwrap().remove(app);
        self.removed.lock().unwrap().insert(app.clone());
    }

    /// It knows the app no more, and not that it was removed: its rows were deleted by hand.
    pub(crate) fn lose(&self, app: &AppName) {
        self.apps.lock().unwrap().remove(app);
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// The next question ends whoever asks it in a panic.
    pub(crate) fn panic_once(&self) {
        self.panics.store(true, Ordering::SeqCst);
    }

    /// Whether that is still to come.
    pub(crate) fn is_to_panic(&self) -> bool {
        self.panics.load(Ordering::SeqCst)
    }

    /// Knows nothing any more, and not that it ever did: a database that was made anew.
    pub(crate) fn begin_anew(&self) {
        self.apps.lock().unwrap().clear();
        self.removed.lock().unwrap().clear();
        self.emptied.fetch_add(1, Ordering::SeqCst);
    }

    /// Has back what it was, with these apps.
    pub(crate) fn restore(&self, apps: Vec<AppRoutes>) {
        self.emptied.store(0, Ordering::SeqCst);
        apps.into_iter().for_each(|routes| self.set(routes));
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u64 {
        *self.asked.borrow()
    }

    /// Waits until it was asked more often than this.
    pub(crate) async fn asked_beyond(&self, before: u64) {
        let mut asked = self.asked.subscribe();
        timeout(PATIENCE, asked.wait_for(|asked| *asked > before)).await.expect("asked in time").unwrap();
    }

    pub(crate) fn routes(&self, app: &AppName) -> AppRoutes {
        self.apps.lock().unwrap()[app].clone()
    }

    /// Makes a deployment live; those before it are kept.
    pub(crate) fn go_live(&self, app: &AppName, deployment: RoutedDeployment) -> AppRoutes {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap());
        self.removed.lock().unwrap().remove(app);
        let mut apps = self.apps.lock().unwrap();
        let routes = apps.entry(app.clone()).or_insert_with(|| AppRoutes {
            app: app.clone(),
            generation: 0,
            live: None,
            deployments: Vec::new(),
            instances: Vec::new(),
            stopped: false,
            share: None,
            net_in: Vec::new(),
        });
        routes.generation += 1;
        for replaced in routes.deployments.iter_mut().filter(|known| Some(&known.id) == routes.live.as_ref()) {
            replaced.replaced = Some(now);
        }
        routes.live = Some(deployment.id.clone());
        routes.deployments.insert(0, deployment);
        routes.clone()
    }

    fn answer<T>(&self, read: impl FnOnce(&BTreeMap<AppName, AppRoutes>) -> T) -> Result<T, skylift_edge::SourceError> {
        let answer = if self.failing.load(Ordering::SeqCst) {
            Err("the store is down".into())
        } else {
            Ok(read(&self.apps.lock().unwrap()))
        };
        self.asked.send_modify(|asked| *asked += 1);
        assert!(!self.panics.swap(false, Ordering::SeqCst), "asked to");
        answer
    }
}

impl RouteSource for FakeSource {
    fn all(&self) -> SourceFuture<'_, Vec<AppRoutes>> {
        Box::pin(async {
            self.answer(|apps| apps.values().chain(self.besides.lock().unwrap().iter()).cloned().collect())
        })
    }

    fn app<'s>(&'s self, app: &'s AppName) -> SourceFuture<'s, Option<AppRoutes>> {
        Box::pin(async move { self.answer(|apps| self.instead.lock().unwrap().get(app).or(apps.get(app)).cloned()) })
    }

    fn state<'s>(&'s self, id: &'s DeploymentId) -> SourceFuture<'s, Option<DeploymentState>> {
        Box::pin(async move { self.answer(|_| self.states.lock().unwrap().get(id).copied()) })
    }

    fn lost(&self, mut asked: Vec<AppName>) -> SourceFuture<'_, Vec<AppName>> {
        Box::pin(async move {
            if self.failing.load(Ordering::SeqCst) {
                return Err("the store is down".into());
            }
            let (apps, removed) = (self.apps.lock().unwrap(), self.removed.lock().unwrap());
            asked.retain(|app| !apps.contains_key(app) && !removed.contains(app));
            Ok(asked)
        })
    }

    fn origin(&self) -> SourceFuture<'_, String> {
        Box::pin(async move {
            let failing = self.failing.load(Ordering::SeqCst);
            if failing { Err("the store is down".into()) } else { Ok(format!("{:?}", self.emptied)) }
        })
    }
}

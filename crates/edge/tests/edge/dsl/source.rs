//! A source of routes that tests control.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use skylift_edge::{RouteSource, SourceFuture};
use skylift_model::route::{AppRoutes, RoutedDeployment};
use skylift_model::{AppName, DeploymentId, DeploymentState, Timestamp};

#[derive(Default)]
pub(crate) struct FakeSource {
    apps: Mutex<BTreeMap<AppName, AppRoutes>>,
    states: Mutex<BTreeMap<DeploymentId, DeploymentState>>,
    failing: AtomicBool,
    asked: AtomicU64,
}

impl FakeSource {
    pub(crate) fn set(&self, routes: AppRoutes) {
        self.apps.lock().unwrap().insert(routes.app.clone(), routes);
    }

    pub(crate) fn set_state(&self, id: DeploymentId, state: DeploymentState) {
        self.states.lock().unwrap().insert(id, state);
    }

    pub(crate) fn remove(&self, app: &AppName) {
        self.apps.lock().unwrap().remove(app);
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    /// How often it was asked.
    pub(crate) fn asked(&self) -> u64 {
        self.asked.load(Ordering::SeqCst)
    }

    pub(crate) fn routes(&self, app: &AppName) -> AppRoutes {
        self.apps.lock().unwrap()[app].clone()
    }

    /// Makes a deployment live; those before it are kept.
    pub(crate) fn go_live(&self, app: &AppName, deployment: RoutedDeployment) -> AppRoutes {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap());
        let mut apps = self.apps.lock().unwrap();
        let routes = apps.entry(app.clone()).or_insert_with(|| AppRoutes {
            app: app.clone(),
            generation: 0,
            live: None,
            deployments: Vec::new(),
            instances: Vec::new(),
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
        self.asked.fetch_add(1, Ordering::SeqCst);
        if self.failing.load(Ordering::SeqCst) {
            return Err("the store is down".into());
        }
        Ok(read(&self.apps.lock().unwrap()))
    }
}

impl RouteSource for FakeSource {
    fn all(&self) -> SourceFuture<'_, Vec<AppRoutes>> {
        Box::pin(async { self.answer(|apps| apps.values().cloned().collect()) })
    }

    fn app<'s>(&'s self, app: &'s AppName) -> SourceFuture<'s, Option<AppRoutes>> {
        Box::pin(async move { self.answer(|apps| apps.get(app).cloned()) })
    }

    fn state<'s>(&'s self, id: &'s DeploymentId) -> SourceFuture<'s, Option<DeploymentState>> {
        Box::pin(async move { self.answer(|_| self.states.lock().unwrap().get(id).copied()) })
    }
}

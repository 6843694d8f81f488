//! What the edge serves at this moment.

use std::sync::Arc;

use arc_swap::{ArcSwap, Guard};
use skylift_model::AppName;

use super::table::{Route, RouteTable};

/// The routes in force. Cheap to clone; all clones see the same.
#[derive(Clone, Default)]
pub struct Applied(Arc<ArcSwap<RouteTable>>);

impl Applied {
    /// The generation of an app's routes that is served; `None` for an app that is not routed.
    pub fn generation(&self, app: &AppName) -> Option<u64> {
        self.0.load().generation(app)
    }

    pub(crate) fn route(&self, label: &str) -> Option<Arc<Route>> {
        self.0.load().route(label).cloned()
    }

    /// The table, for a short look: without counting who holds it.
    pub(crate) fn load(&self) -> Guard<Arc<RouteTable>> {
        self.0.load()
    }

    pub(crate) fn table(&self) -> Arc<RouteTable> {
        self.0.load_full()
    }

    pub(crate) fn replace(&self, table: RouteTable) {
        self.0.store(Arc::new(table));
    }
}

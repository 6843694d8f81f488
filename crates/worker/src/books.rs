//! What became of the connections of each app's instances on this node, also of those that have ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use skylift_egress::Book;
use skylift_model::AppName;

/// One for each app that ran here since the start.
#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<HashMap<AppName, Arc<Book>>>);

impl Books {
    /// That of an app.
    pub(crate) fn of(&self, app: &AppName) -> Arc<Book> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(app.clone()).or_default().clone()
    }
}

//! What became of the connections of each app's instances on this node, also of those that have ended.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use skylift_egress::Book;
use skylift_model::AppName;
use skylift_model::wire::NetSeen;
use skylift_sandbox::{Refused, Unheard};

/// What those destinations are called that have no listener inside, and so no names either.
const OTHER_PORTS: &str = "(TCP, other ports)";
const DATAGRAMS: &str = "(UDP)";

/// One for each app that ran here since the start.
#[derive(Debug, Default)]
pub(crate) struct Books(Mutex<HashMap<AppName, Of>>);

#[derive(Clone, Debug, Default)]
struct Of {
    book: Arc<Book>,
    unheard: Arc<Mutex<AllUnheard>>,
}

/// What was sent where nobody listens: by those that have ended, and where the others are asked.
#[derive(Debug, Default)]
struct AllUnheard {
    ended: Refused,
    living: Vec<Weak<Unheard>>,
}

/// Counts for as long as it is kept.
pub(crate) struct Counted {
    unheard: Arc<Unheard>,
    of_all: Arc<Mutex<AllUnheard>>,
}

impl Books {
    /// That of an app.
    pub(crate) fn of(&self, app: &AppName) -> Arc<Book> {
        self.both(app).book
    }

    /// Counts what an instance sends where nobody listens, from now on until it is dropped; then its last count is added.
    pub(crate) fn count(&self, app: &AppName, unheard: Unheard) -> Counted {
        let (unheard, of_all) = (Arc::new(unheard), self.both(app).unheard);
        lock(&of_all).living.push(Arc::downgrade(&unheard));
        Counted { unheard, of_all }
    }

    /// What met the app's connections.
    pub(crate) fn read(&self, app: &AppName) -> Vec<NetSeen> {
        let Of { book, unheard } = self.both(app);
        let mut seen = book.read();
        seen.extend(told(lock(&unheard).read()));
        seen
    }

    fn both(&self, app: &AppName) -> Of {
        lock(&self.0).entry(app.clone()).or_default().clone()
    }
}

impl AllUnheard {
    fn read(&self) -> Refused {
        let mut all = self.ended;
        for living in self.living.iter().filter_map(Weak::upgrade) {
            all += living.read().unwrap_or_default();
        }
        all
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let mut of_all = lock(&self.of_all);
        of_all.ended += self.unheard.read().unwrap_or_default();
        let own = Arc::as_ptr(&self.unheard);
        of_all.living.retain(|living| living.as_ptr() != own);
    }
}

/// Lines of their own: nobody is there who could say which destinations were meant.
fn told(refused: Refused) -> impl Iterator<Item = NetSeen> {
    let lines = [
        (OTHER_PORTS, refused.connections, "refused: nobody listens on the port, and no rule opens it"),
        (DATAGRAMS, refused.datagrams, "refused: of UDP only questions for names (port 53) are answered"),
    ];
    lines.into_iter().filter(|(_, dropped, _)| *dropped > 0).map(|(to, dropped, reason)| NetSeen {
        to: to.to_owned(),
        passed: 0,
        dropped,
        reason: Some(reason.to_owned()),
    })
}

fn lock<T>(held: &Mutex<T>) -> MutexGuard<'_, T> {
    held.lock().unwrap_or_else(PoisonError::into_inner)
}

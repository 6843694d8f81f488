//! Connections of one thread that wait for their next request, each to one instance.

use std::cell::RefCell;
use std::collections::HashMap;
use std::thread::LocalKey;
use std::time::{Duration, Instant};

use skylift_balance::TargetId;

/// How long one waits. Shorter than servers keep theirs (gunicorn 2 s, Node 5 s), so that none is closed under a request.
const IDLE: Duration = Duration::from_millis(1500);
/// How many wait for one instance on one thread.
const WAITING_MAX: usize = 256;
/// From how many instances on those that are gone are looked for.
pub(super) const TARGETS_MANY: usize = 1024;

/// The connections of one kind.
pub(super) struct Pool<C> {
    of_target: HashMap<TargetId, Vec<Waiting<C>>>,
    is_swept: bool,
}

/// Where a thread keeps them.
pub(super) type OfThread<C> = LocalKey<RefCell<Pool<C>>>;

struct Waiting<C> {
    connection: C,
    since: Instant,
}

impl<C> Waiting<C> {
    fn is_too_old(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= IDLE
    }
}

impl<C> Default for Pool<C> {
    fn default() -> Self {
        Self { of_target: HashMap::new(), is_swept: false }
    }
}

impl<C> Pool<C> {
    /// The one that has waited least, of those that are open.
    pub(super) fn take(&mut self, target: &TargetId, now: Instant, is_open: impl Fn(&C) -> bool) -> Option<C> {
        let waiting = self.of_target.get_mut(target)?;
        while let Some(last) = waiting.pop() {
            if last.is_too_old(now) {
                waiting.clear();
                return None;
            }
            if is_open(&last.connection) {
                return Some(last.connection);
            }
        }
        None
    }

    /// Closes what waits for an instance.
    pub(super) fn drop_all(&mut self, target: &TargetId) {
        self.of_target.remove(target);
    }

    fn keep(&mut self, target: &TargetId, connection: C, now: Instant) {
        if self.of_target.len() >= TARGETS_MANY {
            self.drop_old(now);
        }
        let one = Waiting { connection, since: now };
        match self.of_target.get_mut(target) {
            Some(waiting) if waiting.len() < WAITING_MAX => waiting.push(one),
            Some(_) => {}
            None => drop(self.of_target.insert(target.clone(), vec![one])),
        }
    }

    fn drop_old(&mut self, now: Instant) {
        self.of_target.retain(|_, waiting| {
            waiting.retain(|one| !one.is_too_old(now));
            !waiting.is_empty()
        });
    }
}

/// Keeps a connection for the next request.
pub(super) fn give<C: 'static>(pool: &'static OfThread<C>, target: &TargetId, connection: C, now: Instant) {
    let is_swept = pool.with_borrow_mut(|pool| {
        pool.keep(target, connection, now);
        std::mem::replace(&mut pool.is_swept, true)
    });
    if !is_swept {
        tokio::spawn(sweep(pool));
    }
}

/// Closes what has waited too long, until nothing waits on this thread: nobody may ever ask that instance again, and what an instance
/// keeps open costs a descriptor and what was read into.
async fn sweep<C: 'static>(pool: &'static OfThread<C>) {
    loop {
        tokio::time::sleep(IDLE).await;
        let now = Instant::now();
        let nothing_waits = pool.with_borrow_mut(|pool| {
            pool.drop_old(now);
            pool.is_swept = !pool.of_target.is_empty();
            !pool.is_swept
        });
        if nothing_waits {
            return;
        }
    }
}

//! A queue service whose failures are noted.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use skylift_queue::{Depth, Notice, Received, Served, Service};

/// What failed that must not.
#[derive(Default)]
pub(crate) struct Failures {
    pub(crate) may_be: AtomicBool,
    pub(crate) seen: Mutex<Vec<String>>,
}

pub(crate) struct Watched {
    pub(crate) service: Arc<dyn Service>,
    pub(crate) failures: Arc<Failures>,
}

impl Watched {
    fn noted<'s, T: Send + 's>(&'s self, served: Served<'s, T>) -> Served<'s, T> {
        Box::pin(async move {
            let served = served.await;
            if let (Err(error), false) = (&served, self.failures.may_be.load(Ordering::SeqCst)) {
                self.failures.seen.lock().unwrap().push(error.to_string());
            }
            served
        })
    }
}

impl Service for Watched {
    fn announce<'s>(&'s self, notices: &'s [Notice]) -> Served<'s, ()> {
        self.noted(self.service.announce(notices))
    }

    fn receive<'s>(&'s self, who: &'s str, most: usize, lease: Duration) -> Served<'s, Vec<Received>> {
        self.noted(self.service.receive(who, most, lease))
    }

    fn renew<'s>(&'s self, who: &'s str, held: &'s [Received], lease: Duration) -> Served<'s, ()> {
        self.noted(self.service.renew(who, held, lease))
    }

    fn acknowledge<'s>(&'s self, held: &'s [Received]) -> Served<'s, ()> {
        self.noted(self.service.acknowledge(held))
    }

    fn give_back<'s>(&'s self, held: &'s [(Received, Duration)]) -> Served<'s, ()> {
        self.noted(self.service.give_back(held))
    }

    fn unknown<'s>(&'s self, waiting: &'s [Notice]) -> Served<'s, Vec<Notice>> {
        self.noted(self.service.unknown(waiting))
    }

    fn depth(&self) -> Served<'_, Depth> {
        self.noted(self.service.depth())
    }
}

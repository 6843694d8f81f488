//! What an edge with sites does beside serving: it follows routes, purges what is kept, and tells how much is asked. Each is a
//! task of its own, and goes on after a panic.

use skylift_bus::Subscription;

use crate::kept::purge::Purging;
use crate::program::Sensing;
use crate::routes::follow::Follower;
use crate::stopping::Stopping;
use crate::supervise::supervise;

/// The tasks, before they are begun. Each has the messages since it was made.
pub(crate) struct Following {
    pub(crate) routes: (Follower, Subscription),
    pub(crate) purges: (Purging, Subscription),
    pub(crate) sensing: Sensing,
}

impl Following {
    /// Runs all of them until they are told to stop.
    pub(crate) async fn run(self, stopping: Stopping) {
        let Self { routes: (follower, messages), purges: (purging, purges), sensing } = self;
        let (told, mut first) = (stopping.clone(), Some((follower.clone(), messages)));
        let routes = supervise("routes", stopping.clone(), move || {
            let (follower, messages) = first.take().unwrap_or_else(|| follower.again());
            follower.run(messages, told.clone())
        });
        let (told, mut first) = (stopping.clone(), Some((purging.clone(), purges)));
        let purges = supervise("purges", stopping.clone(), move || {
            let (purging, messages) = first.take().unwrap_or_else(|| purging.again());
            purging.run(messages, told.clone())
        });
        let told = stopping.clone();
        let telling = supervise("load", stopping, move || sensing.clone().run(told.clone()));
        tokio::join!(routes, purges, telling);
    }
}

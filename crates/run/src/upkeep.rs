//! What is done now and then for as long as there is anything that waits for runs.

use std::sync::Weak;
use std::time::Duration;

use tokio::task::spawn_blocking;

use crate::places::Places;
use crate::sets::Sets;

/// How often it is looked whether anybody still runs anything.
const LOOK_EVERY: Duration = Duration::from_secs(10);

pub(crate) async fn rest_now_and_then(places: Weak<Places>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(places) = places.upgrade() else { return };
        // Ending processes blocks.
        let _ = spawn_blocking(move || places.rest()).await;
    }
}

pub(crate) async fn rest_sets_now_and_then(sets: Weak<Sets>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        let Some(sets) = sets.upgrade() else { return };
        let _ = spawn_blocking(move || sets.rest()).await;
    }
}

/// How often what was seen is given to the tuner.
const TUNE_EVERY: Duration = Duration::from_secs(1);

pub(crate) async fn tune_now_and_then((places, sets): (Weak<Places>, Weak<Sets>)) {
    loop {
        tokio::time::sleep(TUNE_EVERY).await;
        let (Some(places), Some(sets)) = (places.upgrade(), sets.upgrade()) else { return };
        if places.tuner.tick() {
            // Making and ending processes blocks.
            let _ = spawn_blocking(move || (places.retune(), sets.retune())).await;
        }
    }
}

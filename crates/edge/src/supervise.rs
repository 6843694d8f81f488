//! Tasks that must not end while the edge serves: one that ends in a panic is begun again, and the reason is in the log.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::stopping::Stopping;

/// How long to wait before a task is begun again, at first and at most: one that panics at once must not fill the log.
const PAUSE_FIRST: Duration = Duration::from_millis(100);
const PAUSE_LAST: Duration = Duration::from_secs(30);

/// Runs what `begin` makes until that ends by itself, or the edge stops while it is down.
pub(crate) async fn supervise<T>(what: &'static str, mut stopping: Stopping, mut begin: impl FnMut() -> T)
where
    T: Future<Output = ()> + Send + 'static,
{
    let mut pause = PAUSE_FIRST;
    loop {
        let began = Instant::now();
        let Err(error) = tokio::spawn(begin()).await else { return };
        if !error.is_panic() {
            return;
        }
        tracing::error!(task = what, %error, "a task of the edge ended in a panic and is begun again");
        if began.elapsed() > PAUSE_LAST {
            pause = PAUSE_FIRST;
        }
        tokio::select! {
            () = sleep(pause) => pause = (pause * 2).min(PAUSE_LAST),
            () = stopping.told() => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::stopping;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_panics_is_begun_again_until_it_ends() {
        let (_stop, stopping) = stopping::channel();
        let begun = Arc::new(AtomicU32::new(0));
        let begin = || {
            let begun = begun.clone();
            async move { assert!(begun.fetch_add(1, Ordering::Relaxed) == 20, "asked to") }
        };
        assert!(tokio::spawn(begin()).await.unwrap_err().is_panic(), "control: by itself it ends at the first");
        supervise("test", stopping, begin).await;
        assert_eq!(begun.load(Ordering::Relaxed), 21);
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_is_down_does_not_hold_up_the_end() {
        let (stop, stopping) = stopping::channel();
        let begun = Arc::new(AtomicU32::new(0));
        let counted = begun.clone();
        let supervised = tokio::spawn(supervise("test", stopping, move || {
            let begun = counted.clone();
            async move { panic!("asked to, {}", begun.fetch_add(1, Ordering::Relaxed)) }
        }));
        // The clock stands still as long as anybody has something to do.
        while begun.load(Ordering::Relaxed) < 3 {
            sleep(PAUSE_FIRST).await;
        }
        stop.tell();
        supervised.await.unwrap();
    }
}

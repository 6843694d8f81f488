//! How long one caller waits for the rows in all, over everything it asks of them. Each answer has a limit of its own;
//! many that are each just in time would be too late together.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::StoreError;

/// What is left of a caller's patience. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Patience {
    in_all: Duration,
    left: Arc<Mutex<Duration>>,
}

impl Patience {
    pub(crate) fn new(in_all: Duration) -> Self {
        Self { in_all, left: Arc::new(Mutex::new(in_all)) }
    }

    /// Waits for an answer no longer than what is left. What was begun may be done all the same, as where a connection is
    /// cut in the middle of a commit.
    pub(crate) async fn wait<T>(&self, answer: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let left = *self.left();
        let began = Instant::now();
        let answer = timeout(left, answer).await;
        let mut left = self.left();
        *left = left.saturating_sub(began.elapsed());
        answer.unwrap_or_else(|_| Err(StoreError::Unavailable(format!("no answer within {:?} in all", self.in_all))))
    }

    fn left(&self) -> MutexGuard<'_, Duration> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const IN_ALL: Duration = Duration::from_secs(3600);

    async fn lasts(time: Duration) -> Result<(), StoreError> {
        tokio::time::sleep(time).await;
        Ok(())
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_just_in_time_each_time_is_too_late_in_all() {
        let patience = Patience::new(IN_ALL);
        patience.wait(lasts(IN_ALL / 2)).await.unwrap();
        // Time in which nothing is asked does not count.
        tokio::time::sleep(IN_ALL * 2).await;
        patience.clone().wait(lasts(IN_ALL / 4)).await.unwrap();
        let began = Instant::now();
        let refused = patience.wait(lasts(IN_ALL)).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        assert_eq!(began.elapsed().as_secs(), IN_ALL.as_secs() / 4, "a simulated clock");
        assert!(patience.wait(lasts(Duration::from_secs(1))).await.is_err(), "there is nothing left of it");
        // Control: each with a patience of its own.
        for time in [IN_ALL / 2, IN_ALL / 4] {
            Patience::new(IN_ALL).wait(lasts(time)).await.unwrap();
        }
    }
}

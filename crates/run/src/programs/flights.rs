//! What is being compiled at the moment: who wants the same waits for it, once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use skylift_model::Digest;
use tokio::sync::watch;

/// Keys that somebody compiles for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flights(Arc<Mutex<HashMap<Digest, watch::Receiver<()>>>>);

/// That it is we who compile, for as long as this lives.
#[derive(Debug)]
pub(crate) struct Lead {
    key: Digest,
    flights: Flights,
    /// Whoever waits hears that it is gone.
    _ends: watch::Sender<()>,
}

impl Flights {
    /// To lead, or, where somebody does, to have waited for their end. Who has waited in vain goes its own way and is waited for by
    /// nobody: what does not compile would else be tried by one after the other.
    pub(crate) async fn join(&self, key: &Digest) -> Option<Lead> {
        let mut other = match self.lead(key) {
            Ok(lead) => return Some(lead),
            Err(other) => other,
        };
        // Nothing is ever sent.
        let _ = other.changed().await;
        None
    }

    fn lead(&self, key: &Digest) -> Result<Lead, watch::Receiver<()>> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(other) = all.get(key) {
            return Err(other.clone());
        }
        let (ends, end) = watch::channel(());
        all.insert(*key, end);
        Ok(Lead { key: *key, flights: self.clone(), _ends: ends })
    }
}

impl Drop for Lead {
    fn drop(&mut self) {
        self.flights.0.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_leads_and_the_others_wait_for_its_end_once() {
        let (flights, key) = (Flights::default(), Digest::of(b"key"));
        let lead = flights.join(&key).await.unwrap();
        assert!(flights.join(&Digest::of(b"other")).await.is_some());
        let mut waiting = std::pin::pin!(flights.join(&key));
        assert!(is_pending(waiting.as_mut()).await);
        drop(lead);
        assert!(waiting.await.is_none());
        assert!(flights.join(&key).await.is_some(), "nothing is left of it");
    }

    async fn is_pending<F: Future>(mut future: std::pin::Pin<&mut F>) -> bool {
        std::future::poll_fn(|context| std::task::Poll::Ready(future.as_mut().poll(context).is_pending())).await
    }
}

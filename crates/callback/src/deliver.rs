//! Callbacks that are due, told one after the other and many at once, until this process is told to stop.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{HeaderName, HeaderValue, Method};
use skylift_bus::{Bus, Message as Heard, Received};
use skylift_model::{Clock, Timestamp, chain};
use skylift_store::{Callback, RunRow, Store, StoreError};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::address::Address;
use crate::post::{Outcome, Post, Sent};
use crate::sign::{Secret, seconds};

/// How long after each try the next one is made. After the last one it is given up.
const AGAIN_AFTER: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(8), Duration::from_secs(60), Duration::from_secs(240)];
/// How often the rows are looked at without having been woken: messages may be lost.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How much longer one is ours than telling it may take.
const SPARE: Duration = Duration::from_secs(20);
/// How long what is under way may go on once this process is told to stop.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How much of a reason is kept.
const ERROR_CHARACTERS_MAX: usize = 500;

/// What an address is told of a run, and what that is signed with.
pub struct Message {
    pub method: Method,
    pub body: Vec<u8>,
    pub secret: Secret,
}

/// Says what is told of a run; or why that cannot be said at the moment.
pub type Tell = Arc<dyn Fn(RunRow) -> BoxFuture<'static, Result<Message, String>> + Send + Sync>;

/// Tells what is due. Several processes may do so: each callback is one's at a time.
pub struct Deliveries {
    pub store: Store,
    pub bus: Bus,
    pub clock: Clock,
    pub post: Post,
    pub tell: Tell,
}

impl Deliveries {
    /// Tells what becomes due, until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let this = Arc::new(self);
        let mut settled = this.bus.subscribe();
        let mut under_way = JoinSet::new();
        while !*stop.borrow() {
            let next = match this.begin(&mut under_way).await {
                Ok(next) => next,
                Err(error) => {
                    tracing::warn!(error = chain(&error), "which callbacks are due is not known");
                    LOOK_EVERY
                }
            };
            tokio::select! {
                () = woken(&mut settled) => {}
                Some(_) = under_way.join_next() => {}
                () = tokio::time::sleep(next) => {}
                _ = stop.wait_for(|stop| *stop) => {}
            }
        }
        // What does not end in time is told again by whoever takes it once its time is over.
        let _ = tokio::time::timeout(STOP_WITHIN, async { while under_way.join_next().await.is_some() {} }).await;
    }

    /// Begins what is due, as far as there is room; when to look again.
    async fn begin(self: &Arc<Self>, under_way: &mut JoinSet<()>) -> Result<Duration, StoreError> {
        while under_way.try_join_next().is_some() {}
        let room = self.post.at_once().saturating_sub(under_way.len());
        let now = self.clock.now();
        let due = match self.store.next_callback(now).await? {
            Some(due) if room > 0 => due,
            _ => return Ok(LOOK_EVERY),
        };
        if due > now {
            return Ok(due.since(now).min(LOOK_EVERY));
        }
        let most = u32::try_from(room).unwrap_or(u32::MAX);
        let taken = self.store.take_callbacks(most, now, self.post.whole() + SPARE).await?;
        for callback in taken {
            let this = self.clone();
            under_way.spawn(async move { this.tell_one(callback).await });
        }
        // Where there is more, there is no room for it before one of these has ended.
        Ok(LOOK_EVERY)
    }

    async fn tell_one(&self, callback: Callback) {
        let outcome = self.tried(&callback).await;
        let run = callback.run.id.as_str();
        let noted = match outcome {
            Outcome::Told => {
                tracing::debug!(run, attempt = callback.attempt, "a callback was delivered");
                self.store.callback_told(&callback).await
            }
            Outcome::Failed(why) => {
                let again = again(callback.attempt, self.clock.now());
                tracing::info!(run, attempt = callback.attempt, why, is_last = again.is_none(), "a callback failed");
                self.store.callback_failed(&callback, shortened(why), again).await
            }
            Outcome::Refused(why) => {
                tracing::info!(run, why, "a callback leads where none may");
                self.store.callback_failed(&callback, shortened(why), None).await
            }
        };
        match noted {
            Ok(true) => {}
            Ok(false) => tracing::debug!(run, "what came of a callback is another's to note"),
            Err(error) => tracing::error!(run, error = chain(&error), "what came of a callback is not noted"),
        }
    }

    async fn tried(&self, callback: &Callback) -> Outcome {
        let address = match Address::parse(&callback.url) {
            Ok(address) => address,
            Err(error) => return Outcome::Refused(error.to_string()),
        };
        let Message { method, body, secret } = match (self.tell)(callback.run.clone()).await {
            Ok(message) => message,
            Err(why) => return Outcome::Failed(why),
        };
        let headers = signed(callback.run.id.as_str(), self.clock.now(), &body, &secret);
        self.post.send(&address, Sent { method, headers, body: Bytes::from(body) }).await
    }
}

/// Waits until runs have settled.
async fn woken(settled: &mut skylift_bus::Subscription) {
    loop {
        match settled.next().await {
            Received::Message(Heard::RunsSettled(_)) | Received::Missed => return,
            Received::Message(_) => {}
            Received::Closed => std::future::pending().await,
        }
    }
}

fn signed(id: &str, at: Timestamp, body: &[u8], secret: &Secret) -> Vec<(HeaderName, HeaderValue)> {
    let fields = [
        (HeaderName::from_static("webhook-id"), id.to_owned()),
        (HeaderName::from_static("webhook-timestamp"), seconds(at).to_string()),
        (HeaderName::from_static("webhook-signature"), secret.sign(id, at, body)),
    ];
    let value = |(name, text): (HeaderName, String)| Some((name, HeaderValue::from_str(&text).ok()?));
    fields.into_iter().filter_map(value).collect()
}

/// When the try after this one is made.
fn again(attempt: u64, now: Timestamp) -> Option<Timestamp> {
    let at = usize::try_from(attempt.checked_sub(1)?).ok()?;
    AGAIN_AFTER.get(at).map(|wait| now.plus(*wait))
}

fn shortened(why: String) -> String {
    if why.chars().nth(ERROR_CHARACTERS_MAX).is_none() { why } else { why.chars().take(ERROR_CHARACTERS_MAX).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_try_comes_later_each_time_and_the_fifth_is_the_last() {
        let now = Timestamp::from_millis(0);
        let waits: Vec<_> = (0..=6).map(|attempt| again(attempt, now).map(|at| at.as_millis() / 1000)).collect();
        assert_eq!(waits, [None, Some(1), Some(8), Some(60), Some(240), None, None]);
    }

    #[test]
    fn a_reason_of_a_strangers_making_is_kept_short() {
        assert_eq!(shortened("é".repeat(900)).chars().count(), ERROR_CHARACTERS_MAX);
        assert_eq!(shortened("short".to_owned()), "short");
    }
}

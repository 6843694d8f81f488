//! How much a key may be used: so often, so many at once, and so much on one day.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skylift_bus::{Allowance, Bus, Limit};
use skylift_model::key::{Quota, Rate};
use skylift_model::wire::{Code, RunsUsed};
use skylift_model::{Timestamp, TokenId};
use skylift_store::day_after;
use tokio::sync::watch;

use crate::answers::Budget;
use crate::error::ApiError;
use crate::guard::Authorized;

/// The runs of keys that go on in this process: how many each has that may not have as many as it likes, and which keys were revoked.
#[derive(Clone, Debug, Default)]
pub struct UnderWay {
    counts: Arc<Mutex<HashMap<TokenId, u32>>>,
    /// Those that were revoked by this process since its start.
    revoked: watch::Sender<HashSet<TokenId>>,
    /// Room for what is to be told of runs.
    pub(crate) answers: Budget,
}

/// One run of a key, for as long as this lives: until its answer was taken.
pub(crate) struct Turn {
    token: TokenId,
    under_way: UnderWay,
}

impl UnderWay {
    /// One more, where that is not too many.
    pub(crate) fn begin(&self, token: &TokenId, most: u32) -> Option<Turn> {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(token.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Turn { token: token.clone(), under_way: self.clone() })
    }

    /// Ends what of a key's runs this process runs for clients that wait.
    pub(crate) fn revoke(&self, token: TokenId) {
        self.revoked.send_modify(|revoked| {
            revoked.insert(token);
        });
    }

    /// What comes of a run, unless its key is revoked before; then it is dropped.
    pub(crate) async fn unless_revoked<T>(
        &self,
        token: &TokenId,
        run: impl Future<Output = Result<T, ApiError>>,
    ) -> Result<T, ApiError> {
        let mut revoked = self.revoked.subscribe();
        let is_revoked = async {
            if revoked.wait_for(|revoked| revoked.contains(token)).await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            biased;
            () = is_revoked => Err(ApiError::new(Code::Unauthorized, "its key was revoked", "use another key")),
            ended = run => ended,
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = self.under_way.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.token);
            }
        }
    }
}

/// Takes what some runs cost whose client waits from what their key may have, and a place for them.
pub(crate) async fn take<N>(auth: &Authorized<N>, runs: u32) -> Result<Option<Arc<Turn>>, ApiError> {
    let turn = match auth.grant.at_once {
        Some(most) => Some(auth.under_way.begin(&auth.token, most).ok_or_else(|| too_many_at_once(most))?),
        None => None,
    };
    pay(auth, runs).await?;
    Ok(turn.map(Arc::new))
}

/// Takes what some runs cost from what their key may have; whoever has no limits pays nothing. For runs that are queued this is all: how many
/// of them go on at once is looked at where they are taken.
pub(crate) async fn pay<N>(auth: &Authorized<N>, runs: u32) -> Result<(), ApiError> {
    let now = auth.clock.now();
    if let Some(most) = auth.grant.quota.and_then(|quota| quota.runs_per_day).filter(|most| runs > *most) {
        let message = format!("this is {runs} runs, and this key may run {most} in a day (UTC)");
        return Err(ApiError::invalid(message, "send fewer at once; each of `stdins` counts as one"));
    }
    if let Some(rate) = auth.grant.rate {
        take_rate(&auth.bus, ("runs", "run", &auth.token), rate, runs, now).await?;
    }
    match auth.grant.quota {
        Some(quota) => match auth.store.take_quota(auth.token.clone(), runs, quota, now).await? {
            Ok(()) => {}
            Err(used) => return Err(used_up(quota, used, now)),
        },
        None => auth.queue.usage.add(&auth.token, RunsUsed { runs: u64::from(runs), cpu_us: 0 }),
    }
    Ok(())
}

/// Takes from a key's bucket of a kind, or says how long to wait for as much. What is taken is told in a word.
pub(crate) async fn take_rate(
    bus: &Bus,
    (kind, verb, token): (&str, &str, &TokenId),
    rate: Rate,
    cost: u32,
    now: Timestamp,
) -> Result<(), ApiError> {
    match bus.bucket(&bucket(kind, token, rate), limit(rate), cost, now).await {
        Allowance::Allowed => Ok(()),
        Allowance::RetryAfter(wait) => Err(too_often(verb, rate, wait)),
    }
}

/// Whoever's rate was changed begins with a full bucket: by how long the old one would take to be full nothing can be said.
fn bucket(kind: &str, token: &TokenId, Rate { runs, per_s, burst }: Rate) -> String {
    format!("{kind} {token} {runs}/{per_s}/{}", burst.unwrap_or(runs))
}

fn limit(Rate { runs, per_s, burst }: Rate) -> Limit {
    Limit { tokens: runs, per: Duration::from_secs(u64::from(per_s)), burst: burst.unwrap_or(runs) }
}

fn too_many_at_once(most: u32) -> ApiError {
    let message =
        format!("this key has {most} under way of the runs that its clients wait for, as many as it may have");
    ApiError::rate_limited(message, "wait for one of them to end", Duration::from_secs(1), most)
}

fn too_often(verb: &str, rate: Rate, wait: Duration) -> ApiError {
    let message = format!("this key may {verb} {} in {} s", rate.runs, rate.per_s);
    ApiError::rate_limited(message, "wait as long as `Retry-After` says", wait, rate.burst.unwrap_or(rate.runs))
}

const NEXT_DAY: &str = "wait for the next day, as long as `Retry-After` says";

/// What is told of a run that was let in, and whose key had used up its processor time before it ended.
pub fn processor_time_used_up(most: u32, now: Timestamp) -> ApiError {
    let message = format!(
        "this key may use {most} s of processor time in a day (UTC), and they were used up before this run had ended"
    );
    ApiError::rate_limited(message, NEXT_DAY, day_after(now).since(now), most)
}

/// What is over for today: the processor time, or else the runs, of which a few may be left where many were asked for.
fn used_up(quota: Quota, used: RunsUsed, now: Timestamp) -> ApiError {
    let is_over = |most: &u32| used.cpu_us >= u64::from(*most) * 1_000_000;
    let (message, most, left) = match (quota.cpu_s_per_day.filter(is_over), quota.runs_per_day) {
        (Some(most), _) => (format!("this key may use {most} s of processor time in a day (UTC)"), most, 0),
        (None, most) => {
            let most = most.unwrap_or_default();
            let left = u64::from(most).saturating_sub(used.runs);
            let message = format!("this key may run {most} in a day (UTC), and has {left} left");
            (message, most, u32::try_from(left).unwrap_or(u32::MAX))
        }
    };
    let wait = day_after(now).since(now);
    let hint = if left > 0 { "send no more at once than are left, or wait for the next day" } else { NEXT_DAY };
    ApiError::rate_limited(message, hint, wait, most).with_left(left)
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;

    use super::*;

    #[test]
    fn as_many_as_a_key_may_have_and_one_more_once_one_has_ended() {
        let under_way = UnderWay::default();
        let token = |number| TokenId::new(Timestamp::from_millis(0), number);
        let first = under_way.begin(&token(1), 2).unwrap();
        let _second = under_way.begin(&token(1), 2).unwrap();
        assert!(under_way.begin(&token(1), 2).is_none());
        assert!(under_way.begin(&token(2), 2).is_some(), "another key has its own");
        drop(first);
        assert!(under_way.begin(&token(1), 2).is_some());
    }

    #[tokio::test]
    async fn a_run_ends_with_its_key_and_with_no_other() {
        let under_way = UnderWay::default();
        let token = |number| TokenId::new(Timestamp::from_millis(0), number);
        let ends = |key| {
            let under_way = under_way.clone();
            tokio::spawn(
                async move { under_way.unless_revoked(&token(key), std::future::pending::<Result<(), _>>()).await },
            )
        };
        let (first, other) = (ends(1), ends(2));
        under_way.revoke(token(1));
        assert_eq!(first.await.unwrap().unwrap_err().into_response().status(), 401);
        let late = under_way.unless_revoked(&token(1), async { Ok(()) }).await;
        assert!(late.is_err(), "one that was let in before");
        under_way.unless_revoked(&token(2), async { Ok(()) }).await.unwrap();
        assert!(!other.is_finished());
        under_way.revoke(token(2));
        assert!(other.await.unwrap().is_err());
    }

    #[test]
    fn what_is_over_for_today_is_told_with_what_is_left() {
        let noon = Timestamp::from_millis(86_400_000 * 20_000 + 43_200_000);
        let told = |runs_per_day, cpu_s_per_day, runs, cpu_us| {
            let quota = Quota { runs_per_day, cpu_s_per_day };
            let refusal = used_up(quota, RunsUsed { runs, cpu_us }, noon);
            assert_eq!(refusal.body().retry_after_s, Some(43_200), "for who sees no headers");
            let response = refusal.into_response();
            let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
            assert_eq!((response.status().as_u16(), header("retry-after")), (429, "43200".to_owned()));
            ["ratelimit-limit", "ratelimit-remaining", "ratelimit-reset"].map(header).join(" ")
        };
        assert_eq!(told(Some(10), None, 7, u64::MAX), "10 3 43200", "a batch of more than are left");
        assert_eq!(told(Some(10), Some(5), 10, 4_999_999), "10 0 43200");
        assert_eq!(told(Some(10), Some(5), 7, 5_000_000), "5 0 43200");
        assert_eq!(told(None, Some(5), 7, 5_000_000), "5 0 43200");
    }
}

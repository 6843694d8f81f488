//! How much a key may be used: so often, and so many at once.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use skylift_bus::{Allowance, Limit};
use skylift_model::TokenId;
use skylift_model::key::Rate;

use crate::error::ApiError;
use crate::guard::Authorized;

/// How many runs of each key go on in this process.
#[derive(Clone, Debug, Default)]
pub struct UnderWay(Arc<Mutex<HashMap<TokenId, u32>>>);

/// One run of a key, for as long as this lives.
pub(crate) struct Turn {
    token: TokenId,
    under_way: UnderWay,
}

impl UnderWay {
    /// One more, where that is not too many.
    fn begin(&self, token: &TokenId, most: u32) -> Option<Turn> {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.entry(token.clone()).or_default();
        if *count >= most {
            return None;
        }
        *count += 1;
        Some(Turn { token: token.clone(), under_way: self.clone() })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut counts = self.under_way.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = counts.get_mut(&self.token) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.token);
            }
        }
    }
}

/// Takes what some runs cost from what their key may have; whoever has no limits pays nothing.
pub(crate) async fn take<N>(auth: &Authorized<N>, runs: u32) -> Result<Option<Turn>, ApiError> {
    let turn = match auth.grant.at_once {
        Some(most) => Some(auth.under_way.begin(&auth.token, most).ok_or_else(|| too_many_at_once(most))?),
        None => None,
    };
    let Some(rate) = auth.grant.rate else { return Ok(turn) };
    let bucket = format!("runs {}", auth.token);
    match auth.bus.bucket(&bucket, limit(rate), runs, auth.clock.now()).await {
        Allowance::Allowed => Ok(turn),
        Allowance::RetryAfter(wait) => Err(too_often(rate, wait)),
    }
}

fn limit(Rate { runs, per_s, burst }: Rate) -> Limit {
    Limit { tokens: runs, per: Duration::from_secs(u64::from(per_s)), burst: burst.unwrap_or(runs) }
}

fn too_many_at_once(most: u32) -> ApiError {
    let message = format!("this key has {most} runs under way, as many as it may have");
    ApiError::rate_limited(message, "wait for one of them to end", Duration::from_secs(1), most)
}

fn too_often(rate: Rate, wait: Duration) -> ApiError {
    let message = format!("this key may run {} in {} s", rate.runs, rate.per_s);
    ApiError::rate_limited(message, "wait as long as `Retry-After` says", wait, rate.burst.unwrap_or(rate.runs))
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;

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
}

//! What may be asked for a key.

use skylift_model::key::{Grant, Quota, Rate, Scope};
use skylift_model::run::PRIORITY_MAX;

use crate::error::ApiError;

const NAME_BYTES_MAX: usize = 100;
/// What a bucket can count.
const RUNS_MAX: u32 = 1_000_000;
const PER_S_MAX: u32 = 86_400;
/// 100 years.
const EXPIRES_IN_S_MAX: u64 = 100 * 365 * 86_400;
const AT_ONCE_MAX: u32 = 10_000;
const QUOTA_RUNS_MAX: u32 = 1_000_000_000;
const QUOTA_CPU_S_MAX: u32 = 1_000_000_000;

pub(super) fn name(name: &str) -> Result<(), ApiError> {
    let name = name.trim();
    if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
        let message = format!("a key's name has 1 to {NAME_BYTES_MAX} bytes, none of them a control character");
        return Err(ApiError::invalid(message, "as in `{\"name\": \"judge\", \"scopes\": [\"runs\"]}`"));
    }
    Ok(())
}

/// After how many seconds it stops working.
pub(super) fn end(expires_in_s: Option<u64>) -> Result<(), ApiError> {
    if expires_in_s == Some(0) {
        let hint = "leave `expires_in_s` out, or say more; `DELETE /v1/keys/{key}` ends one";
        return Err(ApiError::invalid("a key that has expired already is none", hint));
    }
    if expires_in_s.is_some_and(|seconds| seconds > EXPIRES_IN_S_MAX) {
        let message = format!("`expires_in_s` is {EXPIRES_IN_S_MAX} (100 years) at most");
        return Err(ApiError::invalid(message, "leave it out, or send `null` to change it, for a key without an end"));
    }
    Ok(())
}

pub(super) fn grant(grant: &Grant) -> Result<(), ApiError> {
    if grant.scopes.is_empty() {
        return Err(ApiError::invalid("a key without scopes may do nothing", "as in `\"scopes\": [\"runs\"]`"));
    }
    rate(grant.rate)?;
    if grant.at_once.is_some_and(|count| !(1..=AT_ONCE_MAX).contains(&count)) {
        let message = format!("`at_once` is 1 to {AT_ONCE_MAX}");
        return Err(ApiError::invalid(message, "leave it out for as many as there are"));
    }
    quota(grant.quota)?;
    if grant.priority_max.is_some_and(|priority| !(0..=PRIORITY_MAX).contains(&priority)) {
        let message = format!("`priority_max` is 0 to {PRIORITY_MAX}");
        return Err(ApiError::invalid(message, "leave it out for 0, the usual priority"));
    }
    let limits = [grant.rate.is_some(), grant.at_once.is_some(), grant.quota.is_some(), grant.priority_max.is_some()];
    if grant.scopes.contains(&Scope::Everything) && limits.contains(&true) {
        let message = "a key for everything has no limits: whoever has it could make another without";
        return Err(ApiError::invalid(message, "give it the scope `runs`"));
    }
    Ok(())
}

fn rate(rate: Option<Rate>) -> Result<(), ApiError> {
    let Some(Rate { runs, per_s, burst }) = rate else { return Ok(()) };
    let is_counted = (1..=RUNS_MAX).contains(&runs)
        && (1..=PER_S_MAX).contains(&per_s)
        && burst.is_none_or(|burst| (1..=RUNS_MAX).contains(&burst));
    if !is_counted {
        let message = format!("a rate is 1 to {RUNS_MAX} runs (and burst) in 1 to {PER_S_MAX} seconds");
        return Err(ApiError::invalid(message, "as in `\"rate\": {\"runs\": 100, \"per_s\": 60}`"));
    }
    Ok(())
}

fn quota(quota: Option<Quota>) -> Result<(), ApiError> {
    let Some(Quota { runs_per_day, cpu_s_per_day }) = quota else { return Ok(()) };
    let counts = [(runs_per_day, QUOTA_RUNS_MAX), (cpu_s_per_day, QUOTA_CPU_S_MAX)];
    let is_counted = counts.iter().all(|(count, most)| count.is_none_or(|count| (1..=*most).contains(&count)));
    if !is_counted || (runs_per_day.is_none() && cpu_s_per_day.is_none()) {
        let message = format!(
            "a quota is 1 to {QUOTA_RUNS_MAX} runs, or 1 to {QUOTA_CPU_S_MAX} seconds of processor time, a day"
        );
        return Err(ApiError::invalid(message, "as in `\"quota\": {\"runs_per_day\": 1000, \"cpu_s_per_day\": 3600}`"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_ends_within_a_hundred_years_or_never() {
        for seconds in [None, Some(1), Some(36_500 * 86_400)] {
            assert!(end(seconds).is_ok(), "{seconds:?}");
        }
        for (seconds, told) in [(0, "expired already"), (36_500 * 86_400 + 1, "100 years"), (u64::MAX, "100 years")] {
            let refused = end(Some(seconds)).unwrap_err();
            assert!(refused.body().message.contains(told), "{seconds}: {}", refused.body().message);
        }
    }
}

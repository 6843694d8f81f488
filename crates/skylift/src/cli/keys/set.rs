//! `skylift keys set`: what a key may have, changed.

use std::str::FromStr;

use clap::Args;
use skylift_client::Client;
use skylift_model::key::{Quota, Rate};
use skylift_model::wire::ChangeKey;

use super::{DAY_S, MINUTE_S, meant};
use crate::cli::Context;
use crate::cli::output::say;
use crate::cli::problem::Problem;

#[derive(Args)]
pub(super) struct SetArgs {
    /// Its name, or its id, `t-…`
    #[arg(value_name = "NAME|ID")]
    key: String,
    /// After how many days from now on it stops working
    #[arg(long, value_name = "DAYS|none")]
    days: Option<Limit>,
    /// How many runs it may have in a minute
    #[arg(long, value_name = "RUNS|none")]
    per_minute: Option<Limit>,
    /// How many runs it may have at the same time: of those that its clients wait for, and of those that are queued
    #[arg(long, value_name = "RUNS|none")]
    at_once: Option<Limit>,
    /// How many runs it may have on one day (UTC)
    #[arg(long, value_name = "RUNS|none")]
    quota_runs: Option<Limit>,
    /// How many seconds of processor time its runs may use on one day (UTC)
    #[arg(long, value_name = "SECONDS|none")]
    quota_cpu_seconds: Option<Limit>,
    /// The highest priority that its runs may ask for
    #[arg(long, value_name = "PRIORITY|none")]
    priority_max: Option<Limit>,
}

/// A limit as it is written: a number, or that there is to be none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limit(Option<u32>);

impl FromStr for Limit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "none" => Ok(Self(None)),
            number => number.parse().map(|number| Self(Some(number))).map_err(|_| "a number, or `none`".to_owned()),
        }
    }
}

pub(super) async fn run(args: SetArgs, client: &Client, context: &Context) -> Result<(), Problem> {
    let id = meant(&args.key, client).await?;
    let quota = if args.quota_runs.is_some() || args.quota_cpu_seconds.is_some() {
        // It is changed as a whole, so what stays of it is sent along.
        let keys = client.keys().await?.keys;
        let quota = keys.into_iter().find(|key| key.id == id).and_then(|key| key.quota);
        Some(changed(quota.unwrap_or_default(), args.quota_runs, args.quota_cpu_seconds))
    } else {
        None
    };
    let change = ChangeKey {
        expires_in_s: args.days.map(|days| days.0.map(|days| u64::from(days) * DAY_S)),
        rate: args.per_minute.map(|limit| limit.0.map(|runs| Rate { runs, per_s: MINUTE_S, burst: None })),
        at_once: args.at_once.map(|limit| limit.0),
        quota,
        // What no number can be is refused where it is looked at.
        priority_max: args.priority_max.map(|limit| limit.0.map(|most| i32::try_from(most).unwrap_or(i32::MAX))),
    };
    if change == ChangeKey::default() {
        return Err(Problem::usage("nothing is to be changed: say what, as in `--at-once 4` or `--days none`"));
    }
    let key = client.change_key(&id, &change).await?;
    say(&format!("{} has this from now on: its next requests, and what is queued", key.id));
    context.output.result(&key, |key| key.id.to_string())
}

/// A quota of which a part is set; none where nothing is left of it.
fn changed(quota: Quota, runs: Option<Limit>, cpu_seconds: Option<Limit>) -> Option<Quota> {
    let quota = Quota {
        runs_per_day: runs.map_or(quota.runs_per_day, |limit| limit.0),
        cpu_s_per_day: cpu_seconds.map_or(quota.cpu_s_per_day, |limit| limit.0),
    };
    Some(quota).filter(|quota| *quota != Quota::default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_a_quota_is_set_and_the_rest_stays() {
        let quota = |runs_per_day, cpu_s_per_day| Quota { runs_per_day, cpu_s_per_day };
        let limit = |text: &str| Some(text.parse::<Limit>().unwrap());
        assert_eq!(changed(quota(Some(1), Some(2)), limit("5"), None), Some(quota(Some(5), Some(2))));
        assert_eq!(changed(quota(Some(1), Some(2)), limit("none"), None), Some(quota(None, Some(2))));
        assert_eq!(changed(quota(Some(1), None), limit("none"), None), None);
        assert!("-1".parse::<Limit>().is_err() && "".parse::<Limit>().is_err());
    }
}

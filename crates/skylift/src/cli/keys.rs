//! `skylift keys`: API keys that may do less than the owner's token.

mod set;

use clap::{Args, Subcommand, ValueEnum};
use skylift_client::Client;
use skylift_model::TokenId;
use skylift_model::key::{Quota, Rate, Scope};
use skylift_model::meant::nearest;
use skylift_model::wire::{CreateKey, Key, KeyList};

use super::Context;
use super::output::say;
use super::problem::Problem;
use super::quantity::{ago, now};
use super::table::table;

/// Create, list and revoke API keys that may do less than the owner's token
#[derive(Args)]
pub(crate) struct KeysArgs {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Create a key and print it, this once
    Create {
        /// What it is called
        name: String,
        /// What it may be used for; several with commas, or the option several times
        #[arg(long, value_enum, required = true, value_delimiter = ',')]
        scope: Vec<Allowed>,
        /// After how many days it stops working; never, where this is left out
        #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u64).range(1..=36_500))]
        days: Option<u64>,
        /// How many runs it may have in a minute
        #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..))]
        per_minute: Option<u32>,
        /// How many runs it may have at the same time: of those that its clients wait for, and of those that are queued
        #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..))]
        at_once: Option<u32>,
        /// How many runs it may have on one day (UTC)
        #[arg(long, value_name = "RUNS", value_parser = clap::value_parser!(u32).range(1..))]
        quota_runs: Option<u32>,
        /// How many seconds of processor time its runs may use on one day (UTC)
        #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u32).range(1..))]
        quota_cpu_seconds: Option<u32>,
        /// The highest priority that its runs may ask for; 0, where this is left out
        #[arg(long, value_name = "PRIORITY", value_parser = clap::value_parser!(i32).range(0..=100))]
        priority_max: Option<i32>,
    },
    /// Change what a key may have, from its next request on: what is left out stays, `none` takes a limit away
    Set(set::SetArgs),
    /// List the keys that work
    Ls,
    /// Revoke a key: it stops working at once
    Rm {
        /// Its name, or its id, `t-…`
        #[arg(value_name = "NAME|ID")]
        key: String,
    },
}

/// Scopes, as they are written on a command line.
#[derive(Clone, Copy, ValueEnum)]
enum Allowed {
    /// Everything, as the owner's token
    Everything,
    /// To run code
    Runs,
    /// To ask models, and to let runs ask them
    Ai,
    /// To have runs see sets of packages
    Packages,
}

impl From<Allowed> for Scope {
    fn from(allowed: Allowed) -> Self {
        match allowed {
            Allowed::Everything => Self::Everything,
            Allowed::Runs => Self::Runs,
            Allowed::Ai => Self::Ai,
            Allowed::Packages => Self::Packages,
        }
    }
}

const DAY_S: u64 = 86_400;
const MINUTE_S: u32 = 60;

pub(super) async fn run(args: KeysArgs, context: &Context) -> Result<(), Problem> {
    let client = context.client()?;
    match args.verb {
        Verb::Create { name, scope, days, per_minute, at_once, quota_runs, quota_cpu_seconds, priority_max } => {
            let quota = Quota { runs_per_day: quota_runs, cpu_s_per_day: quota_cpu_seconds };
            let request = CreateKey {
                name,
                scopes: scope.into_iter().map(Scope::from).collect(),
                expires_in_s: days.map(|days| days * DAY_S),
                rate: per_minute.map(|runs| Rate { runs, per_s: MINUTE_S, burst: None }),
                at_once,
                quota: Some(quota).filter(|quota| *quota != Quota::default()),
                priority_max,
            };
            let made = client.create_key(&request).await?;
            say(&format!("{} is the id of `{}`; the key itself is kept nowhere: note it now", made.id, made.name));
            context.output.result(&made, |made| made.key.clone().unwrap_or_default())
        }
        Verb::Set(args) => set::run(args, &client, context).await,
        Verb::Ls => {
            let list = client.keys().await?;
            if list.keys.is_empty() {
                say("there are no keys; `skylift keys create NAME --scope runs` makes one");
            }
            context.output.result(&list, whole)
        }
        Verb::Rm { key } => {
            let id = meant(&key, &client).await?;
            client.revoke_key(&id).await?;
            say(&format!("{id} does not work any more"));
            Ok(())
        }
    }
}

/// The id that was given, or that of the one key that is called so.
async fn meant(key: &str, client: &Client) -> Result<TokenId, Problem> {
    match key.parse() {
        Ok(id) => Ok(id),
        Err(_) => named(key, &client.keys().await?),
    }
}

/// The id of the one key that is called so.
fn named(name: &str, list: &KeyList) -> Result<TokenId, Problem> {
    let called: Vec<&Key> = list.keys.iter().filter(|key| key.name == name).collect();
    match called.as_slice() {
        [only] => Ok(only.id.clone()),
        [] => {
            let meant = nearest(name, list.keys.iter().map(|key| key.name.as_str()));
            let meant = meant.map(|meant| format!("did you mean `{meant}`? ")).unwrap_or_default();
            let message = format!("there is no key `{name}`");
            Err(Problem::NotFound { message, hint: format!("{meant}`skylift keys ls` lists those that work") })
        }
        several => {
            let ids: Vec<String> =
                several.iter().map(|key| format!("{} ({})", key.id, ago(key.created_at, now()))).collect();
            let message = format!("{} keys are called `{name}`", several.len());
            Err(Problem::refused(message, format!("name one by its id: {}", ids.join(", "))))
        }
    }
}

fn whole(list: &KeyList) -> String {
    let row = |key: &Key| {
        let scopes: Vec<&str> = key.scopes.iter().map(|scope| scope.as_str()).collect();
        let rate = key.rate.map_or("-".to_owned(), |rate| format!("{} in {} s", rate.runs, rate.per_s));
        let at_once = key.at_once.map_or("-".to_owned(), |count| count.to_string());
        let today = today(key);
        let used = key.ai.map(|ai| (ai.prompt_tokens.saturating_add(ai.completion_tokens)).to_string());
        let ends = key.expires_at.map_or("never".to_owned(), |at| at.to_string());
        let used = used.unwrap_or_else(|| "-".to_owned());
        [
            key.id.to_string(),
            key.name.clone(),
            scopes.join(","),
            rate,
            at_once,
            today,
            used,
            ago(key.created_at, now()),
            ends,
        ]
    };
    table(["ID", "NAME", "MAY", "RUNS", "AT ONCE", "TODAY", "TOKENS", "CREATED", "ENDS"], list.keys.iter().map(row))
}

/// What its runs came to today, and of how much.
fn today(key: &Key) -> String {
    let (used, quota) = (key.today.unwrap_or_default(), key.quota.unwrap_or_default());
    let of = |most: Option<u32>| most.map_or(String::new(), |most| format!(" of {most}"));
    let cpu_s = used.cpu_us as f64 / 1e6;
    format!("{}{} runs, {cpu_s:.1}{} s", used.runs, of(quota.runs_per_day), of(quota.cpu_s_per_day))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scope_can_be_asked_for() {
        // A new one does not compile here before it is known there.
        let known = |scope| match scope {
            Scope::Everything | Scope::Runs | Scope::Ai | Scope::Packages => 4,
        };
        let named: Vec<Scope> = Allowed::value_variants().iter().copied().map(Scope::from).collect();
        assert_eq!(named.len(), known(Scope::Runs));
        for (allowed, scope) in Allowed::value_variants().iter().zip(named) {
            assert_eq!(allowed.to_possible_value().unwrap().get_name(), scope.as_str());
        }
    }
}

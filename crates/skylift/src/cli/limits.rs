//! `skylift limits`: what a run may use.

use clap::Args;
use serde_json::Value;
use skylift_model::run::{Limits, LimitsKnown};

use super::Context;
use super::problem::Problem;
use super::table::table;

/// Show what a run of code may use: as usual, with `skylift run --limit` at most, and while it is compiled
#[derive(Args)]
pub(crate) struct LimitsArgs {}

pub(super) async fn run(_: LimitsArgs, context: &Context) -> Result<(), Problem> {
    let limits = context.client()?.limits().await?;
    context.output.result(&limits, whole)
}

/// Plain numbers, as they are asked for.
fn whole(limits: &LimitsKnown) -> String {
    let [usual, most, compile] = [&limits.usual, &limits.most, &limits.compile].map(named);
    let rows = usual.into_iter().zip(most).zip(compile);
    table(
        ["LIMIT", "USUAL", "MOST", "COMPILING"],
        rows.map(|(((name, usual), (_, most)), (_, compile))| [name, usual, most, compile]),
    )
}

/// Each by the name that the API has for it.
fn named(limits: &Limits) -> Vec<(String, String)> {
    match serde_json::to_value(limits) {
        Ok(Value::Object(limits)) => limits.into_iter().map(|(name, value)| (name, value.to_string())).collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::run::LIMITS;

    use super::*;

    #[test]
    fn each_limit_is_there_once_as_a_number_that_can_be_asked_for() {
        let told = whole(&LIMITS);
        assert_eq!(told.lines().count(), 8, "{told}");
        let memory = told.lines().find(|line| line.starts_with("memory_bytes ")).unwrap();
        let words: Vec<u64> = memory.split_whitespace().skip(1).map(|word| word.parse().unwrap()).collect();
        let of = |limits: Limits| limits.memory_bytes;
        assert_eq!(words, [of(LIMITS.usual), of(LIMITS.most), of(LIMITS.compile)]);
    }
}

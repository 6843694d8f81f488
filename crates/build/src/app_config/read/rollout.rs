//! Reads `[rollout]`: how a deployment takes the place of what is live.

use std::ops::RangeInclusive;

use skylift_model::rollout::{RolloutSettings, Strategy};
use toml::de::DeTable;

use super::{Key, Reader, Value, name, shown};

const KEYS: &[&str] = &[
    "strategy",
    "max_surge",
    "pause_between_seconds",
    "steps",
    "step_seconds",
    "auto_promote",
    "auto_abort",
    "min_requests",
    "error_percent",
    "latency_factor",
    "trial_seconds",
];
/// Settings that mean something with one strategy alone; anywhere else they would be thought to work.
const OF_ROLLING: &[&str] = &["max_surge", "pause_between_seconds"];
const OF_CANARY: &[&str] = &["steps", "step_seconds", "auto_abort", "min_requests", "error_percent", "latency_factor"];
const OF_BLUE_GREEN: &[&str] = &["auto_promote"];
const STEPS_MAX: usize = 20;
const SECONDS: RangeInclusive<i64> = 0..=86_400;
/// Ends and answers are remembered for as long.
const TRIAL_SECONDS: RangeInclusive<i64> = 0..=600;

impl Reader<'_> {
    pub(super) fn rollout(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<RolloutSettings> {
        let table = self.table(key, value)?;
        let mut rollout = RolloutSettings::default();
        for (key, value) in table.iter() {
            match name(key) {
                "strategy" => rollout.strategy = self.strategy(key, value).unwrap_or_default(),
                "max_surge" => self.whole(key, value, 1..=100, &mut rollout.max_surge),
                "pause_between_seconds" => self.whole(key, value, SECONDS, &mut rollout.pause_between_seconds),
                "steps" => rollout.steps = self.steps(key, value).unwrap_or(rollout.steps),
                "step_seconds" => self.whole(key, value, SECONDS, &mut rollout.step_seconds),
                "auto_promote" => rollout.auto_promote = self.yes_or_no(key, value).unwrap_or_default(),
                "auto_abort" => rollout.auto_abort = self.yes_or_no(key, value).unwrap_or_default(),
                "min_requests" => self.whole(key, value, 1..=1_000_000, &mut rollout.min_requests),
                "error_percent" => self.whole(key, value, 0..=100, &mut rollout.error_percent),
                "latency_factor" => self.whole(key, value, 1..=1000, &mut rollout.latency_factor),
                "trial_seconds" => self.whole(key, value, TRIAL_SECONDS, &mut rollout.trial_seconds),
                _ => self.unknown(key, " in `[rollout]`", KEYS),
            }
        }
        self.only_with(table, rollout.strategy);
        Some(rollout)
    }

    fn strategy(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Strategy> {
        let text = self.text(key, value)?;
        let strategy = Strategy::from_name(&text);
        if strategy.is_none() {
            let message = format!("`strategy` must be `rolling`, `canary` or `blue_green`, not `{}`", shown(&text));
            self.mistake(value.span(), message);
        }
        strategy
    }

    /// Shares in percent, each larger than the one before.
    fn steps(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Vec<u8>> {
        let numbers: Option<Vec<u8>> = value
            .get_ref()
            .as_array()
            .and_then(|steps| steps.iter().map(|step| number(step).and_then(|step| u8::try_from(step).ok())).collect());
        let is_good = |steps: &Vec<u8>| {
            (1..=STEPS_MAX).contains(&steps.len())
                && steps.iter().all(|step| (1..=99).contains(step))
                && steps.is_sorted_by(|before, after| before < after)
        };
        let steps = numbers.filter(is_good);
        if steps.is_none() {
            let message = format!(
                "`{}` must be a list of 1 to {STEPS_MAX} shares in percent, 1 to 99, each larger than the one before, such as \
                 `[10, 50]`; all requests follow the last",
                name(key)
            );
            self.mistake(value.span(), message);
        }
        steps
    }

    pub(super) fn whole<N: TryFrom<i64>>(
        &mut self,
        key: &Key<'_>,
        value: &Value<'_>,
        allowed: RangeInclusive<i64>,
        into: &mut N,
    ) {
        let found = number(value).filter(|number| allowed.contains(number)).and_then(|number| N::try_from(number).ok());
        match found {
            Some(number) => *into = number,
            None => {
                let (from, to) = allowed.into_inner();
                self.mistake(value.span(), format!("`{}` must be a whole number from {from} to {to}", name(key)));
            }
        }
    }

    fn only_with(&mut self, table: &DeTable<'_>, strategy: Strategy) {
        for (keys, of) in
            [(OF_ROLLING, Strategy::Rolling), (OF_CANARY, Strategy::Canary), (OF_BLUE_GREEN, Strategy::BlueGreen)]
        {
            for (key, _) in table.iter().filter(|(key, _)| of != strategy && keys.contains(&name(key))) {
                let message = format!("`{}` goes with `strategy = \"{of}\"`, and this is `{strategy}`", name(key));
                self.mistake(key.span(), message);
            }
        }
    }
}

fn number(value: &Value<'_>) -> Option<i64> {
    let integer = value.get_ref().as_integer()?;
    i64::from_str_radix(integer.as_str(), integer.radix()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_config::AppConfig;

    fn read(text: &str) -> Result<RolloutSettings, String> {
        let config = AppConfig::parse(&format!("[rollout]\n{text}"));
        config.map(|config| config.rollout.unwrap()).map_err(|mistakes| mistakes.to_string())
    }

    #[test]
    fn what_is_said_counts_and_the_rest_is_usual() {
        let usual = RolloutSettings::default();
        assert_eq!(read(""), Ok(usual.clone()));
        assert_eq!(
            read("max_surge = 3\npause_between_seconds = 5\n"),
            Ok(RolloutSettings { max_surge: 3, pause_between_seconds: 5, ..usual.clone() })
        );
        assert_eq!(
            read(
                "strategy = \"canary\"\nsteps = [1, 25, 99]\nstep_seconds = 0\nauto_abort = false\nmin_requests = 5\n"
            ),
            Ok(RolloutSettings {
                strategy: Strategy::Canary,
                steps: vec![1, 25, 99],
                step_seconds: 0,
                auto_abort: false,
                min_requests: 5,
                ..usual.clone()
            })
        );
        assert_eq!(
            read("strategy = \"blue_green\"\nauto_promote = false\ntrial_seconds = 0\n"),
            Ok(RolloutSettings { strategy: Strategy::BlueGreen, auto_promote: false, trial_seconds: 0, ..usual })
        );
    }

    #[test]
    fn every_mistake_is_told_with_what_is_right() {
        for (text, told) in [
            ("strategy = \"big-bang\"", "must be `rolling`, `canary` or `blue_green`, not `big-bang`"),
            ("surge = 1", "unknown key `surge` in `[rollout]`; allowed are strategy, max_surge"),
            ("max_surge = 0", "line 2: `max_surge` must be a whole number from 1 to 100"),
            ("max_surge = \"2\"", "`max_surge` must be a whole number from 1 to 100"),
            ("pause_between_seconds = -1", "from 0 to 86400"),
            ("trial_seconds = 601", "from 0 to 600"),
            ("steps = [10]", "line 2: `steps` goes with `strategy = \"canary\"`, and this is `rolling`"),
            ("strategy = \"canary\"\nmax_surge = 2", "line 3: `max_surge` goes with `strategy = \"rolling\"`"),
            ("strategy = \"canary\"\nauto_promote = true", "goes with `strategy = \"blue_green\"`"),
        ] {
            assert!(read(text).is_err_and(|mistakes| mistakes.contains(told)), "{text}: {:?}", read(text));
        }
        for steps in ["[]", "[0]", "[100]", "[50, 10]", "[10, 10]", "[1.5]", "10", "[\"10\"]", "[300]"] {
            let mistakes = read(&format!("strategy = \"canary\"\nsteps = {steps}")).unwrap_err();
            assert!(mistakes.contains("1 to 20 shares in percent"), "{steps}: {mistakes}");
        }
    }
}

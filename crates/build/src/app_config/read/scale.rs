//! Reads `[scale]` and `[instance]`: how many instances there are to be, and how large.

use std::ops::RangeInclusive;

use skylift_model::wire::Scaling;

use super::{Key, Reader, Value, name, shown};

const SCALE_KEYS: &[&str] = &["min", "max", "cpu", "in_flight", "rps", "hold", "idle"];
const INSTANCE_KEYS: &[&str] = &["type"];
const INSTANCES: RangeInclusive<i64> = 0..=100;
const TARGET: RangeInclusive<i64> = 1..=1_000_000;
const SECONDS: RangeInclusive<i64> = 0..=86_400;
/// The longest name of an instance type, in bytes.
const TYPE_BYTES_MAX: usize = 40;

impl Reader<'_> {
    /// As `skylift scale` reads its words: measures that are not named are switched off where one is.
    pub(super) fn scale(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<Scaling> {
        let table = self.table(key, value)?;
        let mut scale = Scaling::default();
        if ["cpu", "in_flight", "rps"].iter().any(|measure| table.contains_key(*measure)) {
            scale.cpu = None;
        }
        for (key, value) in table.iter() {
            match name(key) {
                "min" => self.whole(key, value, INSTANCES, &mut scale.min),
                "max" => self.whole(key, value, 1..=*INSTANCES.end(), &mut scale.max),
                "cpu" => scale.cpu = self.target(key, value, 1..=100),
                "in_flight" => scale.in_flight = self.target(key, value, TARGET),
                "rps" => scale.rps = self.target(key, value, TARGET),
                "hold" => self.whole(key, value, SECONDS, &mut scale.hold_seconds),
                "idle" => self.whole(key, value, SECONDS, &mut scale.idle_seconds),
                _ => self.unknown(key, " in `[scale]`", SCALE_KEYS),
            }
        }
        if scale.min > scale.max {
            self.mistake(key.span(), format!("`[scale]`: min, {}, is larger than max, {}", scale.min, scale.max));
        }
        Some(scale)
    }

    fn target(&mut self, key: &Key<'_>, value: &Value<'_>, allowed: RangeInclusive<i64>) -> Option<u32> {
        let mut target = 0;
        self.whole(key, value, allowed, &mut target);
        Some(target).filter(|target| *target > 0)
    }

    /// The name of an instance type. Which there are is the platform's to say, when instances are started.
    pub(super) fn instance_type(&mut self, key: &Key<'_>, value: &Value<'_>) -> Option<String> {
        let mut instance_type = None;
        for (key, value) in self.table(key, value)?.iter() {
            match name(key) {
                "type" => instance_type = self.text(key, value),
                _ => self.unknown(key, " in `[instance]`", INSTANCE_KEYS),
            }
        }
        let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
        if let Some(text) = &instance_type
            && (text.is_empty() || text.len() > TYPE_BYTES_MAX || !text.bytes().all(is_plain))
        {
            let message =
                format!("`type` must be the name of an instance type, such as `small`, not `{}`", shown(text));
            self.mistake(value.span(), message);
            return None;
        }
        instance_type
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::app_config::AppConfig;

    fn told(text: &str) -> String {
        AppConfig::parse(text).map_or_else(|mistakes| mistakes.to_string(), |config| format!("{:?}", config.scale))
    }

    #[test]
    fn a_measure_that_is_named_switches_the_usual_one_off() {
        let read = |text: &str| AppConfig::parse(text).unwrap().scale.unwrap();
        assert_eq!(read("[scale]\n"), Scaling::default());
        assert_eq!(read("[scale]\nmin = 2\nmax = 4\n"), Scaling { min: 2, max: 4, ..Scaling::default() });
        let by_rate =
            Scaling { cpu: None, rps: Some(100), hold_seconds: 5, min: 0, idle_seconds: 30, ..Scaling::default() };
        assert_eq!(read("[scale]\nrps = 100\nhold = 5\nmin = 0\nidle = 30\n"), by_rate);
    }

    #[test]
    fn mistakes_are_told_with_what_is_right() {
        for (text, expected) in [
            ("[scale]\nmin = 11", "line 1: `[scale]`: min, 11, is larger than max, 10"),
            ("[scale]\nmax = 0", "line 2: `max` must be a whole number from 1 to 100"),
            ("[scale]\ncpu = 101", "`cpu` must be a whole number from 1 to 100"),
            ("[scale]\nhold_seconds = 1", "unknown key `hold_seconds` in `[scale]`; allowed are min, max, cpu"),
            ("[instance]\ntype = \"Small one\"", "`type` must be the name of an instance type"),
            ("[instance]\nmemory = 1", "unknown key `memory` in `[instance]`; allowed are type"),
        ] {
            assert!(told(text).contains(expected), "{text}: {}", told(text));
        }
    }
}

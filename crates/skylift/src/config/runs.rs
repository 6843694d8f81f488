//! How code that is sent is run, `[runs]`.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use skylift_api::PistonSettings;
use skylift_build::packages::PackageSettings;
use skylift_control::run_workers::WorkerBounds;
use skylift_model::run::{LIMITS, Limits, LimitsKnown};
#[cfg(feature = "sqs")]
use skylift_queue::SqsSettings;

use crate::up::NUMBER_MAX;

/// The settings.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RunSettings {
    /// How many run at the same time; left out, twice as many as there are processors.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) at_once: Option<u32>,
    /// The longest time from start to end that may be asked for, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wall_ms_max: Option<u64>,
    /// The most memory that may be asked for, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) memory_bytes_max: Option<u64>,
    /// How many bytes of compiled programs are kept, for the next time that the same is sent; 0 for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) compiled_bytes_max: Option<u64>,
    /// How much memory all interpreters that wait for runs may take, in bytes; left out, 90 MiB. Two wait of each language that is used, whatever it
    /// says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) pool_bytes_max: Option<u64>,
    /// Who says which run is next; or the variable `SKYLIFT_RUNS_QUEUE`.
    pub(crate) queue: QueueKind,
    /// What that variable says, where it is none of them.
    #[serde(skip)]
    no_queue: Option<String>,
    /// The queue at SQS.
    #[cfg(feature = "sqs")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) sqs: Option<SqsSettings>,
    /// How many worker processes the backlog starts beside those that are there anyway: never fewer, …
    pub(crate) workers_min: u32,
    /// … never more; with 0, none. They need stores that several processes share.
    pub(crate) workers_max: u32,
    /// How many runs may wait for each worker before there are more of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) backlog_per_instance: Option<f64>,
    /// Piston's API, which is off until it has a key.
    pub(crate) piston: PistonSettings,
    /// Sets of packages that runs may ask for, by name, `[runs.packages.NAME]`.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) packages: BTreeMap<String, PackageSettings>,
}

/// Who says which run is next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum QueueKind {
    /// The rows themselves.
    #[default]
    Store,
    /// The Redis of `[bus]`.
    Redis,
    /// The queue of `[runs.sqs]`.
    Sqs,
}

/// More of each stream is not waited for.
const PISTON_OUTPUT_MAX: u64 = 8 << 20;
/// Less memory than this starts no interpreter.
const MEMORY_BYTES_MIN: u64 = 16 << 20;
/// Where nothing is said, this much of what was compiled is kept.
const COMPILED_BYTES: u64 = 256 << 20;
/// Where nothing is said, so many runs wait for each worker.
const BACKLOG_PER_INSTANCE: f64 = 5.0;
const BACKLOG_PER_INSTANCE_MAX: f64 = 100_000.0;
/// More at the same time have no users of their own.
const AT_ONCE_MAX: u32 = 1024;

impl RunSettings {
    /// Takes what the environment has.
    pub(super) fn with_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        match variable("SKYLIFT_RUNS_QUEUE").as_deref() {
            None => {}
            Some("store") => self.queue = QueueKind::Store,
            Some("redis") => self.queue = QueueKind::Redis,
            Some("sqs") => self.queue = QueueKind::Sqs,
            Some(other) => self.no_queue = Some(other.to_owned()),
        }
        #[cfg(feature = "sqs")]
        {
            self.sqs = self.sqs.map(|sqs| sqs.with_environment(&variable));
        }
        self
    }

    /// Every mistake in who says which run is next, in words.
    fn queue_mistakes(&self, is_bus_shared: bool) -> Vec<String> {
        let mut mistakes = Vec::new();
        if let Some(other) = &self.no_queue {
            mistakes.push(format!("SKYLIFT_RUNS_QUEUE: {other:?} is none of store, redis and sqs"));
        }
        if self.queue == QueueKind::Redis && !is_bus_shared {
            mistakes.push("[runs] queue: `redis` is the one of [bus] url, which is missing".to_owned());
        }
        #[cfg(not(feature = "sqs"))]
        if self.queue == QueueKind::Sqs {
            mistakes.push("[runs] queue: this executable was built without `sqs` (`--features sqs`)".to_owned());
        }
        #[cfg(feature = "sqs")]
        {
            if self.queue == QueueKind::Sqs && self.sqs.is_none() {
                mistakes.push("[runs] queue: `sqs` is the one of [runs.sqs], which is missing".to_owned());
            }
            mistakes.extend(self.sqs.iter().flat_map(SqsSettings::mistakes));
        }
        mistakes
    }

    /// Every mistake, in words.
    pub(super) fn mistakes(&self, is_bus_shared: bool) -> Vec<String> {
        let mut mistakes = self.queue_mistakes(is_bus_shared);
        if self.at_once.is_some_and(|count| !(1..=AT_ONCE_MAX).contains(&count)) {
            mistakes.push(format!("[runs] at_once: 1 to {AT_ONCE_MAX}"));
        }
        if self.wall_ms_max == Some(0) {
            mistakes.push("[runs] wall_ms_max: at least 1".to_owned());
        }
        if self.memory_bytes_max.is_some_and(|bytes| bytes < MEMORY_BYTES_MIN) {
            mistakes.push("[runs] memory_bytes_max: 16 MiB (16777216) are the least".to_owned());
        }
        if self.workers_max > NUMBER_MAX {
            mistakes.push(format!("[runs] workers_max: at most {NUMBER_MAX}"));
        }
        if self.workers_min > self.workers_max {
            mistakes.push("[runs] workers_min: more than workers_max".to_owned());
        }
        if self.backlog_per_instance.is_some_and(|count| !(0.1..=BACKLOG_PER_INSTANCE_MAX).contains(&count)) {
            mistakes.push(format!("[runs] backlog_per_instance: 0.1 to {BACKLOG_PER_INSTANCE_MAX}"));
        }
        mistakes.extend(piston_mistakes(&self.piston, &self.limits()));
        mistakes.extend(self.packages.iter().flat_map(|(name, set)| set.mistakes(name)));
        mistakes
    }

    /// How many run at the same time.
    pub(crate) fn at_once(&self) -> usize {
        let usual = || 2 * std::thread::available_parallelism().map_or(1, usize::from);
        self.at_once.and_then(|count| usize::try_from(count).ok()).unwrap_or_else(usual)
    }

    /// How many worker processes the backlog starts; `None` where it starts none.
    pub(crate) fn workers(&self) -> Option<WorkerBounds> {
        let most = LIMITS.most.wall_ms.max(self.limits().most.wall_ms);
        (self.workers_max > 0).then(|| WorkerBounds {
            min: self.workers_min,
            max: self.workers_max,
            backlog_per_instance: self.backlog_per_instance.unwrap_or(BACKLOG_PER_INSTANCE),
            at_once: self.at_once(),
            grace: Duration::from_millis(most),
        })
    }

    /// How many bytes of compiled programs are kept.
    pub(crate) fn compiled_bytes_max(&self) -> u64 {
        self.compiled_bytes_max.unwrap_or(COMPILED_BYTES)
    }

    /// What runs may use.
    pub(crate) fn limits(&self) -> LimitsKnown {
        let most = LIMITS.most;
        let wall_ms = self.wall_ms_max.unwrap_or(most.wall_ms);
        let memory_bytes = self.memory_bytes_max.unwrap_or(most.memory_bytes);
        LimitsKnown { most: Limits { wall_ms, cpu_ms: most.cpu_ms.max(wall_ms), memory_bytes, ..most }, ..LIMITS }
    }
}

/// Every mistake in `[runs.piston]`, in words.
fn piston_mistakes(piston: &PistonSettings, known: &LimitsKnown) -> Vec<String> {
    let LimitsKnown { most, compile, .. } = known;
    let bounds = [
        ("output_max_size", Some(piston.output_max_size), 1, most.output_bytes.min(PISTON_OUTPUT_MAX)),
        ("run_timeout", Some(piston.run_timeout), 1, most.wall_ms),
        ("compile_timeout", Some(piston.compile_timeout), 1, compile.wall_ms),
        ("run_cpu_time", Some(piston.run_cpu_time), 1, most.cpu_ms),
        ("compile_cpu_time", Some(piston.compile_cpu_time), 1, compile.cpu_ms),
        ("run_memory_limit", piston.run_memory_limit, MEMORY_BYTES_MIN, most.memory_bytes),
        ("compile_memory_limit", piston.compile_memory_limit, MEMORY_BYTES_MIN, compile.memory_bytes),
    ];
    let is_set = piston.key_file.is_some();
    let wrong = bounds
        .into_iter()
        .filter(|(_, value, least, most)| is_set && value.is_some_and(|value| !(*least..=*most).contains(&value)));
    wrong.map(|(name, _, least, most)| format!("[runs.piston] {name}: {least} to {most}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_are_started_where_it_is_said_and_within_bounds() {
        let read = |text| toml::from_str::<RunSettings>(text).unwrap();
        assert!(read("").workers().is_none());
        let workers = read("workers_max = 3").workers().unwrap();
        assert_eq!((workers.min, workers.max, workers.backlog_per_instance), (0, 3, 5.0));
        let wrong = read("workers_min = 66\nworkers_max = 65\nbacklog_per_instance = nan");
        let mistakes =
            ["workers_max: at most 64", "workers_min: more than workers_max", "backlog_per_instance: 0.1 to 100000"];
        assert_eq!(wrong.mistakes(true), mistakes.map(|mistake| format!("[runs] {mistake}")));
    }

    #[test]
    fn piston_is_as_piston_has_it_and_bounded_by_what_any_run_may_have() {
        let settings: RunSettings =
            toml::from_str("[piston]\nkey_file = \"/k\"\nrun_timeout = 60001\noutput_max_size = 0").unwrap();
        let mistakes = settings.mistakes(false);
        assert_eq!(mistakes, ["[runs.piston] output_max_size: 1 to 8388608", "[runs.piston] run_timeout: 1 to 60000"]);
        let usual: RunSettings = toml::from_str("wall_ms_max = 1000\n[piston]").unwrap();
        assert_eq!((usual.mistakes(false), usual.piston), (Vec::new(), PistonSettings::default()));
    }

    #[test]
    fn a_queue_beside_the_rows_is_chosen_and_has_to_be_there() {
        let settings: RunSettings = toml::from_str("queue = \"redis\"").unwrap();
        assert_eq!((settings.mistakes(true), settings.mistakes(false).len()), (Vec::new(), 1));
        let chosen = |text: &str| RunSettings::default().with_environment(|_| Some(text.to_owned()));
        assert_eq!((chosen("redis").queue, chosen("kafka").mistakes(true).len()), (QueueKind::Redis, 1));
        assert_eq!(chosen("sqs").mistakes(true).len(), 1, "it is not built in, or not set up");
        assert_eq!(RunSettings::default().queue, QueueKind::Store);
    }
}

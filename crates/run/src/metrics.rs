//! How runs end, how long each of their stages takes, and what they use, as Prometheus text.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use skylift_model::TokenId;
use skylift_model::run::{Ending, RunStatus, Warmth};

/// The upper bounds of what is counted together, in microseconds.
const BOUNDS_US: [u64; 15] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000, 5_000_000,
    10_000_000, 60_000_000,
];
/// Keys beyond these are counted together: what is kept must not grow with what clients do.
const KEYS_MAX: usize = 1000;

/// What a run spends its time with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Stage {
    /// Waits for a worker.
    Queue,
    /// A sandbox is made for it.
    Dispatch,
    Compile,
    Run,
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Dispatch => "dispatch",
            Self::Compile => "compile",
            Self::Run => "run",
        }
    }
}

/// Counts runs since the process began.
#[derive(Debug, Default)]
pub struct RunMetrics(Mutex<Counts>);

#[derive(Debug, Default)]
struct Counts {
    languages: BTreeMap<String, Language>,
    cpu_us: BTreeMap<String, u64>,
}

impl Counts {
    fn used(&mut self, token: &TokenId, cpu_us: u64) {
        let is_known = self.cpu_us.contains_key(token.as_str()) || self.cpu_us.len() < KEYS_MAX;
        let key = if is_known { token.as_str() } else { "others" };
        *self.cpu_us.entry(key.to_owned()).or_default() += cpu_us;
    }
}

#[derive(Debug, Default)]
struct Language {
    ended: BTreeMap<&'static str, u64>,
    started: BTreeMap<&'static str, u64>,
    stages: BTreeMap<Stage, Histogram>,
    /// The whole of them was compiled before.
    cached: u64,
}

#[derive(Debug, Default)]
struct Histogram {
    below: [u64; BOUNDS_US.len()],
    count: u64,
    sum_us: u64,
}

impl Histogram {
    fn count(&mut self, us: u64) {
        if let Some(bound) = BOUNDS_US.iter().position(|bound| us <= *bound)
            && let Some(below) = self.below.get_mut(bound)
        {
            *below += 1;
        }
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
    }
}

impl RunMetrics {
    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a run that has ended.
    pub fn ended(&self, language: &str, token: &TokenId, ending: &Ending) {
        let mut counts = self.counts();
        let counted = counts.languages.entry(language.to_owned()).or_default();
        let status = ending.decisive().map_or(RunStatus::Internal, |step| step.status);
        *counted.ended.entry(name_of(status)).or_default() += 1;
        let mut spent = |stage, us| counted.stages.entry(stage).or_default().count(us);
        spent(Stage::Queue, ending.waited_us);
        if let Some(compiled) = &ending.compile {
            if !compiled.cached {
                spent(Stage::Compile, compiled.step.usage.wall_us);
            }
            counted.cached += u64::from(compiled.cached);
        }
        if !ending.steps.is_empty() {
            let mut spent = |stage, us| counted.stages.entry(stage).or_default().count(us);
            spent(Stage::Dispatch, ending.dispatch_us);
            spent(Stage::Run, ending.steps.iter().map(|step| step.usage.wall_us).sum());
            *counted.started.entry(start_of(ending.start)).or_default() += 1;
        }
        counts.used(token, ending.cpu_us());
    }

    /// Counts one that could not be run: our fault, not the code's.
    pub fn failed(&self, language: &str) {
        let mut counts = self.counts();
        *counts.languages.entry(language.to_owned()).or_default().ended.entry("failed").or_default() += 1;
    }

    /// A run of a key used so much until nobody waited for it any more.
    pub fn broken_off(&self, token: &TokenId, cpu_us: u64) {
        self.counts().used(token, cpu_us);
    }

    /// Writes the counts; those of a process that runs code are of the plane `work`, those of one that hands it on of `api`.
    pub fn render(&self, plane: &str, out: &mut String) {
        let counts = self.counts();
        head(out, "skylift_runs_total", "counter", "Runs that ended, by language and how.");
        for (language, counted) in &counts.languages {
            for (status, count) in &counted.ended {
                let _ = writeln!(
                    out,
                    "skylift_runs_total{{plane=\"{plane}\",language=\"{language}\",status=\"{status}\"}} {count}"
                );
            }
        }
        head(
            out,
            "skylift_run_starts_total",
            "counter",
            "Programs started, by language and out of what: warm are pool and fork.",
        );
        for (language, counted) in &counts.languages {
            for (start, count) in &counted.started {
                let _ = writeln!(
                    out,
                    "skylift_run_starts_total{{plane=\"{plane}\",language=\"{language}\",start=\"{start}\"}} {count}"
                );
            }
        }
        head(
            out,
            "skylift_run_compiled_before_total",
            "counter",
            "Runs whose program had been compiled before, by language.",
        );
        for (language, counted) in counts.languages.iter().filter(|(_, counted)| counted.cached > 0) {
            let count = counted.cached;
            let _ =
                writeln!(out, "skylift_run_compiled_before_total{{plane=\"{plane}\",language=\"{language}\"}} {count}");
        }
        head(out, "skylift_run_stage_seconds", "histogram", "What runs spent their time with, by language and stage.");
        for (language, counted) in &counts.languages {
            for (stage, histogram) in &counted.stages {
                let labels = format!("plane=\"{plane}\",language=\"{language}\",stage=\"{}\"", stage.as_str());
                histogram.render(&labels, out);
            }
        }
        head(out, "skylift_run_cpu_seconds_total", "counter", "Processor time of runs and compilers, by key.");
        for (key, us) in &counts.cpu_us {
            let _ =
                writeln!(out, "skylift_run_cpu_seconds_total{{plane=\"{plane}\",key=\"{key}\"}} {:.6}", seconds(*us));
        }
    }
}

impl Histogram {
    fn render(&self, labels: &str, out: &mut String) {
        let mut below = 0;
        for (bound, count) in BOUNDS_US.iter().zip(self.below) {
            below += count;
            let _ = writeln!(out, "skylift_run_stage_seconds_bucket{{{labels},le=\"{}\"}} {below}", seconds(*bound));
        }
        let _ = writeln!(out, "skylift_run_stage_seconds_bucket{{{labels},le=\"+Inf\"}} {}", self.count);
        let _ = writeln!(out, "skylift_run_stage_seconds_sum{{{labels}}} {:.6}", seconds(self.sum_us));
        let _ = writeln!(out, "skylift_run_stage_seconds_count{{{labels}}} {}", self.count);
    }
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn seconds(us: u64) -> f64 {
    us as f64 / 1e6
}

const fn name_of(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Ok => "ok",
        RunStatus::ExitNonzero => "exit_nonzero",
        RunStatus::Signal => "signal",
        RunStatus::TimeLimit => "time_limit",
        RunStatus::CpuLimit => "cpu_limit",
        RunStatus::MemoryLimit => "memory_limit",
        RunStatus::OutputLimit => "output_limit",
        RunStatus::CompileError => "compile_error",
        RunStatus::Internal => "internal",
    }
}

const fn start_of(start: Warmth) -> &'static str {
    match start {
        Warmth::Pool => "pool",
        Warmth::Fork => "fork",
        Warmth::Prestarted => "prestarted",
        Warmth::Cold => "cold",
    }
}

#[cfg(test)]
mod tests {
    use skylift_model::Timestamp;
    use skylift_model::run::{Step, Usage};

    use super::*;

    fn ending(cpu_us: u64, wall_us: u64) -> Ending {
        let usage = Usage { cpu_us, wall_us, peak_memory_bytes: 1 };
        let step = Step { usage, ..Step::exited(0) };
        Ending { start: Warmth::Pool, waited_us: 400, dispatch_us: 2_000, ..Ending::of_steps(vec![step], "") }
    }

    #[test]
    fn runs_are_counted_by_language_stage_start_and_key() {
        let metrics = RunMetrics::default();
        let key = TokenId::new(Timestamp::from_millis(1), 1);
        metrics.ended("python", &key, &ending(1_500_000, 3_000));
        metrics.ended("python", &key, &ending(500_000, 90_000_000));
        metrics.failed("python");
        let mut text = String::new();
        metrics.render("work", &mut text);
        for line in [
            r#"skylift_runs_total{plane="work",language="python",status="ok"} 2"#.to_owned(),
            r#"skylift_runs_total{plane="work",language="python",status="failed"} 1"#.to_owned(),
            r#"skylift_run_starts_total{plane="work",language="python",start="pool"} 2"#.to_owned(),
            r#"skylift_run_stage_seconds_bucket{plane="work",language="python",stage="queue",le="0.0005"} 2"#
                .to_owned(),
            r#"skylift_run_stage_seconds_bucket{plane="work",language="python",stage="run",le="0.0025"} 0"#.to_owned(),
            r#"skylift_run_stage_seconds_bucket{plane="work",language="python",stage="run",le="60"} 1"#.to_owned(),
            r#"skylift_run_stage_seconds_bucket{plane="work",language="python",stage="run",le="+Inf"} 2"#.to_owned(),
            format!(r#"skylift_run_cpu_seconds_total{{plane="work",key="{key}"}} 2.000000"#),
        ] {
            assert!(text.contains(&format!("{line}\n")), "{line}\n{text}");
        }
    }

    #[test]
    fn keys_beyond_a_thousand_are_counted_together() {
        let metrics = RunMetrics::default();
        for number in 0..KEYS_MAX as u64 + 5 {
            metrics.ended("c", &TokenId::new(Timestamp::from_millis(1), number), &ending(1_000_000, 1));
        }
        let mut text = String::new();
        metrics.render("work", &mut text);
        assert!(text.contains(r#"key="others"} 5.000000"#), "{text}");
    }
}

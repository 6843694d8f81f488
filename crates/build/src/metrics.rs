//! How builds end and how long they take, as Prometheus text.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// How a build ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BuildResult {
    Built,
    Failed,
    Cancelled,
    /// Our own fault; it is tried again.
    Fault,
}

impl BuildResult {
    const ALL: [Self; 4] = [Self::Built, Self::Failed, Self::Cancelled, Self::Fault];

    /// The result's name in metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Built => "built",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Fault => "fault",
        }
    }
}

/// Counts builds since the process began.
#[derive(Debug, Default)]
pub struct BuildMetrics {
    ended: [AtomicU64; 4],
    duration_ms: AtomicU64,
}

impl BuildMetrics {
    /// Counts a build.
    pub fn count(&self, result: BuildResult, duration: Duration) {
        for (kind, ended) in BuildResult::ALL.iter().zip(&self.ended) {
            if *kind == result {
                ended.fetch_add(1, Ordering::Relaxed);
            }
        }
        self.duration_ms.fetch_add(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// Writes the counts.
    pub fn render(&self, out: &mut String) {
        out.push_str(
            "# HELP skylift_builds_total Builds that ended, by result.\n# TYPE skylift_builds_total counter\n",
        );
        for (kind, ended) in BuildResult::ALL.iter().zip(&self.ended) {
            let _ =
                writeln!(out, "skylift_builds_total{{result=\"{}\"}} {}", kind.as_str(), ended.load(Ordering::Relaxed));
        }
        let seconds = Duration::from_millis(self.duration_ms.load(Ordering::Relaxed)).as_secs_f64();
        out.push_str(
            "# HELP skylift_build_seconds_total Time spent in builds.\n# TYPE skylift_build_seconds_total counter\n",
        );
        let _ = writeln!(out, "skylift_build_seconds_total {seconds:.3}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_are_counted_by_result() {
        let metrics = BuildMetrics::default();
        metrics.count(BuildResult::Failed, Duration::from_millis(1500));
        let mut text = String::new();
        metrics.render(&mut text);
        assert!(text.contains("skylift_builds_total{result=\"failed\"} 1\n"), "{text}");
        assert!(text.contains("skylift_builds_total{result=\"built\"} 0\n"), "{text}");
        assert!(text.contains("skylift_build_seconds_total 1.500\n"), "{text}");
    }
}

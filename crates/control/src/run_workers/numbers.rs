//! What is seen of the queue of runs and of its workers, as Prometheus text.

use std::fmt::Write;
use std::sync::{Mutex, PoisonError};

/// What was seen last; nothing before anybody has looked.
#[derive(Debug, Default)]
pub struct WorkerNumbers(Mutex<Option<Numbers>>);

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Numbers {
    pub(super) visible: u64,
    pub(super) in_flight: u64,
    pub(super) in_service: u32,
    pub(super) starting: u32,
    pub(super) draining: u32,
    pub(super) per_worker_second: Option<f64>,
}

impl WorkerNumbers {
    pub(super) fn set(&self, numbers: Numbers) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(numbers);
    }

    /// Writes them.
    pub fn render(&self, out: &mut String) {
        let Some(seen) = *self.0.lock().unwrap_or_else(PoisonError::into_inner) else { return };
        gauge(out, "skylift_runs_visible", "ApproximateNumberOfMessagesVisible: runs that wait and may be taken now.");
        let _ = writeln!(out, "skylift_runs_visible {}", seen.visible);
        gauge(out, "skylift_runs_in_flight", "Runs of the queue that workers hold.");
        let _ = writeln!(out, "skylift_runs_in_flight {}", seen.in_flight);
        gauge(out, "skylift_workers", "Workers of runs, by state; in_service is InServiceInstances.");
        for (state, count) in
            [("in_service", seen.in_service), ("starting", seen.starting), ("draining", seen.draining)]
        {
            let _ = writeln!(out, "skylift_workers{{state=\"{state}\"}} {count}");
        }
        let help = "BacklogPerInstance: ApproximateNumberOfMessagesVisible / InServiceInstances.";
        gauge(out, "skylift_backlog_per_instance", help);
        let each = seen.visible as f64 / f64::from(seen.in_service.max(1));
        let _ = writeln!(out, "skylift_backlog_per_instance {each}");
        if let Some(pace) = seen.per_worker_second {
            let help = "Runs of the queue that ended in a second of a worker's, in the last minute.";
            gauge(out, "skylift_runs_per_worker_second", help);
            let _ = writeln!(out, "skylift_runs_per_worker_second {pace:.3}");
        }
    }
}

fn gauge(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_told_by_the_names_that_scaling_uses() {
        let numbers = WorkerNumbers::default();
        let mut text = String::new();
        numbers.render(&mut text);
        assert_eq!(text, "", "nobody has looked");
        let per_worker_second = Some(2.5);
        numbers.set(Numbers { visible: 15, in_flight: 4, in_service: 2, starting: 1, draining: 3, per_worker_second });
        numbers.render(&mut text);
        for line in [
            "skylift_runs_visible 15",
            "skylift_runs_in_flight 4",
            "skylift_workers{state=\"in_service\"} 2",
            "skylift_workers{state=\"starting\"} 1",
            "skylift_workers{state=\"draining\"} 3",
            "skylift_backlog_per_instance 7.5",
            "skylift_runs_per_worker_second 2.500",
        ] {
            assert!(text.contains(&format!("\n{line}\n")), "{line}\n{text}");
        }
    }
}

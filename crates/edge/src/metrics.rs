//! Counts of what the edge did, as Prometheus text.
//!
//! Counting takes no lock: whoever counts holds its own counters. The registry is only locked when an app comes or
//! goes, and to render. The number of series is bounded: apps beyond a limit share one label.

mod counters;
mod outcomes;
mod render;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use skylift_model::AppName;

use crate::access::AccessLog;

pub(crate) use counters::Counters;
use outcomes::Outcomes;

/// How many apps have a label of their own.
const APPS_MAX: usize = 1000;

/// The edge's metrics. Cheap to clone; all clones are the same counts.
#[derive(Clone, Default)]
pub struct Metrics(Arc<Registry>);

#[derive(Default)]
struct Registry {
    apps: Mutex<BTreeMap<AppName, Arc<Counters>>>,
    control_plane: Arc<Counters>,
    // Names of apps start with a letter, so these labels cannot be theirs.
    unknown: Arc<Counters>,
    other: Arc<Counters>,
    gauges: Gauges,
    access: OnceLock<AccessLog>,
    passed_on: PassedOn,
    sought: Sought,
}

/// Answers that were sought among those that are kept, by what was found.
struct Sought(Outcomes<6>);

impl Default for Sought {
    fn default() -> Self {
        Self(Outcomes::new(["hit", "stale", "confirmed", "collapsed", "miss", "bypass"]))
    }
}

/// Requests passed on to other hosts, by what came of them.
struct PassedOn(Outcomes<8>);

impl Default for PassedOn {
    fn default() -> Self {
        Self(Outcomes::new(["answered", "refused", "loop", "busy", "timeout", "too_large", "unreachable", "failed"]))
    }
}

/// Single numbers.
#[derive(Default)]
pub(crate) struct Gauges {
    pub(crate) connections: AtomicU64,
    pub(crate) connections_total: AtomicU64,
    pub(crate) malformed_total: AtomicU64,
    pub(crate) refused_total: AtomicU64,
    pub(crate) routes_stale: AtomicU64,
    pub(crate) lost_apps: AtomicU64,
    pub(crate) routed_apps: AtomicU64,
    pub(crate) cached_bytes: AtomicU64,
    pub(crate) file_reads_total: AtomicU64,
    pub(crate) kept_answers: AtomicU64,
    pub(crate) kept_bytes: AtomicU64,
    pub(crate) websockets: AtomicU64,
    pub(crate) websockets_total: AtomicU64,
}

impl Metrics {
    /// Appends everything in the Prometheus text format.
    pub fn render(&self, out: &mut String) {
        let apps = self.apps().clone();
        let named = apps.iter().map(|(name, counters)| (name.as_str(), &**counters));
        let shared = [("_control", &*self.0.control_plane), ("_unknown", &*self.0.unknown), ("_other", &*self.0.other)];
        let all: Vec<(&str, &Counters)> = named.chain(shared).collect();
        render::render(&all, &self.0.gauges, out);
        let name = "skylift_edge_passed_on_total";
        render::outcomes(name, "outcome", "Requests passed on to other hosts.", self.0.passed_on.0.read(), out);
        let name = "skylift_edge_cache_total";
        render::outcomes(name, "result", "Requests that kept answers were sought for.", self.0.sought.0.read(), out);
        let dropped = self.0.access.get().map_or(0, AccessLog::dropped);
        render::dropped_lines(dropped, out);
    }

    /// How many apps are served that the source of routes does not have although nobody removed them.
    pub fn lost_apps(&self) -> u64 {
        self.0.gauges.lost_apps.load(Ordering::Relaxed)
    }

    /// Counts the lines that this log drops, too.
    pub(crate) fn count_dropped(&self, access: AccessLog) {
        let _ = self.0.access.set(access);
    }

    /// Counts a request that was passed on, or should have been, by what came of it.
    pub(crate) fn passed_on(&self, outcome: &str) {
        self.0.passed_on.0.count(outcome);
    }

    /// Counts a request that a kept answer was sought for, by what was found.
    pub(crate) fn sought(&self, result: &str) {
        self.0.sought.0.count(result);
    }

    /// The counters of an app.
    pub(crate) fn app(&self, name: &AppName) -> Arc<Counters> {
        let mut apps = self.apps();
        match apps.get(name) {
            Some(counters) => counters.clone(),
            None if apps.len() >= APPS_MAX => self.0.other.clone(),
            None => apps.entry(name.clone()).or_default().clone(),
        }
    }

    /// Drops the counters of an app that is gone.
    pub(crate) fn forget(&self, name: &AppName) {
        self.apps().remove(name);
    }

    /// The counters of the control plane.
    pub(crate) fn control_plane(&self) -> Arc<Counters> {
        self.0.control_plane.clone()
    }

    /// The counters of requests that led nowhere.
    pub(crate) fn unknown(&self) -> Arc<Counters> {
        self.0.unknown.clone()
    }

    /// Counts a connection as open until the result is dropped.
    pub(crate) fn connection(&self) -> OpenConnection {
        Gauges::add(&self.0.gauges.connections_total, 1);
        Gauges::add(&self.0.gauges.connections, 1);
        OpenConnection(self.clone())
    }

    /// Counts a WebSocket as open until the result is dropped.
    pub(crate) fn websocket(&self) -> OpenWebsocket {
        Gauges::add(&self.0.gauges.websockets_total, 1);
        Gauges::add(&self.0.gauges.websockets, 1);
        OpenWebsocket(self.clone())
    }

    pub(crate) fn gauges(&self) -> &Gauges {
        &self.0.gauges
    }

    fn apps(&self) -> MutexGuard<'_, BTreeMap<AppName, Arc<Counters>>> {
        self.0.apps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One open connection.
pub(crate) struct OpenConnection(Metrics);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.gauges().connections.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One open WebSocket.
pub(crate) struct OpenWebsocket(Metrics);

impl Drop for OpenWebsocket {
    fn drop(&mut self) {
        self.0.gauges().websockets.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Gauges {
    pub(crate) fn set(gauge: &AtomicU64, value: u64) {
        gauge.store(value, Ordering::Relaxed);
    }

    pub(crate) fn add(gauge: &AtomicU64, by: u64) {
        gauge.fetch_add(by, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn apps_beyond_the_limit_share_one_label() {
        let metrics = Metrics::default();
        for number in 0..APPS_MAX + 50 {
            let name: AppName = format!("app-{number}").parse().unwrap();
            metrics.app(&name).count(200, 1, Duration::ZERO);
        }
        let mut text = String::new();
        metrics.render(&mut text);
        let series = text.lines().filter(|line| line.starts_with("skylift_edge_response_bytes_total{")).count();
        assert_eq!(series, APPS_MAX + 3);
        assert!(text.contains("skylift_edge_response_bytes_total{app=\"_other\"} 50\n"), "{text}");
    }

    #[test]
    fn buckets_are_cumulative_and_end_with_the_count() {
        let metrics = Metrics::default();
        let counters = metrics.app(&"shop".parse().unwrap());
        for millis in [0, 3, 3, 40, 60_000] {
            counters.count(if millis == 40 { 404 } else { 200 }, 10, Duration::from_millis(millis));
        }
        let mut text = String::new();
        metrics.render(&mut text);
        for line in [
            "skylift_edge_requests_total{app=\"shop\",status=\"2xx\"} 4",
            "skylift_edge_requests_total{app=\"shop\",status=\"4xx\"} 1",
            "skylift_edge_response_bytes_total{app=\"shop\"} 50",
            "skylift_edge_request_duration_seconds_bucket{app=\"shop\",le=\"0.0005\"} 1",
            "skylift_edge_request_duration_seconds_bucket{app=\"shop\",le=\"0.005\"} 3",
            "skylift_edge_request_duration_seconds_bucket{app=\"shop\",le=\"0.05\"} 4",
            "skylift_edge_request_duration_seconds_bucket{app=\"shop\",le=\"+Inf\"} 5",
            "skylift_edge_request_duration_seconds_count{app=\"shop\"} 5",
            "skylift_edge_request_duration_seconds_sum{app=\"shop\"} 60.046",
        ] {
            assert!(text.lines().any(|other| other == line), "{line} in\n{text}");
        }
    }
}

//! Counts as Prometheus text (exposition format 0.0.4).

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use super::Gauges;
use super::counters::{BUCKETS, Counters, Totals};

// Writing to a String cannot fail, so results of `write!` are dropped throughout.

pub(super) fn render(all: &[(&str, &Counters)], gauges: &Gauges, out: &mut String) {
    let all: Vec<(&str, Totals)> = all.iter().map(|(app, counters)| (*app, counters.totals())).collect();
    head(out, "skylift_edge_requests_total", "counter", "Requests answered, by app and class of status.");
    for (app, counters) in &all {
        for (class, count) in (1..).zip(counters.by_class) {
            let _ = writeln!(out, "skylift_edge_requests_total{{app=\"{app}\",status=\"{class}xx\"}} {count}");
        }
    }
    head(out, "skylift_edge_response_bytes_total", "counter", "Bytes of bodies sent, by app.");
    for (app, counters) in &all {
        let _ = writeln!(out, "skylift_edge_response_bytes_total{{app=\"{app}\"}} {}", counters.bytes);
    }
    let name = "skylift_edge_request_duration_seconds";
    head(out, name, "histogram", "Time from a request's head to the end of its answer, by app.");
    for (app, counters) in &all {
        histogram(out, name, app, counters);
    }
    single_numbers(gauges, out);
}

fn histogram(out: &mut String, name: &str, app: &str, counters: &Totals) {
    let mut total = 0;
    let labels = BUCKETS.iter().map(|(_, label)| *label).chain(["+Inf"]);
    for (label, count) in labels.zip(counters.by_duration) {
        total += count;
        let _ = writeln!(out, "{name}_bucket{{app=\"{app}\",le=\"{label}\"}} {total}");
    }
    let sum = counters.duration_us;
    let _ = writeln!(out, "{name}_sum{{app=\"{app}\"}} {}", seconds(sum));
    let _ = writeln!(out, "{name}_count{{app=\"{app}\"}} {total}");
}

fn single_numbers(gauges: &Gauges, out: &mut String) {
    for (name, kind, help, value) in [
        ("connections", "gauge", "Connections open at this moment.", &gauges.connections),
        ("connections_total", "counter", "Connections accepted.", &gauges.connections_total),
        ("websockets", "gauge", "WebSockets open at this moment.", &gauges.websockets),
        ("websockets_total", "counter", "WebSockets opened.", &gauges.websockets_total),
        ("malformed_requests_total", "counter", "Requests that were no HTTP.", &gauges.malformed_total),
        (
            "refused_connections_total",
            "counter",
            "Connections closed at once: their client had its share.",
            &gauges.refused_total,
        ),
        ("routed_apps", "gauge", "Apps in the route table.", &gauges.routed_apps),
        ("routes_stale", "gauge", "1 while routes could not be read or applied.", &gauges.routes_stale),
        (
            "lost_apps",
            "gauge",
            "Apps still served that are missing from the source of routes, and that nobody removed.",
            &gauges.lost_apps,
        ),
        ("cached_bytes", "gauge", "Bytes of small files in memory.", &gauges.cached_bytes),
        ("file_reads_total", "counter", "Small files read from disk.", &gauges.file_reads_total),
        ("cache_answers", "gauge", "Answers of other hosts that are kept.", &gauges.kept_answers),
        ("cache_bytes", "gauge", "Bytes of memory that they take.", &gauges.kept_bytes),
    ] {
        let name = format!("skylift_edge_{name}");
        head(out, &name, kind, help);
        let _ = writeln!(out, "{name} {}", get(value));
    }
}

pub(super) fn outcomes(
    name: &str,
    label: &str,
    help: &str,
    counts: impl Iterator<Item = (&'static str, u64)>,
    out: &mut String,
) {
    head(out, name, "counter", help);
    for (word, count) in counts {
        let _ = writeln!(out, "{name}{{{label}=\"{word}\"}} {count}");
    }
}

pub(super) fn dropped_lines(count: u64, out: &mut String) {
    let name = "skylift_edge_access_lines_dropped_total";
    head(out, name, "counter", "Access lines that the writer had no time for.");
    let _ = writeln!(out, "{name} {count}");
}

fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Microseconds as seconds, without the rounding of floating point.
fn seconds(micros: u64) -> String {
    let text = format!("{}.{:06}", micros / 1_000_000, micros % 1_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

//! Logs on standard error: readable on a terminal, JSON otherwise.

use std::io::IsTerminal;

use skylift_edge::{AccessLog, AccessStyle};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// Starts logging. `SKYLIFT_LOG` filters, as in `info,access=off`.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("SKYLIFT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_timer(Rfc3339);
    let _ = if std::io::stderr().is_terminal() {
        registry.with(lines.with_target(true)).try_init()
    } else {
        registry.with(lines.json().flatten_event(true)).try_init()
    };
}

/// Lines about requests, beside the others and under the same filter (target `access`), but not through the same
/// machinery: there are a hundred times as many.
pub(crate) fn access_log() -> AccessLog {
    if !tracing::enabled!(target: "access", tracing::Level::INFO) {
        return AccessLog::off();
    }
    let style = if std::io::stderr().is_terminal() { AccessStyle::Text } else { AccessStyle::Json };
    AccessLog::to(std::io::stderr(), style)
}

struct Rfc3339;

impl FormatTime for Rfc3339 {
    fn format_time(&self, w: &mut tracing_subscriber::fmt::format::Writer<'_>) -> std::fmt::Result {
        write!(w, "{}", crate::clock::system().now())
    }
}

//! Where a process that nobody connects to tells how it is, `[metrics]`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// The settings.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct MetricsSettings {
    /// The address for `/healthz`, `/readyz` and `/metrics` of a process without the roles that listen; left out, it has
    /// none. Those that listen tell them there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) listen: Option<SocketAddr>,
}

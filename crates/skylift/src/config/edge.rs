//! How sites are served, `[edge]`.

use std::time::Duration;

use http::HeaderName;
use serde::{Deserialize, Serialize};
use skylift_edge::{CacheConfig, EdgeConfig, InvalidNetwork, Network, Rate, Rates};

use super::proxy::ProxySettings;

/// The edge's settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct EdgeSettings {
    /// Where an edge that is not itself the API finds it, `HOST:PORT`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api: Option<String>,
    /// Where code is taken in, if not where the API is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) upload: Option<String>,
    /// Where models are asked, for an edge that is not the AI node itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) ai: Option<String>,
    /// How many threads serve; 0 is one for each core.
    threads: usize,
    /// How many bytes of files may stay in memory.
    cache_bytes: u64,
    /// Connections at one time; more wait.
    connections_max: usize,
    /// Connections of one client address at one time; more are closed.
    connections_per_client_max: usize,
    /// How long a request's head may take, and a new connection may say nothing.
    head_seconds: u32,
    /// How long a connection may be idle between requests.
    idle_seconds: u32,
    /// How long a client may send nothing of the rest of a body that it owes.
    body_seconds: u32,
    /// How long a client may take nothing of what is sent to it.
    write_seconds: u32,
    /// Without a byte of a WebSocket, either way.
    stream_seconds: u32,
    /// How long the hashed files of a replaced deployment answer where the new one lacks them; 0: not.
    skew_seconds: u32,
    /// Proxies in front of the edge, whose `X-Forwarded-For` is believed.
    trusted_proxies: Vec<String>,
    /// The header in which such a proxy names the client's country.
    #[serde(skip_serializing_if = "Option::is_none")]
    country_header: Option<String>,
    /// Requests of one client address to sites.
    client_rate: RateSettings,
    /// Requests to one app's sites.
    app_rate: RateSettings,
    /// Other hosts that sites pass requests on to.
    proxy: ProxySettings,
    /// How much of their answers may be kept.
    cache: CacheSettings,
}

/// Kept answers of other hosts, `[edge.cache]`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct CacheSettings {
    /// Bytes of memory for all of them; 0 keeps none.
    bytes: u64,
    /// Bytes of one answer's body.
    answer_bytes_max: u64,
}

impl Default for CacheSettings {
    fn default() -> Self {
        let CacheConfig { bytes, answer_bytes_max } = CacheConfig::default();
        Self { bytes, answer_bytes_max }
    }
}

/// A token bucket; off while both are 0.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct RateSettings {
    per_second: u32,
    burst: u32,
}

impl Default for EdgeSettings {
    fn default() -> Self {
        Self {
            api: None,
            upload: None,
            ai: None,
            threads: 0,
            cache_bytes: 64 << 20,
            connections_max: 8192,
            connections_per_client_max: 1024,
            head_seconds: 10,
            idle_seconds: 60,
            body_seconds: 30,
            write_seconds: 30,
            stream_seconds: 600,
            skew_seconds: 24 * 60 * 60,
            trusted_proxies: Vec::new(),
            country_header: None,
            client_rate: RateSettings::default(),
            app_rate: RateSettings::default(),
            proxy: ProxySettings::default(),
            cache: CacheSettings::default(),
        }
    }
}

impl EdgeSettings {
    /// Everything that is wrong.
    pub(crate) fn mistakes(&self) -> Vec<String> {
        let mut mistakes = Vec::new();
        for proxy in &self.trusted_proxies {
            if let Err(error) = proxy.parse::<Network>() {
                mistakes.push(format!("[edge] trusted_proxies: “{proxy}” is {error}"));
            }
        }
        for (name, place) in [("api", &self.api), ("upload", &self.upload), ("ai", &self.ai)] {
            if place.as_deref().is_some_and(|place| !is_place(place)) {
                mistakes.push(format!("[edge] {name}: not a HOST:PORT such as 10.0.0.2:8080"));
            }
        }
        if self.country_header.as_ref().is_some_and(|name| HeaderName::from_bytes(name.as_bytes()).is_err()) {
            mistakes.push("[edge] country_header: not the name of a header".to_owned());
        }
        mistakes.extend(self.proxy.mistakes());
        for (name, rate) in [("client_rate", self.client_rate), ("app_rate", self.app_rate)] {
            if (rate.per_second == 0) != (rate.burst == 0) {
                mistakes.push(format!("[edge] {name}: set both per_second and burst, or neither"));
            }
        }
        let at_least_one = [
            ("connections_max", self.connections_max == 0),
            ("connections_per_client_max", self.connections_per_client_max == 0),
            ("head_seconds", self.head_seconds == 0),
            ("idle_seconds", self.idle_seconds == 0),
            ("body_seconds", self.body_seconds == 0),
            ("write_seconds", self.write_seconds == 0),
            ("stream_seconds", self.stream_seconds == 0),
        ];
        for (name, is_zero) in at_least_one {
            if is_zero {
                mistakes.push(format!("[edge] {name}: must be at least 1"));
            }
        }
        mistakes
    }

    /// Puts the settings, which have no mistakes, into the edge's own.
    pub(crate) fn apply(&self, config: &mut EdgeConfig) {
        config.threads = self.threads;
        config.cache_bytes = self.cache_bytes;
        let parsed: Result<Vec<Network>, InvalidNetwork> = self.trusted_proxies.iter().map(|one| one.parse()).collect();
        config.trusted_proxies = parsed.unwrap_or_default();
        let country_header = self.country_header.as_ref().and_then(|name| HeaderName::from_bytes(name.as_bytes()).ok());
        config.country_header = country_header;
        config.proxy = self.proxy.config();
        config.cache = CacheConfig { bytes: self.cache.bytes, answer_bytes_max: self.cache.answer_bytes_max };
        config.rates = Rates { client: self.client_rate.rate(), app: self.app_rate.rate() };
        let seconds = |seconds: u32| Duration::from_secs(seconds.into());
        config.skew_window = seconds(self.skew_seconds);
        let limits = &mut config.limits;
        limits.connections_max = self.connections_max;
        limits.connections_per_client_max = self.connections_per_client_max;
        limits.head_timeout = seconds(self.head_seconds);
        limits.idle_timeout = seconds(self.idle_seconds);
        limits.body_timeout = seconds(self.body_seconds);
        limits.write_timeout = seconds(self.write_seconds);
        limits.stream_timeout = seconds(self.stream_seconds);
    }
}

/// Whether a text is a host and a port, and nothing else.
fn is_place(text: &str) -> bool {
    let Ok(authority) = text.parse::<http::uri::Authority>() else { return false };
    authority.port_u16().is_some() && !text.contains('@')
}

impl RateSettings {
    fn rate(self) -> Option<Rate> {
        (self.per_second > 0).then_some(Rate { per_second: self.per_second, burst: self.burst })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_is_told() {
        let settings: EdgeSettings = toml::from_str(
            "trusted_proxies = ['10.0.0.0/8', '10.0.0.0/99']\napi = 'x'\nupload = '10.0.0.1:80'\nhead_seconds = 0\napp_rate = { per_second = 5 }",
        )
        .unwrap();
        let mistakes = settings.mistakes().join("\n");
        for part in ["10.0.0.0/99", "app_rate", "head_seconds", "[edge] api"] {
            assert!(mistakes.contains(part), "{mistakes}");
        }
        assert_eq!(settings.mistakes().len(), 4, "{mistakes}");
    }

    #[test]
    fn the_defaults_limit_no_rates() {
        let mut config = EdgeConfig::new(([127, 0, 0, 1], 0).into(), "localhost", "routes".into());
        EdgeSettings::default().apply(&mut config);
        assert_eq!(config.rates, Rates::default());
        assert!(EdgeSettings::default().mistakes().is_empty());
    }
}

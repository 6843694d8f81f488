//! The platform's settings: `config.toml`, every default in one place, every mistake told at once.

mod ai;
mod callbacks;
mod database;
mod docker;
mod edge;
mod form;
mod instances;
mod judge0;
mod metrics;
mod proxy;
mod runs;
mod services;
mod store;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};
use skylift_blob::S3Settings;
use skylift_build::settings::BuildSettings;
use skylift_bus::BusSettings;
use skylift_model::instance_type::{InstanceType, InstanceTypes};
use skylift_model::service::Services;

use ai::AiSettings;
use callbacks::CallbackSettings;
use database::DatabaseSettings;
use docker::DockerSettings;
use edge::EdgeSettings;
use instances::InstanceSettings;
use judge0::Judge0Settings;
use metrics::MetricsSettings;
pub(crate) use runs::QueueKind;
use runs::RunSettings;
use services::ServiceSettings;
pub(crate) use store::StoreSettings;

/// The file in the data folder that is read where no other is named.
pub(crate) const FILE_NAME: &str = "config.toml";

/// Everything an owner can set.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Config {
    /// The address to listen on.
    pub(crate) listen: SocketAddr,
    /// The name that apps get theirs below.
    pub(crate) domain: String,
    /// The address people use, where it is not `http://DOMAIN:PORT`, such as `https://example.org`.
    pub(crate) public_url: Option<String>,
    /// The file with the master key, where it is not the one in the data folder: processes that share stores share the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) master_key_file: Option<PathBuf>,
    pub(crate) blob: BlobSettings,
    pub(crate) bus: BusSettings,
    pub(crate) store: StoreSettings,
    pub(crate) keep: KeepSettings,
    pub(crate) upload: UploadSettings,
    pub(crate) build: BuildSettings,
    pub(crate) instances: InstanceSettings,
    pub(crate) docker: DockerSettings,
    pub(crate) runs: RunSettings,
    pub(crate) ai: AiSettings,
    pub(crate) callbacks: CallbackSettings,
    pub(crate) judge0: Judge0Settings,
    pub(crate) database: DatabaseSettings,
    pub(crate) edge: EdgeSettings,
    pub(crate) metrics: MetricsSettings,
    /// What apps may link, `[[service]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    service: Vec<ServiceSettings>,
    /// How much instances may use, by name, `[[instance_type]]`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    instance_type: Vec<InstanceType>,
}

/// Where bytes are, `[blob]`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct BlobSettings {
    /// An S3-compatible object store, `[blob.s3]`; left out, the data folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) s3: Option<S3Settings>,
}

/// What is kept, `[keep]`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct KeepSettings {
    /// How many deployments that were live are kept for each app, for rolling back.
    pub(crate) deployments: u32,
    /// How many bytes files may take before older deployments go.
    pub(crate) bytes: u64,
    /// How long a file that nothing names stays, in seconds.
    pub(crate) unnamed_seconds: u64,
    /// How often clean-up runs, in seconds.
    pub(crate) every_seconds: u64,
    /// What uploads and builds must leave free on the disk, in bytes.
    pub(crate) reserve_bytes: u64,
}

/// How much may be sent, `[upload]`.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct UploadSettings {
    /// All files of one source together, in bytes.
    pub(crate) source_bytes_max: u64,
    /// One file, in bytes.
    pub(crate) file_bytes_max: u64,
    /// An archive as it is sent, in bytes.
    pub(crate) archive_bytes_max: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            domain: "localhost".to_owned(),
            public_url: None,
            master_key_file: None,
            blob: BlobSettings::default(),
            bus: BusSettings::default(),
            store: StoreSettings::default(),
            keep: KeepSettings::default(),
            upload: UploadSettings::default(),
            build: BuildSettings::default(),
            instances: InstanceSettings::default(),
            docker: DockerSettings::default(),
            runs: RunSettings::default(),
            ai: AiSettings::default(),
            callbacks: CallbackSettings::default(),
            judge0: Judge0Settings::default(),
            database: DatabaseSettings::default(),
            edge: EdgeSettings::default(),
            metrics: MetricsSettings::default(),
            service: Vec::new(),
            instance_type: Vec::new(),
        }
    }
}

impl Default for KeepSettings {
    fn default() -> Self {
        Self { deployments: 10, bytes: 20 << 30, unnamed_seconds: 3600, every_seconds: 600, reserve_bytes: 256 << 20 }
    }
}

impl Default for UploadSettings {
    fn default() -> Self {
        Self { source_bytes_max: 1 << 30, file_bytes_max: 512 << 20, archive_bytes_max: 512 << 20 }
    }
}

impl Config {
    /// Reads the named file, or the one in the data folder where there is one.
    pub(crate) fn load(named: Option<&Path>, data: &Path) -> anyhow::Result<Self> {
        let path = named.map_or_else(|| data.join(FILE_NAME), Path::to_owned);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && named.is_none() => String::new(),
            Err(error) => return Err(error).with_context(|| format!("read {}", path.display())),
        };
        let mut config: Self = form::read(&text)
            .map_err(|mistakes| {
                anyhow::anyhow!(mistakes.join(
                    "
"
                ))
            })
            .with_context(|| format!("{} has mistakes", path.display()))?;
        let variable = |name: &str| std::env::var(name).ok();
        config.blob.s3 = config.blob.s3.map(|s3| s3.with_environment(variable));
        config.bus = config.bus.with_environment(variable);
        config.store = config.store.with_environment(variable);
        config.database = config.database.with_environment(variable);
        config.ai = config.ai.with_environment(variable);
        config.runs = config.runs.with_environment(variable);
        if let Some(file) = variable("SKYLIFT_MASTER_KEY_FILE") {
            config.master_key_file = Some(file.into());
        }
        config.check().with_context(|| format!("{} has mistakes", path.display()))?;
        Ok(config)
    }

    /// Every mistake at once.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        let mut mistakes = self.build.mistakes();
        mistakes.extend(self.blob.s3.iter().flat_map(S3Settings::mistakes));
        mistakes.extend(self.bus.mistakes());
        mistakes.extend(self.store.mistakes());
        mistakes.extend(self.instances.mistakes());
        mistakes.extend(instances::type_mistakes(&self.instance_type));
        mistakes.extend(self.docker.mistakes());
        mistakes.extend(self.runs.mistakes(self.bus.is_shared()));
        mistakes.extend(self.ai.mistakes());
        mistakes.extend(self.callbacks.mistakes());
        mistakes.extend(self.judge0.mistakes());
        mistakes.extend(self.database.mistakes());
        mistakes.extend(services::mistakes(&self.service));
        mistakes.extend(self.edge.mistakes());
        if self.public_url.as_deref().is_some_and(|url| split_url(url).is_none()) {
            mistakes.push("public_url: not an address such as https://example.org".to_owned());
        }
        if self.keep.deployments == 0 {
            mistakes.push("[keep] deployments: at least 1 is needed to roll back to".to_owned());
        }
        if self.upload.file_bytes_max > self.upload.source_bytes_max {
            mistakes.push("[upload] file_bytes_max: larger than source_bytes_max".to_owned());
        }
        if mistakes.is_empty() { Ok(()) } else { bail!(mistakes.join("\n")) }
    }

    /// What apps may link.
    pub(crate) fn services(&self) -> Services {
        services::services(&self.service)
    }

    /// How much instances may use, by name.
    pub(crate) fn instance_types(&self) -> InstanceTypes {
        self.instances.types(&self.instance_type)
    }

    /// Why these settings do not allow a process that has not all roles: it must meet the others in stores they share.
    pub(crate) fn check_shared(&self) -> anyhow::Result<()> {
        let needed = [
            ("[store] url", self.store.url().is_some()),
            ("[blob.s3]", self.blob.s3.is_some()),
            ("[bus] url", self.bus.is_shared()),
        ];
        let missing: Vec<&str> = needed.iter().filter(|(_, is_there)| !is_there).map(|(name, _)| *name).collect();
        if missing.is_empty() {
            return Ok(());
        }
        bail!(
            "a process with some of the roles meets the others in stores that they share, and the settings lack {}; \
             a data folder alone is for one process with all roles, `skylift up`",
            missing.join(", ")
        )
    }

    /// Where people reach the platform, for addresses we print.
    pub(crate) fn urls(&self, listening: SocketAddr) -> skylift_api::Urls {
        if let Some((scheme, domain, port)) = self.public_url.as_deref().and_then(split_url) {
            return skylift_api::Urls { scheme, domain, port };
        }
        let port = Some(listening.port()).filter(|port| *port != 80);
        skylift_api::Urls { scheme: "http".to_owned(), domain: self.domain.clone(), port }
    }

    /// The settings as TOML.
    pub(crate) fn render(&self) -> anyhow::Result<String> {
        toml::to_string_pretty(self).context("write the settings")
    }
}

/// Scheme, host and port of an address without a path.
fn split_url(url: &str) -> Option<(String, String, Option<u16>)> {
    let (scheme, rest) = url.trim_end_matches('/').split_once("://")?;
    if !matches!(scheme, "http" | "https") || rest.is_empty() || rest.contains(['/', '@', '?', '#']) {
        return None;
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (rest, None),
    };
    Some((scheme.to_owned(), host.to_owned(), port))
}

/// The data folder: as named, else the default one.
pub(crate) fn data_folder(named: Option<&Path>) -> anyhow::Result<PathBuf> {
    let folder = named.map(Path::to_owned).or_else(crate::data_dir::default_data_dir);
    folder.context("no home folder is known; name the data folder with --data")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_and_every_mistake_are_told() {
        let unknown = toml::from_str::<Config>("[build]\nmemroy_bytes = 1").unwrap_err().to_string();
        assert!(unknown.contains("unknown field `memroy_bytes`"), "{unknown}");
        let config: Config = toml::from_str("public_url = 'x'\n[keep]\ndeployments = 0").unwrap();
        let mistakes = config.check().unwrap_err().to_string();
        assert!(mistakes.contains("public_url") && mistakes.contains("[keep] deployments"), "{mistakes}");
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        let text = Config::default().render().unwrap();
        toml::from_str::<Config>(&text).unwrap().check().unwrap();
    }

    #[test]
    fn printed_addresses_follow_the_public_one() {
        let config = Config { public_url: Some("https://example.org".to_owned()), ..Config::default() };
        assert_eq!(config.urls(config.listen).app(&"shop".parse().unwrap()), "https://shop.example.org");
        assert_eq!(Config::default().urls(config.listen).platform(), "http://localhost:8080");
    }
}

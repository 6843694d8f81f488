//! How package managers are set up inside builds: registry, index, certificates.
//!
//! By default as on this node: what its own clients are configured with, by an allow-list of settings. Credentials are
//! never among them, and an address that carries some loses them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use skylift_sandbox::{Mount, Source};

use crate::cell::PROXY_PORT;
use crate::settings::ClientSettings;

/// Where a certificate file outside /etc/ssl is seen inside.
const CA_INSIDE: &str = "/run/ca.pem";

/// What every build gets of it.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Variables.
    pub env: BTreeMap<String, String>,
    ca_outside: Option<PathBuf>,
}

/// Variables by which tools are told which certificates to trust.
const CA_VARIABLES: &[&str] = &[
    "NODE_EXTRA_CA_CERTS",
    "SSL_CERT_FILE",
    "CURL_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "REQUESTS_CA_BUNDLE",
    "PIP_CERT",
    "CARGO_HTTP_CAINFO",
    "npm_config_cafile",
];

impl Client {
    /// From the settings, and from this node's own clients where they say nothing. Runs npm and pip once each.
    pub fn discover(settings: &ClientSettings) -> Self {
        let mut env = BTreeMap::new();
        let index = settings.pip_index_url.clone().or_else(|| from_env("PIP_INDEX_URL"));
        let (mut npm, index) = std::thread::scope(|scope| {
            let index = scope.spawn(|| index.or_else(pip_index));
            (npm_settings(), index.join().ok().flatten())
        });
        let its_registry = npm.remove("registry");
        let npm_registry = settings.npm_registry.clone().or(its_registry);
        if let Some(registry) = npm_registry.and_then(|address| without_credentials(&address)) {
            env.insert("npm_config_registry".to_owned(), registry.clone());
            env.insert("YARN_NPM_REGISTRY_SERVER".to_owned(), registry.clone());
            env.insert("COREPACK_NPM_REGISTRY".to_owned(), registry.trim_end_matches('/').to_owned());
            env.insert("BUN_CONFIG_REGISTRY".to_owned(), registry);
        }
        env.extend(npm.into_iter().map(|(option, value)| (format!("npm_config_{}", option.replace('-', "_")), value)));
        if let Some(index) = index.and_then(|address| without_credentials(&address)) {
            env.insert("PIP_INDEX_URL".to_owned(), index);
        }
        let ca = settings.ca_file.clone().or_else(|| from_env("NODE_EXTRA_CA_CERTS").map(PathBuf::from));
        let ca = ca.or_else(|| from_env("SSL_CERT_FILE").map(PathBuf::from)).filter(|path| path.is_file());
        let ca_outside = ca.clone().filter(|path| !path.starts_with("/etc/ssl") && !path.starts_with("/usr"));
        if let Some(path) = ca {
            let inside = if ca_outside.is_some() { CA_INSIDE.to_owned() } else { path.display().to_string() };
            env.extend(CA_VARIABLES.iter().map(|name| ((*name).to_owned(), inside.clone())));
        }
        env.extend(proxy());
        env.extend(settings.env.clone());
        Self { env, ca_outside }
    }

    /// What must be seen inside for the variables to hold.
    pub fn mounts(&self) -> Vec<Mount> {
        let mount = |from: &PathBuf| Mount::ReadOnly { from: Source::Path(from.clone()), to: CA_INSIDE.into() };
        self.ca_outside.iter().map(mount).collect()
    }
}

/// Proxy variables in the spellings that tools look for.
fn proxy() -> impl Iterator<Item = (String, String)> {
    let address = format!("http://127.0.0.1:{PROXY_PORT}");
    let to_proxy = [
        "http_proxy",
        "https_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "npm_config_proxy",
        "npm_config_https_proxy",
        "YARN_HTTP_PROXY",
        "YARN_HTTPS_PROXY",
        "CARGO_HTTP_PROXY",
    ];
    let around = ["no_proxy", "NO_PROXY"];
    let to_proxy = to_proxy.into_iter().map(move |name| (name.to_owned(), address.clone()));
    to_proxy.chain(around.into_iter().map(|name| (name.to_owned(), "localhost,127.0.0.1,::1".to_owned())))
}

fn from_env(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// What is asked of npm: all at once, since each start of it takes a good part of a second.
const NPM_OPTIONS: [&str; 3] = ["registry", "replace-registry-host", "omit-lockfile-registry-resolved"];

/// The settings of this node's npm that are allowed in.
fn npm_settings() -> BTreeMap<String, String> {
    let answer = ask("npm", &[&["config", "get"], &NPM_OPTIONS[..]].concat());
    answer.map(|answer| read_npm_settings(&answer)).unwrap_or_default()
}

/// Reads `name=value` lines; those that npm has no value for are left out.
fn read_npm_settings(answer: &str) -> BTreeMap<String, String> {
    let pairs = answer.lines().filter_map(|line| line.split_once('='));
    let pairs = pairs.map(|(name, value)| (name.trim(), value.trim()));
    let is_set = |value: &str| !matches!(value, "" | "undefined" | "null" | "false");
    let allowed = pairs.filter(|(name, value)| NPM_OPTIONS.contains(name) && is_set(value));
    allowed.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn pip_index() -> Option<String> {
    ask("pip3", &["config", "get", "global.index-url"]).filter(|index| !index.contains('\n'))
}

/// What a program of this node says on its output, where it ends well and says anything.
pub(crate) fn ask(program: &str, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new(program);
    let answer = skylift_sandbox::tie(command.args(arguments).current_dir("/")).output().ok()?;
    let text = String::from_utf8(answer.stdout).ok()?;
    let text = text.trim();
    (answer.status.success() && !text.is_empty()).then(|| text.to_owned())
}

/// An address without the user and password in it; `None` for what is no address.
fn without_credentials(address: &str) -> Option<String> {
    let (scheme, rest) = address.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"))?;
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    Some(format!("{scheme}://{host}{path}"))
}

/// Where this node's Node.js lies, if it has one: the folder above `bin`.
pub fn node_prefix() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let node = std::env::split_paths(&path).map(|folder| folder.join("node")).find(|node| node.is_file())?;
    let node = node.canonicalize().ok()?;
    node.parent()?.parent().map(Path::to_owned)
}

/// The version of this node's Node.js, such as `20.20.2`.
pub fn node_version() -> Option<String> {
    let version = ask("node", &["--version"])?;
    Some(version.trim_start_matches('v').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_credentials() {
        for (address, plain) in [
            ("https://npm.example/", Some("https://npm.example/")),
            ("https://user:secret@npm.example/simple/", Some("https://npm.example/simple/")),
            ("https://a@b@npm.example", Some("https://npm.example")),
            ("ssh://npm.example", None),
            ("nonsense", None),
        ] {
            assert_eq!(without_credentials(address).as_deref(), plain, "{address}");
        }
    }

    #[test]
    fn what_npm_says_is_read_and_nothing_else_let_in() {
        let answer = "registry=https://npm.example/\nreplace-registry-host=npmjs\nomit-lockfile-registry-resolved=false\n_auth=x";
        let read = read_npm_settings(answer);
        let expected = [("registry", "https://npm.example/"), ("replace-registry-host", "npmjs")];
        assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert!(read_npm_settings("registry=undefined\nnonsense").is_empty());
    }

    #[test]
    fn settings_win_and_no_credential_gets_in() {
        let settings = ClientSettings {
            npm_registry: Some("https://me:hunter2@npm.example/".to_owned()),
            env: BTreeMap::from([("EXTRA".to_owned(), "1".to_owned())]),
            ..ClientSettings::default()
        };
        let client = Client::discover(&settings);
        assert_eq!(client.env["npm_config_registry"], "https://npm.example/");
        assert_eq!(client.env["EXTRA"], "1");
        assert!(!client.env.values().any(|value| value.contains("hunter2")));
    }
}

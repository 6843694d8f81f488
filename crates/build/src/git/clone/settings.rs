//! What Git is told on every call: environment, settings and files. None of it comes from the machine or the
//! repository.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use skylift_model::git::ISOLATION;

use super::CloneSpec;

/// Of the sandbox's environment, what reaches Git: the way out, and the certificates to trust.
const PASSED: &[&str] =
    &["PATH", "http_proxy", "https_proxy", "GIT_SSL_CAINFO", "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"];

/// A transfer slower than this, for as long as the settings allow, is given up.
const SLOWEST_BYTES_PER_SECOND: u32 = 1000;

/// Settings for every clone.
const SETTINGS: &[(&str, &str)] = &[
    ("core.hooksPath", "/dev/null"),
    ("core.attributesFile", "/dev/null"),
    ("core.fsmonitor", "false"),
    ("core.symlinks", "true"),
    ("core.autocrlf", "false"),
    ("core.protectHFS", "true"),
    ("core.protectNTFS", "true"),
    ("transfer.fsckObjects", "true"),
    // Harmless flaws that old and respected repositories have.
    ("fetch.fsck.badTimezone", "ignore"),
    ("fetch.fsck.missingSpaceBeforeDate", "ignore"),
    ("fetch.fsck.zeroPaddedFilemode", "ignore"),
    ("submodule.recurse", "false"),
    ("fetch.recurseSubmodules", "false"),
    ("protocol.version", "2"),
    ("gc.auto", "0"),
    ("maintenance.auto", "false"),
    ("advice.detachedHead", "false"),
    ("i18n.logOutputEncoding", "UTF-8"),
    ("credential.helper", ""),
    // Everything comes as one pack, which stays packed: its objects cannot fill the disk before they were looked at.
    ("fetch.unpackLimit", "1"),
    ("ssh.variant", "ssh"),
];

/// The whole environment of Git.
pub(super) fn environment(
    spec: &CloneSpec,
    outer: impl IntoIterator<Item = (String, String)>,
) -> BTreeMap<String, String> {
    let mut env: BTreeMap<String, String> =
        outer.into_iter().filter(|(name, _)| PASSED.contains(&name.as_str())).collect();
    let global = format!("{}/gitconfig", spec.home);
    for (name, value) in [
        ("HOME", spec.home.as_str()),
        ("LC_ALL", "C"),
        ("GIT_CONFIG_GLOBAL", &global),
        ("SSH_ASKPASS", "/bin/true"),
        ("GIT_PROTOCOL_FROM_USER", "0"),
        ("GIT_ALLOW_PROTOCOL", &spec.protocol),
        ("GIT_NO_LAZY_FETCH", "1"),
        ("GIT_LFS_SKIP_SMUDGE", "1"),
    ]
    .iter()
    .chain(ISOLATION)
    {
        env.insert((*name).to_owned(), (*value).to_owned());
    }
    // By environment rather than by argument: one of them may be a secret.
    let settings = settings(spec);
    env.insert("GIT_CONFIG_COUNT".to_owned(), settings.len().to_string());
    for (at, (key, value)) in settings.into_iter().enumerate() {
        env.insert(format!("GIT_CONFIG_KEY_{at}"), key);
        env.insert(format!("GIT_CONFIG_VALUE_{at}"), value);
    }
    env
}

fn settings(spec: &CloneSpec) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> =
        SETTINGS.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
    let mut set = |key: &str, value: String| settings.push((key.to_owned(), value));
    // After a redirect Git sends its headers to the new host, so that a token would go wherever a server points.
    let redirects = if spec.token.is_some() { "false" } else { "initial" };
    set("http.followRedirects", redirects.to_owned());
    set("http.lowSpeedLimit", SLOWEST_BYTES_PER_SECOND.to_string());
    set("http.lowSpeedTime", spec.stall_seconds.to_string());
    // ssh takes the home of the system's list of users for its own, whatever HOME says.
    set("core.sshCommand", format!("ssh -F {}/ssh_config", spec.home));
    if let Some(token) = &spec.token {
        // Servers take a token as the password of any user.
        let pair = if token.contains(':') { token.clone() } else { format!("git:{token}") };
        let basic = BASE64_STANDARD.encode(pair);
        set(&format!("http.{}/.extraHeader", spec.origin), format!("Authorization: Basic {basic}"));
    }
    settings
}

/// Writes the files that the settings name, for this user alone.
pub(super) fn write_files(spec: &CloneSpec) -> io::Result<()> {
    // It stands in `core.sshCommand`, which Git gives to a shell.
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"/._-".contains(&b);
    if !spec.home.starts_with('/') || !spec.home.bytes().all(plain) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the home's path has odd characters"));
    }
    let home = Path::new(&spec.home);
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    // Git takes repositories of other users only where it is told to. The part of it that reads a folder of this
    // machine is told by a file alone: settings of the environment are dropped on the way there.
    let safe = if spec.protocol == "file" { "[safe]\n\tdirectory = *\n" } else { "" };
    write(&home.join("gitconfig"), safe)?;
    write(&home.join("ssh_config"), &ssh_config(spec))?;
    match &spec.deploy_key {
        Some(key) => write(&home.join("key"), &format!("{}\n", key.trim())),
        None => Ok(()),
    }
}

fn ssh_config(spec: &CloneSpec) -> String {
    let home = &spec.home;
    let strict = if spec.hosts_are_known { "yes" } else { "accept-new" };
    let key = if spec.deploy_key.is_some() { format!("{home}/key") } else { "none".to_owned() };
    format!(
        "Host *\n\
         IdentityFile {key}\n\
         IdentitiesOnly yes\n\
         IdentityAgent none\n\
         BatchMode yes\n\
         PreferredAuthentications publickey\n\
         StrictHostKeyChecking {strict}\n\
         UserKnownHostsFile /run/known_hosts {home}/known_hosts\n\
         GlobalKnownHostsFile /dev/null\n\
         UpdateHostKeys no\n\
         ClearAllForwardings yes\n\
         ProxyCommand none\n\
         ConnectTimeout 20\n\
         ServerAliveInterval 15\n\
         ServerAliveCountMax 2\n"
    )
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    let mut options = std::fs::File::options();
    options.write(true).create(true).truncate(true).mode(0o600).open(path)?.write_all(text.as_bytes())
}

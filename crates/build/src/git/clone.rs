//! The clone, inside the sandbox: `sandbox-clone` reads what to clone from standard input and writes frames.
//!
//! Git runs without the machine's configuration, hooks, filters, submodules or prompts; only the address's own
//! protocol is allowed, objects are checked as they come, and nothing of the repository is run.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use skylift_model::source::Commit;

use super::trouble::explain;
use crate::frames::{FrameWriter, IntakeLimits, Refusal, RefusalCode};
use crate::walk::{WalkRules, walk_into};

/// How much of Git's own words is kept to find out what went wrong.
const WORDS_BYTES_MAX: u64 = 64 << 10;
/// A transfer slower than this many bytes a second for [`SLOW_SECONDS`] is given up.
const SLOW_BYTES: u32 = 1000;
const SLOW_SECONDS: u32 = 30;

/// What to clone. Travels on standard input: secrets in arguments could be read by others.
#[derive(Serialize, Deserialize)]
pub struct CloneSpec {
    /// The checked address.
    pub url: String,
    /// The protocol it uses, the only one that Git may.
    pub protocol: String,
    /// Scheme and host, to which the token is sent and to nobody else.
    pub origin: String,
    /// The checked branch, tag or commit; the remote's default where none is given.
    pub reference: Option<String>,
    /// A token for https.
    pub token: Option<String>,
    /// A private key for ssh.
    pub deploy_key: Option<String>,
    /// Whether the host must be among the known ones.
    pub hosts_are_known: bool,
    /// The folder to clone into; it must be empty.
    pub folder: String,
    /// What the files may hold.
    pub limits: IntakeLimits,
}

/// Clones and writes the files as frames, the commit as their note. An error means that `out` could not be written.
pub fn clone_main(mut input: impl Read, out: impl Write) -> io::Result<()> {
    let mut frames = FrameWriter::new(BufWriter::with_capacity(64 << 10, out))?;
    let mut bytes = Vec::new();
    input.by_ref().take(1 << 20).read_to_end(&mut bytes)?;
    let Ok(spec) = serde_json::from_slice::<CloneSpec>(&bytes) else {
        return frames.fail(&Refusal::new(RefusalCode::Sandbox, "the clone was not told what to clone", ""));
    };
    let commit = match spec.fetch() {
        Ok(commit) => commit,
        Err(refusal) => return frames.fail(&refusal),
    };
    frames.note(&serde_json::to_vec(&commit)?)?;
    walk_into(Path::new(&spec.folder), frames, &WalkRules::source(spec.limits))
}

impl CloneSpec {
    fn fetch(&self) -> Result<Commit, Refusal> {
        self.prepare_ssh().map_err(|error| unable(&error))?;
        self.git(&["init", "--quiet", "--template=", "--initial-branch=main", &self.folder])?;
        let wanted = self.reference.as_deref().unwrap_or("HEAD");
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
        let into = format!("+{wanted}:refs/skylift/wanted");
        let shallow = [&fetch[..], &["--depth=1", "--", &self.url, &into]].concat();
        if let Err(refusal) = self.git(&shallow) {
            // Plain-file servers know no depth, some servers no commits by hash: then everything is fetched.
            if !matches!(refusal.code, RefusalCode::GitFailed | RefusalCode::GitRef) {
                return Err(refusal);
            }
            self.fetch_whole(wanted, &fetch, refusal)?;
        }
        self.git(&["checkout", "--quiet", "--force", "--detach", "refs/skylift/wanted"])?;
        self.read_commit()
    }

    /// Everything of the remote, from which the wanted commit or name is taken.
    fn fetch_whole(&self, wanted: &str, fetch: &[&str], first: Refusal) -> Result<(), Refusal> {
        let whole =
            [fetch, &["--", &self.url, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]].concat();
        self.git(&whole)?;
        let candidates = [format!("refs/remotes/origin/{wanted}"), format!("refs/tags/{wanted}"), wanted.to_owned()];
        for candidate in candidates {
            let commit = format!("{candidate}^{{commit}}");
            if self.git(&["update-ref", "refs/skylift/wanted", &commit]).is_ok() {
                return Ok(());
            }
        }
        Err(first)
    }

    fn read_commit(&self) -> Result<Commit, Refusal> {
        let told =
            self.git(&["log", "-1", "--no-show-signature", "--format=%H%x00%an <%ae>%x00%B", "refs/skylift/wanted"])?;
        let text = String::from_utf8_lossy(&told);
        let mut parts = text.splitn(3, '\0').map(|part| clipped(part.trim()));
        match (parts.next(), parts.next(), parts.next()) {
            (Some(hash), Some(author), Some(message)) => Ok(Commit { hash, author, message }),
            _ => Err(Refusal::new(RefusalCode::GitFailed, "Git did not tell which commit it fetched", "try again")),
        }
    }

    /// Runs Git and returns what it says; its complaints also go to our standard error, which is the build's log.
    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, Refusal> {
        let mut command = Command::new("git");
        if arguments.first() != Some(&"init") {
            command.arg("-C").arg(&self.folder);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().envs(self.environment());
        let mut running = command.spawn().map_err(|error| unable(&error))?;
        let mut words = Vec::new();
        if let Some(stderr) = running.stderr.take() {
            let _ = stderr.take(WORDS_BYTES_MAX).read_to_end(&mut words);
        }
        let ended = running.wait_with_output().map_err(|error| unable(&error))?;
        if ended.status.success() {
            return Ok(ended.stdout);
        }
        let _ = io::stderr().write_all(&words);
        Err(explain(&String::from_utf8_lossy(&words), self.reference.as_deref()))
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        // The proxy and the certificates to trust are the sandbox's; nothing else of its environment counts.
        for (name, value) in std::env::vars() {
            if matches!(name.as_str(), "PATH" | "GIT_SSL_CAINFO" | "https_proxy" | "http_proxy") {
                env.insert(name, value);
            }
        }
        for (name, value) in [
            ("HOME", "/tmp/home"),
            ("LC_ALL", "C"),
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_CONFIG_GLOBAL", "/dev/null"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("GIT_ASKPASS", "/bin/true"),
            ("SSH_ASKPASS", "/bin/true"),
            ("GIT_PROTOCOL_FROM_USER", "0"),
            ("GIT_ALLOW_PROTOCOL", self.protocol.as_str()),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_LFS_SKIP_SMUDGE", "1"),
        ] {
            env.insert(name.to_owned(), value.to_owned());
        }
        let configuration = self.configuration();
        env.insert("GIT_CONFIG_COUNT".to_owned(), configuration.len().to_string());
        for (at, (key, value)) in configuration.into_iter().enumerate() {
            env.insert(format!("GIT_CONFIG_KEY_{at}"), key);
            env.insert(format!("GIT_CONFIG_VALUE_{at}"), value);
        }
        env
    }

    /// Git's settings, by environment rather than by argument: one of them may be a secret.
    fn configuration(&self) -> Vec<(String, String)> {
        let mut settings: Vec<(String, String)> = [
            ("core.hooksPath", "/dev/null"),
            ("core.fsmonitor", "false"),
            ("core.symlinks", "true"),
            ("core.autocrlf", "false"),
            ("core.protectHFS", "true"),
            ("core.protectNTFS", "true"),
            ("transfer.fsckObjects", "true"),
            ("submodule.recurse", "false"),
            ("fetch.recurseSubmodules", "false"),
            ("http.followRedirects", "initial"),
            ("protocol.version", "2"),
            ("gc.auto", "0"),
            ("maintenance.auto", "false"),
            ("advice.detachedHead", "false"),
            ("safe.directory", "*"),
            ("credential.helper", ""),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into();
        settings.push(("http.lowSpeedLimit".to_owned(), SLOW_BYTES.to_string()));
        settings.push(("http.lowSpeedTime".to_owned(), SLOW_SECONDS.to_string()));
        if let Some(token) = &self.token {
            // Servers take a token as the password of any user.
            let basic = crate::base64::encode(format!("git:{token}").as_bytes());
            settings.push((format!("http.{}/.extraHeader", self.origin), format!("Authorization: Basic {basic}")));
        }
        settings
    }

    /// ssh reads a file of ours instead of arguments that somebody would have to quote.
    fn prepare_ssh(&self) -> io::Result<()> {
        let folder = Path::new("/tmp/home/.ssh");
        fs::create_dir_all(folder)?;
        let strict = if self.hosts_are_known { "yes" } else { "accept-new" };
        let mut config = format!(
            "Host *\n  BatchMode yes\n  StrictHostKeyChecking {strict}\n  UserKnownHostsFile /run/known_hosts /tmp/home/.ssh/known\n  \
             ConnectTimeout 20\n  ServerAliveInterval 15\n  ServerAliveCountMax 2\n  ProxyCommand none\n  ForwardAgent no\n"
        );
        if let Some(key) = &self.deploy_key {
            let path = folder.join("key");
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
            file.write_all(key.trim_end().as_bytes())?;
            file.write_all(b"\n")?;
            config.push_str("  IdentityFile /tmp/home/.ssh/key\n  IdentitiesOnly yes\n");
        }
        fs::write(folder.join("config"), config)
    }
}

fn unable(error: &io::Error) -> Refusal {
    Refusal::new(RefusalCode::Sandbox, format!("Git could not be run: {error}"), "see `skylift doctor`")
}

/// A commit's texts are shown, not stored in full whatever their length.
fn clipped(text: &str) -> String {
    text.chars().take(4000).collect()
}

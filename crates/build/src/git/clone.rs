//! The clone, inside the sandbox: `sandbox-clone` reads what to clone from standard input and writes frames.
//!
//! Git runs without the machine's configuration, hooks, filters, submodules or prompts; only the address's own
//! protocol is allowed, objects are checked as they come, and nothing of the repository is run.

mod settings;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use serde::{Deserialize, Serialize};
use skylift_model::source::Commit;

use super::commit::{LOG_FORMAT, parse_commit};
use super::trouble::explain;
use crate::frames::{FrameWriter, IntakeLimits, Refusal, RefusalCode};
use crate::walk::{WalkRules, walk_into};

/// How much of Git's own words is kept to find out what went wrong.
const WORDS_BYTES_MAX: u64 = 64 << 10;
/// Where what was asked for is kept in the clone.
const WANTED: &str = "refs/skylift/wanted";

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
    /// A folder for what the clone itself needs: settings and keys. It is made.
    pub home: String,
    /// What the files may hold.
    pub limits: IntakeLimits,
}

/// Clones and writes the files as frames, the commit as their note (see [`commit_of_note`]). Of `env`, the sandbox's
/// environment, only what leads to a proxy or to certificates reaches Git. An error means that `out` could not be
/// written.
///
/// [`commit_of_note`]: super::commit_of_note
pub fn clone_main(
    mut input: impl Read,
    env: impl IntoIterator<Item = (String, String)>,
    out: impl Write,
) -> io::Result<()> {
    let mut frames = FrameWriter::new(BufWriter::with_capacity(64 << 10, out))?;
    let mut bytes = Vec::new();
    input.by_ref().take(1 << 20).read_to_end(&mut bytes)?;
    let Ok(spec) = serde_json::from_slice::<CloneSpec>(&bytes) else {
        return frames.fail(&Refusal::new(RefusalCode::Sandbox, "the clone was not told what to clone", ""));
    };
    let clone = Clone { env: settings::environment(&spec, env), spec: &spec };
    let commit = match clone.fetch() {
        Ok(commit) => commit,
        Err(refusal) => return frames.fail(&refusal),
    };
    frames.note(&serde_json::to_vec(&commit)?)?;
    walk_into(Path::new(&spec.folder), frames, &WalkRules::source(spec.limits))
}

/// One clone under way.
struct Clone<'a> {
    spec: &'a CloneSpec,
    env: BTreeMap<String, String>,
}

impl Clone<'_> {
    fn fetch(&self) -> Result<Commit, Refusal> {
        settings::write_files(self.spec).map_err(|error| unable(&error))?;
        self.git(&["init", "--quiet", "--template=", "--initial-branch=main", &self.spec.folder])?;
        let wanted = self.spec.reference.as_deref().unwrap_or("HEAD");
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
        let into = format!("+{wanted}:{WANTED}");
        let shallow = [&fetch[..], &["--depth=1", "--", &self.spec.url, &into]].concat();
        if let Err(refusal) = self.git(&shallow) {
            // Plain-file servers know no depth, some servers no commits by hash: then everything is fetched. A branch
            // that is not there will not be there either when everything is.
            let by_hash = matches!(wanted.len(), 40 | 64) && wanted.bytes().all(|b| b.is_ascii_hexdigit());
            match refusal.code {
                RefusalCode::GitFailed => {}
                RefusalCode::GitRef if by_hash => {}
                _ => return Err(refusal),
            }
            self.fetch_whole(wanted, &fetch, refusal)?;
        }
        self.git(&["checkout", "--quiet", "--force", "--detach", WANTED])?;
        self.read_commit()
    }

    /// Everything of the remote, from which the wanted commit or name is taken.
    fn fetch_whole(&self, wanted: &str, fetch: &[&str], first: Refusal) -> Result<(), Refusal> {
        let whole = [fetch, &["--", &self.spec.url, "+refs/heads/*:refs/remotes/origin/*", "+refs/tags/*:refs/tags/*"]]
            .concat();
        self.git(&whole)?;
        let candidates = [format!("refs/remotes/origin/{wanted}"), format!("refs/tags/{wanted}"), wanted.to_owned()];
        for candidate in candidates {
            let commit = format!("{candidate}^{{commit}}");
            if self.git(&["update-ref", WANTED, &commit]).is_ok() {
                return Ok(());
            }
        }
        Err(first)
    }

    fn read_commit(&self) -> Result<Commit, Refusal> {
        let printed = self.git(&["log", "-1", "--no-show-signature", LOG_FORMAT, WANTED])?;
        parse_commit(&printed)
            .map_err(|_| Refusal::new(RefusalCode::GitFailed, "Git did not tell which commit it fetched", "try again"))
    }

    /// Runs Git and returns what it says; its complaints also go to our standard error, which is the build's log.
    fn git(&self, arguments: &[&str]) -> Result<Vec<u8>, Refusal> {
        let mut command = Command::new("git");
        if arguments.first() != Some(&"init") {
            command.arg("-C").arg(&self.spec.folder);
        }
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.env_clear().envs(&self.env);
        let mut running = command.spawn().map_err(|error| unable(&error))?;
        // Both at once: whichever is not read stops Git when its pipe is full.
        let stdout = running.stdout.take().map(|pipe| std::thread::spawn(move || beginning(pipe)));
        let words = running.stderr.take().map(beginning).unwrap_or_default();
        let printed = stdout.and_then(|reading| reading.join().ok()).unwrap_or_default();
        let ended = running.wait().map_err(|error| unable(&error))?;
        if ended.success() {
            return Ok(printed);
        }
        let _ = io::stderr().write_all(&words);
        Err(explain(&String::from_utf8_lossy(&words), self.spec.reference.as_deref()))
    }
}

fn unable(error: &io::Error) -> Refusal {
    Refusal::new(RefusalCode::Sandbox, format!("Git could not be run: {error}"), "see `skylift doctor`")
}

/// The beginning of what a pipe carries; the rest is read and dropped.
fn beginning(mut pipe: impl Read) -> Vec<u8> {
    let mut kept = Vec::new();
    // What ends early ends the process, whose status tells.
    let _ = pipe.by_ref().take(WORDS_BYTES_MAX).read_to_end(&mut kept);
    let _ = io::copy(&mut pipe, &mut io::sink());
    kept
}

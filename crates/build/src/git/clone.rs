//! The clone, inside the sandbox: `sandbox-clone` reads what to clone from standard input and writes frames.
//!
//! Git runs without the machine's configuration, hooks, filters, submodules or prompts; only the address's own
//! protocol is allowed, objects are checked as they come, and nothing of the repository is run.

mod contents;
mod run;
mod settings;

use std::collections::BTreeMap;
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};
use skylift_model::source::Commit;

use super::commit::{LOG_FORMAT, parse_commit};
use super::note::CloneNote;
use crate::frames::{FrameWriter, IntakeLimits, Refusal, RefusalCode};
use crate::walk::{WalkRules, walk_into};

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
    /// For how many seconds a transfer may be next to nothing.
    pub stall_seconds: u64,
    /// What the files may hold.
    pub limits: IntakeLimits,
}

/// Clones and writes the files as frames, with a [`CloneNote`]. Of `env`, the sandbox's environment, only what leads to
/// a proxy or to certificates reaches Git. An error means that `out` could not be written.
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
    let note = match clone.run() {
        Ok(note) => note,
        Err(refusal) => return frames.fail(&refusal),
    };
    frames.note(&serde_json::to_vec(&note)?)?;
    walk_into(Path::new(&spec.folder), frames, &WalkRules::source(spec.limits))
}

/// One clone under way.
struct Clone<'a> {
    spec: &'a CloneSpec,
    env: BTreeMap<String, String>,
}

impl Clone<'_> {
    fn run(&self) -> Result<CloneNote, Refusal> {
        settings::write_files(self.spec).map_err(|error| unable(&error))?;
        let wanted = self.spec.reference.as_deref().unwrap_or("HEAD");
        // Which of the two formats a repository has is only known once it was asked; most have the first.
        let formats = if is_hash(wanted) && wanted.len() == 64 { ["sha256", "sha1"] } else { ["sha1", "sha256"] };
        match self.fetch(wanted, formats[0]) {
            Err(refusal) if refusal.code == RefusalCode::GitFormat => self.fetch(wanted, formats[1])?,
            fetched => fetched?,
        }
        let list = [&contents::LIST[..], &[WANTED]].concat();
        let contents = self.git_read_by(&list, |listing| contents::read(listing, &self.spec.limits))?;
        self.git(&["checkout", "--quiet", "--force", "--detach", WANTED])?;
        let lfs_pointers = contents.lfs_pointers(Path::new(&self.spec.folder));
        Ok(CloneNote { commit: self.read_commit()?, submodules: contents.submodules, lfs_pointers })
    }

    /// Fetches what is wanted into a new repository whose objects are named in that format.
    fn fetch(&self, wanted: &str, format: &str) -> Result<(), Refusal> {
        match std::fs::remove_dir_all(Path::new(&self.spec.folder).join(".git")) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(unable(&error)),
            _ => {}
        }
        let format = format!("--object-format={format}");
        self.git(&["init", "--quiet", "--template=", "--initial-branch=main", &format, &self.spec.folder])?;
        let fetch = ["fetch", "--quiet", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head"];
        let into = format!("+{wanted}:{WANTED}");
        let shallow = [&fetch[..], &["--depth=1", "--", &self.spec.url, &into]].concat();
        let Err(refusal) = self.git(&shallow) else { return Ok(()) };
        // Plain-file servers know no depth, some servers no commits by hash: then everything is fetched. A branch
        // that is not there will not be there either when everything is.
        match refusal.code {
            RefusalCode::GitFailed => self.fetch_whole(wanted, &fetch, refusal),
            RefusalCode::GitRef if is_hash(wanted) => self.fetch_whole(wanted, &fetch, refusal),
            _ => Err(refusal),
        }
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
}

fn is_hash(wanted: &str) -> bool {
    matches!(wanted.len(), 40 | 64) && wanted.bytes().all(|b| b.is_ascii_hexdigit())
}

fn unable(error: &io::Error) -> Refusal {
    Refusal::new(RefusalCode::Sandbox, format!("Git could not be run: {error}"), "see `skylift doctor`")
}
